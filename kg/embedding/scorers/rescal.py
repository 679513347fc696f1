"""RESCAL: a full bilinear form for each relation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kg.embedding.scorers.base import SCORERS, DotScorer
from kg.embedding.scorers.grouping import by_relation
from kg.embedding.states import Edges, States


@SCORERS.register("rescal")
class RESCAL(DotScorer):
    """RESCAL: f(h, r, t) = h^T M_r t, a matrix for each relation.

    Expresses symmetric, antisymmetric and inverse relations and composition (a product of matrices). A relation's state
    holds the rows of M_r: `dim`^2 numbers.

    Args:
        tied: the matrix of an inverse relation is the transpose of the relation's, so that both sides of a fact have
            one score; otherwise it is one of its own, which fits the facts sooner and generalises less.

    Source: Nickel et al. 2011, "A Three-Way Model for Collective Learning on Multi-Relational Data", section 3.

        >>> scorer = RESCAL(num_entities=5, num_relations=2, dim=8)
        >>> scorer.score_tails(torch.tensor([0]), torch.tensor([1])).shape
        torch.Size([1, 5])
    """

    defaults: ClassVar[Mapping[str, Any]] = {"dim": 128, "init_std": 0.05, "optimizer": "adam", "lr": 0.001}

    def __init__(
        self, num_entities: int, num_relations: int, dim: int = 128, *, tied: bool = True, **shared: Any
    ) -> None:
        super().__init__(num_entities, num_relations, dim, relation_width=dim**2, **shared)
        self.tied = tied

    def encode(self, edges: Edges, entities: Tensor) -> States:
        states = super().encode(edges, entities)
        if not self.tied:
            return states
        forth = states.relations[: self.num_relations]
        back = forth.unflatten(1, (self.entity_width, -1)).transpose(1, 2).flatten(1)
        return states._replace(relations=torch.cat([forth, back]))

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        matrix = relation.unflatten(-1, (self.entity_width, self.entity_width))
        return (head[..., None, :] @ matrix)[..., 0, :]

    def relate(self, head: Tensor, relations: Tensor, ids: Tensor) -> Tensor:
        return by_relation(lambda rows, state: rows @ state.view(rows.shape[1], -1), head, relations, ids)
