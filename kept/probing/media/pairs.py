"""Texts and the pictures, or regions, that belong to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch

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


@torch.no_grad()
def retrieval(model: KeptModel, corpus: TokenizedRecords, records: Sequence[Record], split: str) -> list[Figure]:
    """Recall of texts by pictures and of pictures by texts, by the contrast heads; chance is that of texts.

    A picture that several records show is one candidate. A text of the same picture, of the same words, or about a
    shared entity counts as found.
    """
    if not hasattr(model, "contrast"):
        raise InputError("this model reads no pictures, so there is nothing to retrieve")
    objective = ImageTextContrast()
    image: list[torch.Tensor] = []
    text: list[torch.Tensor] = []
    codes: list[torch.Tensor] = []
    places: list[int] = []
    # Of a tokenizer the contrast needs to know nothing.
    reads = Context(NOISE, 0, 0, 0, 0, 1, reads=frozenset(model.towers))
    for batch in batches(corpus):
        view = objective.prepare(batch, reads)
        if len(view.batch):
            for vectors, kept in zip(objective.vectors(view, Forward(model)), (image, text), strict=True):
                kept.append(vectors)
            codes.append(content(view.batch))
            places += view.batch.rows.tolist()
    if not places:
        raise InputError("no record has a picture that this model reads; retrieval cannot be measured")
    groups = [records[place].image or records[place].id for place in places]
    _, first, number = np.unique(groups, return_index=True, return_inverse=True)
    width = max(code.shape[1] for code in codes)
    contents = torch.cat([torch.nn.functional.pad(code, (0, width - code.shape[1]), value=NOTHING) for code in codes])
    contents[:, 0] = torch.from_numpy(number)
    positive = np.zeros((len(first), len(places)), dtype=bool)
    for start, part in zip(range(0, len(places), CHUNK), contents.split(CHUNK), strict=True):
        np.logical_or.at(positive, number[start : start + CHUNK], same_content(part, contents).numpy())
    similarity = (torch.cat(image)[torch.from_numpy(first)] @ torch.cat(text).T).numpy()
    rows = []
    for arm, table, right, of in (
        ("texts", similarity, positive, [groups[place] for place in first]),
        ("pictures", similarity.T, positive.T, groups),
    ):
        better, ties = best_positive(table, right)
        rows += [figure("retrieval", split, arm, f"recall@{k}", hits(better, ties, k), of) for k in RECALLED]
    chance = float((1 / (1 + (~positive).sum(axis=1))).mean())
    rows.append(Figure("retrieval", split, None, "chance", "chance", "recall@1", chance, None, None, len(first), (0,)))
    return rows


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
