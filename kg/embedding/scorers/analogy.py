"""ANALOGY: bilinear forms that commute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kg.embedding.scorers.base import SCORERS, DotScorer
from kg.embedding.scorers.complex import ComplEx
from kg.errors import InputError


@SCORERS.register("analogy")
class ANALOGY(DotScorer):
    """ANALOGY: f(h, r, t) = h^T B_r t, all B_r normal and commuting: half DistMult, half ComplEx.

    Such matrices are, in one common basis, diagonal numbers and rotations with scale (blocks of two by two). Expresses
    symmetric, antisymmetric and inverse relations. The first half of a state is real, the rest complex as in ComplEx,
    so `dim` must be a multiple of 4.

    Source: Liu et al. 2017, "Analogical Inference for Multi-relational Embeddings", section 4.

        >>> scorer = ANALOGY(num_entities=5, num_relations=2, dim=8)
        >>> scorer.score_tails(torch.tensor([0]), torch.tensor([1])).shape
        torch.Size([1, 5])
    """

    defaults: ClassVar[Mapping[str, Any]] = {"n3": 0.01}

    def __init__(self, num_entities: int, num_relations: int, dim: int = 200, **shared: Any) -> None:
        if dim % 4:
            raise InputError(f"dim: half the numbers are complex; expected a multiple of 4, got {dim}")
        super().__init__(num_entities, num_relations, dim, **shared)

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        real, paired = head.chunk(2, -1)
        scale, rotation = relation.chunk(2, -1)
        return torch.cat([real * scale, ComplEx.rotated(paired, rotation)], -1)

    def moduli(self, states: Tensor) -> Tensor:
        real, paired = states.chunk(2, -1)
        return torch.cat([real.abs(), ComplEx.lengths(paired)], -1)
