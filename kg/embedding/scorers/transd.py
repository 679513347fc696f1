"""TransD: projections made from two vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kg.embedding.scorers.base import SCORERS, Scorer, halved
from kg.embedding.scorers.transe import TRANSLATION_DEFAULTS


@SCORERS.register("transd")
class TransD(Scorer):
    """TransD: f(h, r, t) = -|h' + r - t'|^2, x' = x + <x_p, x> r_p, a matrix r_p x_p^T + I for each pair.

    Expresses antisymmetric, inverse and one-to-many relations, not symmetric ones. An entity's state holds x, then its
    projection vector x_p, so `dim` counts both and must be even; a relation's holds r and r_p. All candidates cost two
    products.

    Source: Ji et al. 2015, "Knowledge Graph Embedding via Dynamic Mapping Matrix", section 3.

        >>> scorer = TransD(num_entities=5, num_relations=2, dim=8)
        >>> scorer.score_tails(torch.tensor([0]), torch.tensor([1])).shape
        torch.Size([1, 5])
    """

    defaults: ClassVar[Mapping[str, Any]] = TRANSLATION_DEFAULTS

    def __init__(self, num_entities: int, num_relations: int, dim: int = 200, **shared: Any) -> None:
        halved(dim, "a vector and its projection")
        super().__init__(num_entities, num_relations, dim, **shared)

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        translation, direction = relation.chunk(2, -1)
        return torch.cat([self._projected(head, direction) + translation, direction], -1)

    def match(self, query: Tensor, tail: Tensor) -> Tensor:
        moved, direction = query.chunk(2, -1)
        return -((moved - self._projected(tail, direction)) ** 2).sum(-1)

    def compare(self, query: Tensor, entities: Tensor) -> Tensor:
        moved, direction = query.chunk(2, -1)
        position, projection = entities.chunk(2, -1)
        shift = (position * projection).sum(-1)
        cross = 2 * moved @ position.T - (moved**2).sum(-1, keepdim=True) - (position**2).sum(-1)
        aside = 2 * (moved * direction).sum(-1, keepdim=True) - 2 * direction @ position.T
        return cross + shift * aside - shift**2 * (direction**2).sum(-1, keepdim=True)

    @staticmethod
    def _projected(state: Tensor, direction: Tensor) -> Tensor:
        position, projection = state.chunk(2, -1)
        return position + (position * projection).sum(-1, keepdim=True) * direction
