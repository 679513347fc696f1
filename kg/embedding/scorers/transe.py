"""TransE: relations are translations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kg.embedding.distances import euclidean, squared_factors
from kg.embedding.scorers.base import SCORERS, Scorer
from kg.errors import InputError, nearest

TRANSLATION_DEFAULTS: Mapping[str, Any] = {"mode": "negatives", "optimizer": "adam", "lr": 0.003}
DISTANCES = ("l1", "l2", "squared")


@SCORERS.register("transe")
class TransE(Scorer):
    """TransE: f(h, r, t) = -|h + r - t|, by L1, L2 or the squared L2 distance.

    Expresses antisymmetric and inverse relations and composition, not symmetric ones (r would have to be 0) and not
    one-to-many ones (all tails would fall together). The squared distance is a matrix product and therefore the quick
    one for the full softmax.

    Args:
        distance: l1, l2 or squared.

    Source: Bordes et al. 2013, "Translating Embeddings for Modeling Multi-relational Data", section 2.

        >>> scorer = TransE(num_entities=5, num_relations=2, dim=8, distance="l1")
        >>> scorer.score_tails(torch.tensor([0]), torch.tensor([1])).shape
        torch.Size([1, 5])
    """

    defaults: ClassVar[Mapping[str, Any]] = TRANSLATION_DEFAULTS

    def __init__(
        self, num_entities: int, num_relations: int, dim: int = 200, *, distance: str = "l2", **shared: Any
    ) -> None:
        if distance not in DISTANCES:
            raise InputError(
                f"scorer_options.distance: no distance is called {distance!r}; {nearest(distance, DISTANCES)}"
            )
        super().__init__(num_entities, num_relations, dim, **shared)
        self.distance = distance

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        return head + relation

    def match(self, query: Tensor, tail: Tensor) -> Tensor:
        if self.distance == "squared":
            return -((query - tail) ** 2).sum(-1)
        return -torch.linalg.vector_norm(query - tail, ord=1 if self.distance == "l1" else 2, dim=-1)

    def compare(self, query: Tensor, entities: Tensor) -> Tensor:
        if self.distance == "l1":
            return -torch.cdist(query, entities, p=1)
        if self.distance == "l2":
            return -euclidean(query, entities)
        left, right = squared_factors(query, entities)
        return left @ right.T

    def as_product(self, query: Tensor, entities: Tensor) -> tuple[Tensor, Tensor] | None:
        return squared_factors(query, entities) if self.distance == "squared" else None
