"""TuckER: one core tensor for all relations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kg.embedding.scorers.base import SCORERS, DotScorer
from kg.embedding.scorers.grouping import by_relation
from kg.embedding.scorers.norm import BatchNorm


@SCORERS.register("tucker")
class TuckER(DotScorer):
    """TuckER: f(h, r, t) = W x_1 h x_2 r x_3 t, a Tucker decomposition with core W.

    Expresses symmetric, antisymmetric and inverse relations; RESCAL, DistMult, ComplEx and SimplE are special cores.

    Args:
        relation_dim: numbers of a relation, `dim` where it is not given.
        hidden_dropout: share of a relation's matrix that is dropped, and of a query, while training.
        batch_norm: normalise heads and queries over the batch, as the authors do.

    Source: Balazevic et al. 2019, "TuckER: Tensor Factorization for Knowledge Graph Completion", section 4.

        >>> scorer = TuckER(num_entities=5, num_relations=2, dim=8, relation_dim=4)
        >>> scorer.score_tails(torch.tensor([0]), torch.tensor([1])).shape
        torch.Size([1, 5])
    """

    defaults: ClassVar[Mapping[str, Any]] = {"mode": "kvsall", "optimizer": "adam", "lr": 0.003, "dropout": 0.2}

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int = 200,
        *,
        relation_dim: int | None = None,
        hidden_dropout: float = 0.2,
        batch_norm: bool = True,
        **shared: Any,
    ) -> None:
        super().__init__(num_entities, num_relations, dim, relation_width=relation_dim or dim, **shared)
        self.core = nn.Parameter(torch.empty(self.relation_width, dim, dim).uniform_(-1, 1) / self.relation_width**0.5)
        self.head_norm, self.query_norm = (BatchNorm(dim) if batch_norm else nn.Identity() for _ in range(2))
        self.hidden_dropout = nn.Dropout(hidden_dropout)

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        matrix = self._matrices(relation)
        return self._finished((self.head_norm(head)[..., None, :] @ matrix)[..., 0, :])

    def relate(self, head: Tensor, relations: Tensor, ids: Tensor) -> Tensor:
        distinct, places = torch.unique(ids, return_inverse=True)
        matrices = self._matrices(relations[distinct])
        return self._finished(by_relation(torch.matmul, self.head_norm(head), matrices, places))

    def _matrices(self, relations: Tensor) -> Tensor:
        made: Tensor = self.hidden_dropout((relations @ self.core.flatten(1)).unflatten(-1, self.core.shape[1:]))
        return made

    def _finished(self, query: Tensor) -> Tensor:
        finished: Tensor = self.hidden_dropout(self.query_norm(query))
        return finished
