"""Following a graph that changed: some entities move, everything else stays where it stood."""

from __future__ import annotations

import copy
from typing import Literal

import numpy as np
import torch
from torch import nn

from kg.embedding.build import build_mode, build_optimizer
from kg.embedding.config import FitConfig
from kg.embedding.fit import check_triples, fit, run_epoch
from kg.embedding.scorers import Scorer
from kg.embedding.states import States
from kg.errors import InputError


def refit_rows(
    model: Scorer,
    triples: np.ndarray,
    rows: np.ndarray,
    config: FitConfig,
    *,
    start: Literal["where they stood", "scratch"] = "where they stood",
) -> Scorer:
    """Fit the vectors of some entities to a changed graph; relations and all other entities are frozen.

    Vectors that move within the old space can be read by whatever was trained on it. A fit from scratch is the control:
    it learns the changed facts as well, but in a space of its own, which no reader of the old one understands.

    All facts of the changed graph stay in the loss, not only those of the moving entities: a vector that moves must
    also keep away from the questions that it does not answer.

    Args:
        model: a fitted scorer of free vectors; it is not touched.
        triples: (T, 3) all facts of the changed graph.
        rows: ids of the entities that may move; `touched(before, after)` finds those of the changed facts.
        config: settings of the refit; `epochs` and `lr` matter, scorer and dimension are the model's.
        start: "scratch" draws everything anew with another seed and fits it without freezing anything.

    Returns:
        A new scorer.

    Raises:
        InputError: ids out of range, or a model whose vectors come from a GNN (its entities have no vectors to move).
    """
    check_triples(triples, model.num_entities, model.num_relations)
    if start == "scratch":
        fresh = config.model_copy(update={"seed": config.seed + 1})
        return fit(triples, model.num_entities, model.num_relations, fresh).model
    rows = np.unique(rows)
    if len(rows) and not 0 <= rows[0] <= rows[-1] < model.num_entities:
        raise InputError(f"rows: ids must lie in 0..{model.num_entities - 1}, found {rows[0]}..{rows[-1]}")
    if model.entities.shape[1] != model.entity_width or any(True for _ in model.encoder.parameters()):
        raise InputError("refit: the vectors come from an encoder; take them as free vectors first (Vectors.scorer())")
    refitted = copy.deepcopy(model).requires_grad_(False)
    index = torch.as_tensor(rows, dtype=torch.long, device=model.entities.device)
    moving = nn.Parameter(refitted.entities[index].clone())
    optimizer = build_optimizer(config, [moving])
    mode = build_mode(config, triples, model.num_entities, model.num_relations)

    def states() -> States:
        return States(refitted.entities.index_copy(0, index, moving), refitted.relations)

    step = 0
    for epoch in range(config.epochs):
        step = int(run_epoch(refitted, mode, optimizer, config, epoch, step, states=states)["step"])
    with torch.no_grad():
        refitted.entities.copy_(states().entities)
    return refitted.requires_grad_(True).eval()


def touched(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The entities of all facts that were added or removed between two versions of a graph.

    >>> touched(np.array([[0, 0, 1], [2, 0, 3]]), np.array([[0, 0, 1], [2, 0, 4]])).tolist()
    [2, 3, 4]
    """
    old, new = ({tuple(fact) for fact in facts.tolist()} for facts in (before, after))
    changed = old ^ new
    return np.array(sorted({entity for head, _, tail in changed for entity in (head, tail)}), dtype=np.int64)
