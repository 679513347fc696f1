"""RotatE: relations are rotations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kg.embedding.distances import euclidean, modulus_distance
from kg.embedding.scorers.base import SCORERS, Scorer, halved
from kg.embedding.scorers.transe import TRANSLATION_DEFAULTS
from kg.errors import InputError, nearest

NORMS = ("moduli", "l2")


@SCORERS.register("rotate")
class RotatE(Scorer):
    """RotatE: f(h, r, t) = -sum_k |h_k exp(i r_k) - t_k| over complex entities and phases r.

    Expresses symmetric (phases 0 or pi), antisymmetric and inverse relations and composition. An entity's state holds
    the real half, then the imaginary half, so `dim` counts real numbers and must be even; a relation has `dim / 2`
    phases. Its distance is no matrix product: train it with negatives where there are many entities.

    Args:
        norm: "moduli" sums the moduli of all numbers, as the authors do; "l2" takes the root of their squares' sum, as
            PyKEEN does.

    Source: Sun et al. 2019, "RotatE: Knowledge Graph Embedding by Relational Rotation in Complex Space", section 3.

        >>> scorer = RotatE(num_entities=5, num_relations=2, dim=8)
        >>> scorer.score_tails(torch.tensor([0]), torch.tensor([1])).shape
        torch.Size([1, 5])
    """

    defaults: ClassVar[Mapping[str, Any]] = TRANSLATION_DEFAULTS

    def __init__(
        self, num_entities: int, num_relations: int, dim: int = 200, *, norm: str = "moduli", **shared: Any
    ) -> None:
        if norm not in NORMS:
            raise InputError(f"scorer_options.norm: no norm is called {norm!r}; {nearest(norm, NORMS)}")
        phases = halved(dim, "real and imaginary parts")
        super().__init__(num_entities, num_relations, dim, relation_width=phases, **shared)
        self.norm = norm

    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.uniform_(self.relations, -math.pi, math.pi)

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        real, imaginary = head.chunk(2, -1)
        cosine, sine = torch.cos(relation), torch.sin(relation)
        return torch.cat([real * cosine - imaginary * sine, real * sine + imaginary * cosine], -1)

    def match(self, query: Tensor, tail: Tensor) -> Tensor:
        if self.norm == "l2":
            return -torch.linalg.vector_norm(query - tail, dim=-1)
        real, imaginary = (query - tail).chunk(2, -1)
        return -torch.hypot(real, imaginary).sum(-1)

    def compare(self, query: Tensor, entities: Tensor) -> Tensor:
        return -euclidean(query, entities) if self.norm == "l2" else -modulus_distance(query, entities)
