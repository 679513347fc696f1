"""TransH: translations on a hyperplane of each relation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from kg.embedding.scorers.base import SCORERS, Scorer
from kg.embedding.scorers.transe import TRANSLATION_DEFAULTS


@SCORERS.register("transh")
class TransH(Scorer):
    """TransH: f(h, r, t) = -|h' + d_r - t'|^2, x' = x - <w_r, x> w_r the projection on a hyperplane.

    Expresses antisymmetric, inverse and one-to-many relations (tails may differ along the normal w_r, |w_r| = 1), not
    symmetric ones. A relation's state holds the translation d, then the normal w. All candidates cost two products.

    Source: Wang et al. 2014, "Knowledge Graph Embedding by Translating on Hyperplanes", section 3.

        >>> scorer = TransH(num_entities=5, num_relations=2, dim=8)
        >>> scorer.score_tails(torch.tensor([0]), torch.tensor([1])).shape
        torch.Size([1, 5])
    """

    defaults: ClassVar[Mapping[str, Any]] = TRANSLATION_DEFAULTS

    def __init__(self, num_entities: int, num_relations: int, dim: int = 200, **shared: Any) -> None:
        super().__init__(num_entities, num_relations, dim, relation_width=2 * dim, **shared)

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        translation, normal = relation.chunk(2, -1)
        normal = functional.normalize(normal, dim=-1)
        projected = head - (head * normal).sum(-1, keepdim=True) * normal
        return torch.cat([projected + translation, normal], -1)

    def match(self, query: Tensor, tail: Tensor) -> Tensor:
        moved, normal = query.chunk(2, -1)
        projected = tail - (tail * normal).sum(-1, keepdim=True) * normal
        return -((moved - projected) ** 2).sum(-1)

    def compare(self, query: Tensor, entities: Tensor) -> Tensor:
        moved, normal = query.chunk(2, -1)
        along = normal @ entities.T
        off = (moved * normal).sum(-1, keepdim=True)
        cross = moved @ entities.T - off * along
        lengths = (moved**2).sum(-1, keepdim=True) + (entities**2).sum(-1)
        return 2 * cross - lengths + along**2
