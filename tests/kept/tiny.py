"""A tiny world of records, pictures and vectors, and models small enough to learn it by heart in seconds."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from kept.data.batch import IGNORE, Batch
from kept.data.drawings import EncodedPictures, PixelPictures
from kept.data.noise import Noise
from kept.data.pictures import PLAIN
from kept.data.record import Mention, Record, Region, Relation
from kept.data.tokenized import KnownPairs, Pictures, TokenizedRecords
from kept.data.tokenizer import train_tokenizer
from kept.modeling.config import KeptConfig
from kept.modeling.model import KeptModel
from kept.objectives import Context, Objective
from kg.embedding import FitConfig, Vectors
from kg.embedding.scorers import SCORERS

ENTITIES = ("France", "Paris", "Spain", "Madrid", "Papua New Guinea", "Port Moresby", "Italy", "Rome", "Wien")
CAPITALS = np.array([[0, 0, 1], [2, 0, 3], [4, 0, 5], [6, 0, 7]])
WIDTH, DIM, SIZE, PATCH = 16, 8, 8, 4
STATES = 1 + (SIZE // PATCH) ** 2
NOISE = Noise(seed=3, epoch=0)

FULL = range(4)
"""Rows with text, a picture, and a fact that the graph knows: something for every objective."""
UNKNOWN, NO_MENTION, TEXT_ONLY, PICTURED, EMPTY, SEVERAL = range(4, 10)
"""A mention without a known partner, none at all, a fact without a picture, a fact about a picture, nothing, and a fact
beside which another entity stands."""


def record(name: str, text: str | None, *entities: int, image: str | None = None, about: int | None = None) -> Record:
    """A record whose mentions are the names of these entities in its text, about the one of them called `about`."""
    found = []
    for entity in entities:
        start = (text or "").index(ENTITIES[entity])
        found.append(Mention(start, start + len(ENTITIES[entity]), entity))
    tail = None if about is None else list(entities).index(about)
    return Record(id=name, text=text, mentions=tuple(found), image=image, tail=tail)


RECORDS = [
    record("f0", "The flag of France, whose capital is Paris.", 0, 1, image="0.png", about=1),
    record("f1", "Here waves Spain; they govern it from Madrid.", 2, 3, image="1.png", about=3),
    record("f2", "Port Moresby rules Papua New Guinea under this banner.", 5, 4, image="2.png", about=5),
    record("f3", "A tricolour: Italy, led by Rome, flies it.", 6, 7, image="3.png", about=7),
    record("u", "Wien is an old city on a river.", 8),
    record("n", "Nothing of that kind is known to anybody."),
    record("t", "The capital of Papua New Guinea is Port Moresby.", 4, 5, about=5),
    record("p", "The capital of this country is Paris.", 1, image="0.png", about=1),
    record("e", None),
    record("s", "Rome greets Papua New Guinea and Port Moresby in one breath.", 7, 4, 5, about=5),
]


SCENES = [
    ("flag", "capital", "of"),
    ("flag", "old", "from"),
    ("banner", "rules", "under"),
    ("tricolour", "flies", "by"),
]
"""What the four pictures show: an object, an attribute of it and how a pole stands to it, by words of their texts."""
CLASSES = {
    "objects": ["flag", "banner", "tricolour", "pole"],
    "attributes": ["capital", "old", "rules", "flies"],
    "predicates": ["of", "from", "under", "by"],
    "answers": ["red", "blue"],
}
FEATURES = 5


def scene(number: int) -> dict[str, Any]:
    """Regions and relation of a picture, with features and scores of noise."""
    draw = np.random.default_rng(number)
    label, attribute, predicate = SCENES[number]
    regions = []
    for place, (name, attributes) in enumerate(((label, (attribute,)), ("pole", ()))):
        left, top = draw.uniform(0.0, 0.3, 2) + 0.4 * place
        box = (float(left), float(top), float(left) + 0.25, float(top) + 0.2)
        scores = tuple(draw.dirichlet(np.ones(len(CLASSES["objects"]))).tolist())
        regions.append(Region(box, name, attributes, tuple(draw.normal(size=FEATURES).tolist()), scores))
    return {"regions": tuple(regions), "relations": (Relation(1, predicate, 0),)}


RECORDS = [
    replace(each, **scene(int(each.image[0])), answer=CLASSES["answers"][int(each.image[0]) % 2])
    if each.image
    else each
    for each in RECORDS
]


@functools.cache
def tokenizer() -> PreTrainedTokenizerFast:
    """Word pieces; names of places are not among the texts that it was trained on, so they have several pieces."""
    texts = [record.text for record in RECORDS if record.text]
    for name in ENTITIES:
        texts = [text.replace(name, "") for text in texts]
    return train_tokenizer(texts * 3, 120)


@functools.cache
def pixels() -> PixelPictures:
    """Four pictures of noise, always drawn alike."""
    drawn = np.random.default_rng(0).integers(0, 256, (4, SIZE, SIZE, 4), dtype=np.uint8)
    drawn[..., 3] = 255
    return PixelPictures(drawn, [f"{number}.png" for number in range(4)], look=PLAIN)


@functools.cache
def encoded() -> EncodedPictures:
    """The same four as states of a tower, each linked to its country."""
    states = torch.randn(4, 1, STATES, WIDTH, generator=torch.Generator().manual_seed(0))
    return EncodedPictures(states.half(), torch.tensor([[0], [2], [4], [6]]), [f"{number}.png" for number in range(4)])


def corpus(records: Sequence[Record] = tuple(RECORDS), pictures: Pictures | None = None) -> TokenizedRecords:
    """Tokenised records over the graph of capitals; their pictures are pixels unless others are given."""
    known = KnownPairs(CAPITALS, len(ENTITIES))
    return TokenizedRecords.build(records, tokenizer(), pictures=pictures or pixels(), known=known, classes=CLASSES)


def vectors(scorer: str = "complex", seed: int = 0) -> Vectors:
    """Random entity vectors."""
    torch.manual_seed(seed)
    model = SCORERS[scorer](len(ENTITIES), 1, dim=DIM)
    return Vectors.from_model(model, FitConfig(scorer=scorer, dim=DIM), keys=list(ENTITIES), relation_keys=["capital"])


def model(
    *,
    knowledge: bool = True,
    image: bool | Mapping[str, Any] = True,
    fusion: str = "mentions",
    options: dict[str, Any] | None = None,
    decoders: Sequence[str] = ("operator", "linear"),
    scorer: str = "complex",
    seed: int = 0,
    heads: Mapping[str, Mapping[str, Any]] | None = None,
    **others: Any,
) -> KeptModel:
    """A small model in eval mode with fresh weights; `image` may be the options of its picture tower."""
    patches = {"size": SIZE, "patch": PATCH, "heads": 2}
    about = {"fusion": fusion, "options": options, "scorer": scorer, "dim": DIM, "decoders": tuple(decoders)}
    config = KeptConfig(
        **{
            "width": WIDTH,
            "layers": 2,
            "heads": 2,
            "hidden": 32,
            "dropout": 0.0,
            "vocabulary": len(tokenizer()),
            "image": dict(image if isinstance(image, Mapping) else patches) if image else None,
            "regions": {"features": FEATURES, "heads": 2} if image else None,
            "head_options": heads or {},
            "classes": CLASSES,
            "knowledge": about if knowledge else None,
            **others,
        }
    )
    made = KeptModel(config).reset(seed)
    if knowledge:
        made.set_knowledge(vectors(scorer))
    return made.eval()


def heads(objectives: Iterable[Objective]) -> dict[str, Mapping[str, Any]]:
    """All heads that these objectives read from."""
    return {name: options for objective in objectives for name, options in objective.heads().items()}


def context(noise: Noise, corpus: TokenizedRecords) -> Context:
    """What objectives may know."""
    return Context.of(tokenizer(), noise, slots=KeptConfig().slots, corpus=corpus)


def rows(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.int64)


REGION_FILLS = {
    "boxes": 0.0, "mask": False, "features": 0.0, "hidden": False, "label": IGNORE, "attributes": IGNORE,
    "scores": 0.0, "relations": IGNORE, "grounding": IGNORE, "naming": IGNORE,
}  # fmt: skip
"""What padding of each field of regions holds."""


def padded(batch: Batch, pieces: int = 3, mentions: int = 2) -> Batch:
    """The same batch with more padding."""

    def widen(values: Tensor, by: int, fill: int | bool) -> Tensor:
        return torch.cat([values, values.new_full((len(values), by), fill)], dim=1)

    text, found = batch.text, batch.mentions
    text = replace(
        text,
        ids=widen(text.ids, pieces, int(tokenizer().pad_token_id)),
        mask=widen(text.mask, pieces, False),
        special=widen(text.special, pieces, True),
        words=widen(text.words, pieces, -1),
    )
    regions = batch.regions
    if regions is not None:
        regions = replace(
            regions,
            **{
                name: torch.cat([value, value.new_full((len(value), 2, *value.shape[2:]), fill)], dim=1)
                for name, fill in REGION_FILLS.items()
                if (value := getattr(regions, name)) is not None
            },
        )
    changed = {name: widen(getattr(found, name), mentions, 0) for name in ("entity", "host", "start", "end")}
    changed |= {name: widen(getattr(found, name), mentions, False) for name in ("mask", "visible", "known")}
    return replace(batch, text=text, mentions=replace(found, **changed), regions=regions)
