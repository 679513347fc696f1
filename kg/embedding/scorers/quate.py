"""QuatE: relations rotate quaternions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kg.embedding.scorers.base import SCORERS, DotScorer
from kg.errors import InputError


@SCORERS.register("quate")
class QuatE(DotScorer):
    """QuatE: f(h, r, t) = <h (x) r / |r|, t>, the Hamilton product of quaternions.

    Expresses symmetric, antisymmetric and inverse relations. A state holds the four parts a, b, c, d of a + bi + cj +
    dk one behind the other, so `dim` must be a multiple of 4; each quaternion of a relation is brought to length 1.

    Source: Zhang et al. 2019, "Quaternion Knowledge Graph Embeddings", section 3.

        >>> scorer = QuatE(num_entities=5, num_relations=2, dim=8)
        >>> scorer.score_tails(torch.tensor([0]), torch.tensor([1])).shape
        torch.Size([1, 5])
    """

    defaults: ClassVar[Mapping[str, Any]] = {"n3": 0.01}

    def __init__(self, num_entities: int, num_relations: int, dim: int = 200, **shared: Any) -> None:
        if dim % 4:
            raise InputError(f"dim: a quaternion has four numbers; expected a multiple of 4, got {dim}")
        super().__init__(num_entities, num_relations, dim, **shared)

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        a, b, c, d = head.chunk(4, -1)
        parts = relation.unflatten(-1, (4, -1))
        p, q, u, v = (parts / parts.norm(dim=-2, keepdim=True).clamp_min(1e-12)).unbind(-2)
        return torch.cat(
            [
                a * p - b * q - c * u - d * v,
                a * q + b * p + c * v - d * u,
                a * u - b * v + c * p + d * q,
                a * v + b * u - c * q + d * p,
            ],
            -1,
        )

    def moduli(self, states: Tensor) -> Tensor:
        return torch.sqrt((states.unflatten(-1, (4, -1)) ** 2).sum(-2) + torch.finfo(states.dtype).tiny)
