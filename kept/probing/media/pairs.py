"""Texts and the pictures, or regions, that belong to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor

from kept.data.batch import IGNORE
from kept.data.record import Record
from kept.data.tokenized import TokenizedRecords
from kept.modeling.config import KeptConfig
from kept.modeling.model import KeptModel
from kept.modeling.rules import Apart, Rule
from kept.objectives.alignment import align
from kept.objectives.base import Context, Forward
from kept.objectives.contrast import ImageTextContrast
from kept.objectives.identity import NOTHING, content, same_content
from kept.probing.media.corpora import CHUNK, NOISE, batches
from kept.probing.media.intervals import figure
from kept.probing.metrics import hits
from kept.probing.retrieval import best_positive
from kept.probing.rows import Figure
from kg.errors import InputError

RECALLED = (1, 5, 10)
ALONE = 2
"""Of what `content` says of a record: its picture and its words, without entities."""


@torch.no_grad()
def retrieval(model: KeptModel, corpus: TokenizedRecords, records: Sequence[Record], split: str) -> list[Figure]:
    """Recall of texts by pictures and of pictures by texts, by the contrast heads, beside a random order of the texts.

    A picture that several records show is one candidate. For "recall@k" a text of the same picture, or of the same
    words, counts as found; for "related@k" so does one about a shared entity.
    """
    if not hasattr(model, "contrast"):
        raise InputError("this model reads no pictures, so there is nothing to retrieve")
    objective = ImageTextContrast()
    image: list[Tensor] = []
    text: list[Tensor] = []
    about: list[Tensor] = []
    places: list[int] = []
    # Of a tokenizer the contrast needs to know nothing.
    reads = Context(NOISE, 0, 0, 0, 0, 1, reads=frozenset(model.towers))
    for batch in batches(corpus):
        view = objective.prepare(batch, reads)
        if len(view.batch):
            for vectors, kept in zip(objective.vectors(view, Forward(model)), (image, text), strict=True):
                kept.append(vectors)
            about.append(content(view.batch))
            places += view.batch.rows.tolist()
    if not places:
        raise InputError("no record has a picture that this model reads; retrieval cannot be measured")
    groups = [records[place].image or records[place].id for place in places]
    _, first, number = np.unique(groups, return_index=True, return_inverse=True)
    width = max(code.shape[1] for code in about)
    contents = torch.cat([torch.nn.functional.pad(code, (0, width - code.shape[1]), value=NOTHING) for code in about])
    contents[:, 0] = torch.from_numpy(number)
    similarity = (torch.cat(image)[torch.from_numpy(first)] @ torch.cat(text).T).numpy()
    rows = []
    for metric, codes in (("recall", contents[:, :ALONE]), ("related", contents)):
        if metric == "related" and width == ALONE:
            continue
        right = np.zeros((len(first), len(places)), dtype=bool)
        for start, part in zip(range(0, len(places), CHUNK), codes.split(CHUNK), strict=True):
            np.logical_or.at(right, number[start : start + CHUNK], same_content(part, codes).numpy())
        for arm, table, of in (
            ("texts", similarity, [groups[place] for place in first]),
            ("pictures", similarity.T, groups),
        ):
            better, ties = best_positive(table, right if arm == "texts" else right.T)
            rows += [figure("retrieval", split, arm, f"{metric}@{k}", hits(better, ties, k), of) for k in RECALLED]
        for k in RECALLED:
            chance = float(by_chance(right.sum(axis=1), len(places), k).mean())
            named = f"{metric}@{k}"
            rows.append(
                Figure("retrieval", split, None, "chance", "chance", named, chance, None, None, len(first), (0,))
            )
    return rows


def by_chance(right: np.ndarray, of: int, k: int) -> np.ndarray:
    """(Q,) chances that k of `of` candidates, drawn without looking, hold one of the `right` (Q,) right ones.

    >>> by_chance(np.array([0, 1, 2]), 4, 2).round(4).tolist()
    [0.0, 0.5, 0.8333]
    """
    missed = np.ones(len(right))
    for drawn in range(min(k, of)):
        missed *= (of - right - drawn).clip(min=0) / (of - drawn)
    return 1 - missed


@torch.no_grad()
def alignment(model: KeptModel, corpus: TokenizedRecords, records: Sequence[Record], split: str) -> list[Figure]:
    """How often most of a name's mass is carried to a region that it names, beside one region at random.

    Words that name several regions are right with any of them. Arms: "model", words and regions in one stack; "apart",
    neither having seen the other; "untrained" and "untrained, apart", the same with the weights that the model's seed
    draws; "chance".
    """
    if "regions" not in model.towers:
        raise InputError("this model reads no regions, so its words cannot be aligned with any")
    config = cast("KeptConfig", model.config)
    before = KeptModel(config).reset(config.seed).eval()
    ways: dict[str, tuple[KeptModel, Rule | None]] = {
        "model": (model, None),
        "apart": (model, Apart()),
        "untrained": (before, None),
        "untrained, apart": (before, Apart()),
    }
    right: dict[str, list[float]] = {arm: [] for arm in (*ways, "chance")}
    groups: list[str] = []
    for batch in batches(corpus):
        if batch.regions is None:
            continue
        plans = {
            arm: align(each.encode(batch, knowledge=False, rule=rule).streams, batch)
            for arm, (each, rule) in ways.items()
        }
        for row, each in enumerate(batch.regions.grounding.tolist()):
            named: dict[tuple[int, int], set[int]] = defaultdict(set)
            for start, end, region in each:
                if region != IGNORE:
                    named[start, end].add(region)
            for (start, end), regions in named.items():
                for arm, plan in plans.items():
                    right[arm].append(float(int(plan[row, start:end].sum(0).argmax()) in regions))
                right["chance"].append(len(regions) / int(batch.regions.mask[row].sum()))
                record = records[int(batch.rows[row])]
                groups.append(record.image or record.id)
    if not groups:
        raise InputError("no record says which region its words name; alignment cannot be measured")
    return [figure("alignment", split, arm, "accuracy", np.array(values), groups) for arm, values in right.items()]
