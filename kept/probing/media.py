"""What a trained model does with pictures it has not seen: answers, retrieval, alignment, detection, captions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from kept.data.batch import IGNORE, Batch
from kept.data.boxes import to_corners
from kept.data.drawings import PixelPictures
from kept.data.noise import Noise
from kept.data.pictures import PLAIN
from kept.data.record import Record
from kept.data.region_features import Crops
from kept.data.tokenized import TokenizedRecords, read_text
from kept.modeling.model import KeptModel
from kept.modeling.streams import pool
from kept.modeling.writing import How, write
from kept.objectives.alignment import align
from kept.objectives.base import Context, picture_summary
from kept.objectives.generation import blank
from kept.objectives.identity import content, same_content
from kept.objectives.masking import hide_text_mentions
from kept.probing.captions import bleu, cider_d, rouge_l
from kept.probing.detection import Detections, Objects, average_precision
from kept.probing.retrieval import both_directions
from kept.probing.rows import Figure
from kg.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CHUNK = 128
DRAWS = 1000
NOISE = Noise(0, 0)


def read_corpus(
    model: KeptModel, records: Sequence[Record], tokenizer: PreTrainedTokenizerFast, pictures: Path | None
) -> TokenizedRecords:
    """Records as a model reads them: its classes, its regions, its pictures drawn as they are."""
    config = model.config
    drawn, features = None, None
    if config.image is not None or (config.region_features or {}).get("of") == "crops":
        if pictures is None:
            raise InputError("this model reads pictures; say where they are with --pictures")
        if config.image is not None:
            loaded = PixelPictures.load(pictures, size=int(config.image.get("size", 24)))
            drawn = replace(loaded, look=PLAIN)
        if (config.region_features or {}).get("of") == "crops":
            features = Crops(pictures, int(config.region_features["size"]))
    return TokenizedRecords.build(
        records,
        tokenizer,
        pictures=drawn,
        max_length=config.max_pieces,
        classes=config.classes or {},
        features=features,
        with_regions=config.regions is not None or "detection" in (config.head_options or {}),
    )


def batches(corpus: TokenizedRecords) -> Iterator[Batch]:
    """All records in order."""
    for start in range(0, len(corpus), CHUNK):
        yield corpus.batch(np.arange(start, min(start + CHUNK, len(corpus))), NOISE)


def interval(values: np.ndarray) -> tuple[float, float]:
    """95% of the means of resampled values (percentile bootstrap over records)."""
    draws = np.random.default_rng(0).integers(0, len(values), (DRAWS, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def figure(task: str, split: str, arm: str, metric: str, values: np.ndarray, relation: str | None = None) -> Figure:
    """The mean of one value a record, with its interval."""
    low, high = interval(values)
    return Figure(task, split, relation, arm, arm, metric, float(values.mean()), low, high, len(values), (0,))


@torch.no_grad()
def answers(
    model: KeptModel, corpus: TokenizedRecords, records: Sequence[Record], split: str, train: Sequence[Record] = ()
) -> list[Figure]:
    """Accuracy of the closed list's likeliest answer, in total and by the records' `source`, beside two floors.

    Floors: the answer that training records give most often, and, for each question, the answer that training records
    give most often to the same words.
    """
    names = (model.config.classes or {}).get("answers", [])
    told: list[str] = []
    for batch in batches(corpus):
        summary = model.encode(batch).summary
        told += [names[best] for best in model.heads["answers"](summary).argmax(-1).tolist()]
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
        rows.append(figure("answers", split, arm, "accuracy", right))
        for source in sorted(set(sources)) if len(set(sources)) > 1 else []:
            rows.append(figure("answers", split, arm, "accuracy", right[sources == source], source))
    return rows


@torch.no_grad()
def retrieval(model: KeptModel, corpus: TokenizedRecords, split: str) -> list[Figure]:
    """Recall of texts by pictures and of pictures by texts, by the contrast heads.

    A text of the same picture, of the same words, or about a shared entity counts as found.
    """
    image, text, codes = [], [], []
    for batch in batches(corpus):
        image.append(model.contrast.embed_image(picture_summary(model, batch)))
        alone = model.encode(batch, knowledge=False, pictures=False).streams["text"]
        text.append(model.contrast.embed_text(pool(alone)))
        codes.append(content(batch))
    width = max(code.shape[1] for code in codes)
    contents = torch.cat([torch.nn.functional.pad(code, (0, width - code.shape[1]), value=-1) for code in codes])
    similarity = torch.cat(image) @ torch.cat(text).T
    positive = torch.cat([same_content(part, contents) for part in contents.split(CHUNK)]).numpy()
    rows = []
    chance = float(positive.mean())
    for arm, found in zip(("texts", "pictures"), both_directions(similarity.numpy(), positive), strict=True):
        for k, recall in found.recall.items():
            rows.append(
                Figure("retrieval", split, None, arm, arm, f"recall@{k}", recall, None, None, found.queries, (0,))
            )
    rows.append(
        Figure("retrieval", split, None, "chance", "chance", "recall@1", chance, None, None, len(positive), (0,))
    )
    return rows


@torch.no_grad()
def alignment(model: KeptModel, corpus: TokenizedRecords, split: str) -> list[Figure]:
    """How often most of a name's mass is carried to the region that it names, beside one region at random."""
    right, chance = [], []
    for batch in batches(corpus):
        assert batch.regions is not None
        plan = align(model.encode(batch, knowledge=False).streams, batch)
        for row, each in enumerate(batch.regions.grounding.tolist()):
            for start, end, region in each:
                if region != IGNORE:
                    right.append(float(plan[row, start:end].sum(0).argmax() == region))
                    chance.append(1 / int(batch.regions.mask[row].sum()))
    if not right:
        raise InputError("no record says which region its words name; alignment cannot be measured")
    arms = {"model": right, "chance": chance}
    return [figure("alignment", split, arm, "accuracy", np.array(values)) for arm, values in arms.items()]


@torch.no_grad()
def detection(
    model: KeptModel, corpus: TokenizedRecords, tokenizer: PreTrainedTokenizerFast, split: str
) -> list[Figure]:
    """Mean average precision of the object queries, over overlaps 0.5 to 0.95 and at 0.5."""
    found, truth = [], []
    for batch in batches(corpus):
        assert batch.regions is not None
        read = replace(batch, regions=None, text=blank(batch.text, Context.of(tokenizer, NOISE)))
        logits, boxes, _ = model.heads["detection"](model.encode(read, knowledge=False).streams, ("image",))[-1]
        scores, labels = logits.softmax(-1)[..., :-1].max(-1)
        for row in range(len(batch)):
            there = batch.regions.mask[row] & (batch.regions.label[row] != IGNORE)
            found.append(Detections(to_corners(boxes[row]).numpy(), labels[row].numpy(), scores[row].numpy()))
            truth.append(Objects(batch.regions.boxes[row][there].numpy(), batch.regions.label[row][there].numpy()))
    score = average_precision(found, truth)
    values = {"map": score.mean, "ap50": score.at_half}
    return [
        Figure("detection", split, None, "model", "model", metric, value, None, None, len(truth), (0,))
        for metric, value in values.items()
    ]


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
            low, high = (None, None) if metric == "bleu-4" else interval(each)
            rows.append(
                Figure("captions", split, None, arm, arm, metric, float(each.mean()), low, high, len(given), (0,))
            )
    return rows, dict(zip(first, written, strict=True))


TASKS: Mapping[str, str] = {
    "answers": "a closed list of answers",
    "retrieval": "texts by pictures and pictures by texts",
    "alignment": "the regions that words name",
    "detection": "objects, their classes and boxes",
    "captions": "texts written about pictures",
}
