"""CP: entities have one vector as heads and one as tails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from kg.embedding.scorers.base import SCORERS, Scorer, halved


@SCORERS.register("cp")
class CP(Scorer):
    """CP, the canonical polyadic decomposition: f(h, r, t) = <h_head, r, t_tail>.

    Expresses symmetric, antisymmetric and inverse relations (the last through reciprocal relations). A state holds the
    vector as a head, then the one as a tail, so `dim` counts both and must be even.

    Source: Hitchcock 1927; Lacroix et al. 2018, "Canonical Tensor Decomposition for Knowledge Base Completion".

        >>> import torch
        >>> scorer = CP(num_entities=5, num_relations=2, dim=8)
        >>> scorer.score_tails(torch.tensor([0]), torch.tensor([1])).shape
        torch.Size([1, 5])
    """

    defaults: ClassVar[Mapping[str, Any]] = {"n3": 0.01}

    def __init__(self, num_entities: int, num_relations: int, dim: int = 200, **shared: Any) -> None:
        super().__init__(num_entities, num_relations, dim, relation_width=halved(dim, "a head and a tail"), **shared)

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        return head.chunk(2, -1)[0] * relation

    def match(self, query: Tensor, tail: Tensor) -> Tensor:
        return (query * tail.chunk(2, -1)[1]).sum(-1)

    def compare(self, query: Tensor, entities: Tensor) -> Tensor:
        left, right = self.as_product(query, entities)
        return left @ right.T

    def as_product(self, query: Tensor, entities: Tensor) -> tuple[Tensor, Tensor]:
        return query, entities.chunk(2, -1)[1]
