"""Answers from a closed list, beside what needs no picture."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import torch

from kept.data.record import Record
from kept.data.tokenized import TokenizedRecords, read_text
from kept.modeling.model import KeptModel
from kept.probing.media.corpora import batches
from kept.probing.media.intervals import figure
from kept.probing.rows import Figure
from kg.errors import InputError


@torch.no_grad()
def answers(
    model: KeptModel, corpus: TokenizedRecords, records: Sequence[Record], split: str, train: Sequence[Record] = ()
) -> list[Figure]:
    """Accuracy of the closed list's likeliest answer, in total and by the records' `source`, beside two floors.

    Records without an answer are left out. Floors: the answer that training records give most often, and, for each
    question, the answer that training records give most often to the same words.
    """
    names = (model.config.classes or {}).get("answers", [])
    told: list[str] = []
    for batch in batches(corpus):
        summary = model.encode(batch).summary
        told += [names[best] for best in model.heads["answers"](summary).argmax(-1).tolist()]
    asked = [place for place, record in enumerate(records) if record.answer]
    if not asked:
        raise InputError("no record has an answer; answers cannot be measured")
    told, records = [told[place] for place in asked], [records[place] for place in asked]
    train = [record for record in train if record.answer]
    pictures = np.array([record.image or record.id for record in records])
    arms = {"model": told}
    if train:
        common = Counter(record.answer for record in train).most_common(1)[0][0] or ""
        of_question: dict[str, Counter[str]] = defaultdict(Counter)
        for record in train:
            of_question[read_text(record)][record.answer or ""] += 1
        arms["majority"] = [common] * len(records)
        arms["question-only"] = [
            of_question[read_text(record)].most_common(1)[0][0] if read_text(record) in of_question else common
            for record in records
        ]
    sources = np.array([record.source or "" for record in records])
    rows = []
    for arm, given in arms.items():
        right = np.array([one == record.answer for one, record in zip(given, records, strict=True)], dtype=float)
        rows.append(figure("answers", split, arm, "accuracy", right, pictures.tolist()))
        for source in sorted(set(sources)) if len(set(sources)) > 1 else []:
            chosen = sources == source
            rows.append(figure("answers", split, arm, "accuracy", right[chosen], pictures[chosen].tolist(), source))
    return rows
