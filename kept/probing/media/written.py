"""Captions that a model writes, beside those that people wrote."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from kept.data.record import Record
from kept.data.tokenized import TokenizedRecords
from kept.modeling.model import KeptModel
from kept.modeling.writing import How, write
from kept.objectives.base import Context
from kept.objectives.generation import blank
from kept.objectives.masking import hide_text_mentions
from kept.probing.captions import bleu, cider_d, rouge_l
from kept.probing.media.corpora import CHUNK, NOISE
from kept.probing.media.intervals import interval
from kept.probing.rows import Figure
from kg.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@torch.no_grad()
def captions(
    model: KeptModel,
    corpus: TokenizedRecords,
    records: Sequence[Record],
    tokenizer: PreTrainedTokenizerFast,
    split: str,
    how: How = "greedy",
) -> tuple[list[Figure], dict[str, str]]:
    """BLEU-4, ROUGE-L and CIDEr-D of one caption for each picture against all texts of that picture.

    Returns:
        The figures, and the captions by picture. The arm "most common" gives every picture the commonest text.
    """
    texts: dict[str, list[str]] = defaultdict(list)
    first: dict[str, int] = {}
    for place, record in enumerate(records):
        if record.image and record.text:
            plain = tokenizer(record.text, add_special_tokens=False)["input_ids"]
            texts[record.image].append(str(tokenizer.decode(plain)))
            first.setdefault(record.image, place)
    if not first:
        raise InputError("no record has a picture and a text; captions cannot be measured")
    written: list[str] = []
    places = np.array(list(first.values()))
    for start in range(0, len(places), CHUNK):
        batch = hide_text_mentions(corpus.batch(places[start : start + CHUNK], NOISE))
        written += write(
            model, replace(batch, text=blank(batch.text, Context.of(tokenizer, NOISE))), tokenizer, how=how
        )
    references = [texts[image] for image in first]
    common = Counter(text for several in texts.values() for text in several).most_common(1)[0][0]
    rows = []
    for arm, given in ((how, written), ("most common", [common] * len(written))):
        values = {"bleu-4": np.full(len(given), bleu(given, references)[3])}
        values |= {"rouge-l": rouge_l(given, references), "cider-d": cider_d(given, references)}
        for metric, each in values.items():
            low, high = (None, None) if metric == "bleu-4" else interval(each, list(first))
            rows.append(
                Figure("captions", split, None, arm, arm, metric, float(each.mean()), low, high, len(given), (0,))
            )
    return rows, dict(zip(first, written, strict=True))
