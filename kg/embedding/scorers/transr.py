"""TransR: translations in a space of each relation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kg.embedding.scorers.base import SCORERS, Scorer
from kg.embedding.scorers.grouping import by_relation, equal_rows
from kg.embedding.scorers.transe import TRANSLATION_DEFAULTS


@SCORERS.register("transr")
class TransR(Scorer):
    """TransR: f(h, r, t) = -|M_r h + r - M_r t|^2, a matrix into a space of each relation.

    Expresses antisymmetric, inverse and one-to-many relations (tails may differ in what M_r forgets), not symmetric
    ones. A relation's state holds r, then the rows of M_r, which begins as the identity. All candidates cost a product,
    and another one for each relation that is asked.

    Args:
        relation_dim: the dimension of the relations' spaces, `dim` where it is not given.

    Source: Lin et al. 2015, "Learning Entity and Relation Embeddings for Knowledge Graph Completion", section 3.

        >>> scorer = TransR(num_entities=5, num_relations=2, dim=8, relation_dim=4)
        >>> scorer.score_tails(torch.tensor([0]), torch.tensor([1])).shape
        torch.Size([1, 5])
    """

    defaults: ClassVar[Mapping[str, Any]] = TRANSLATION_DEFAULTS

    def __init__(
        self, num_entities: int, num_relations: int, dim: int = 200, *, relation_dim: int | None = None, **shared: Any
    ) -> None:
        self.space = relation_dim or dim
        super().__init__(num_entities, num_relations, dim, relation_width=self.space * (dim + 1), **shared)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if self.relations.shape[1] == self.relation_width:  # an encoder makes states of its own
            with torch.no_grad():
                matrices = self.relations[:, self.space :].view(-1, self.space, self.entity_width)
                matrices.copy_(torch.eye(self.space, self.entity_width))
                matrices.add_(torch.randn_like(matrices), alpha=0.1 * self.init_std)

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        translation, matrix = relation.split([self.space, self.space * self.entity_width], -1)
        rows = matrix.unflatten(-1, (self.space, self.entity_width))
        moved = (rows @ head[..., None])[..., 0] + translation
        back = (moved[..., None, :] @ rows)[..., 0, :]
        return torch.cat([back, (moved**2).sum(-1, keepdim=True), matrix], -1)

    def relate(self, head: Tensor, relations: Tensor, ids: Tensor) -> Tensor:
        def apply(rows: Tensor, state: Tensor) -> Tensor:
            translation, matrix = state.split([self.space, self.space * self.entity_width])
            moved = rows @ matrix.view(self.space, self.entity_width).T + translation
            back = moved @ matrix.view(self.space, self.entity_width)
            return torch.cat([back, (moved**2).sum(-1, keepdim=True), matrix.expand(len(rows), -1)], 1)

        return by_relation(apply, head, relations, ids)

    def match(self, query: Tensor, tail: Tensor) -> Tensor:
        back, length, matrix = self._parts(query)
        projected = (matrix.unflatten(-1, (self.space, self.entity_width)) @ tail[..., None])[..., 0]
        return 2 * (back * tail).sum(-1) - length[..., 0] - (projected**2).sum(-1)

    def compare(self, query: Tensor, entities: Tensor) -> Tensor:
        back, length, matrix = self._parts(query)
        shown, group = equal_rows(matrix)
        # A tail's length in the space of a relation is the same for all queries of the relation.
        lengths = torch.stack([((entities @ matrix[row].view(self.space, -1).T) ** 2).sum(1) for row in shown.tolist()])
        return 2 * back @ entities.T - length - lengths[group]

    def _parts(self, query: Tensor) -> tuple[Tensor, ...]:
        return query.split([self.entity_width, 1, self.space * self.entity_width], -1)
