"""SimplE: CP whose two vectors of an entity learn from each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kg.embedding.scorers.base import SCORERS, DotScorer, halved


@SCORERS.register("simple")
class SimplE(DotScorer):
    """SimplE: f(h, r, t) = (<h_head, r, t_tail> + <t_head, r', h_tail>) / 2, two forms that share their entities.

    Expresses symmetric, antisymmetric and inverse relations. An entity's state holds its vector as a head, then the one
    as a tail; a relation's holds r, then r'; `dim` counts both and must be even.

    Source: Kazemi & Poole 2018, "SimplE Embedding for Link Prediction in Knowledge Graphs", section 4.

        >>> scorer = SimplE(num_entities=5, num_relations=2, dim=8)
        >>> scorer.score_tails(torch.tensor([0]), torch.tensor([1])).shape
        torch.Size([1, 5])
    """

    defaults: ClassVar[Mapping[str, Any]] = {"n3": 0.01}

    def __init__(self, num_entities: int, num_relations: int, dim: int = 200, **shared: Any) -> None:
        halved(dim, "a head and a tail")
        super().__init__(num_entities, num_relations, dim, **shared)

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        as_head, as_tail = head.chunk(2, -1)
        forth, back = relation.chunk(2, -1)
        return torch.cat([as_tail * back, as_head * forth], -1) / 2
