"""ConvKB: filters over head, relation and tail side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kg.embedding.distances import pairwise
from kg.embedding.scorers.base import SCORERS, Scorer


@SCORERS.register("convkb")
class ConvKB(Scorer):
    """ConvKB: f(h, r, t) = <w, concat_f ReLU(a_f h + b_f r + c_f t + d_f)>, filters (a, b, c) of 1 x 3.

    With the filter (1, 1, -1) it contains a distance like TransE's. No product gives its scores: candidates are
    compared pair by pair, so train it with negatives where there are many entities.

    Args:
        filters: their number.
        hidden_dropout: share of the filtered numbers that are dropped while training.

    Source: Nguyen et al. 2018, "A Novel Embedding Model for Knowledge Base Completion Based on Convolutional Neural
    Network", section 2.

        >>> scorer = ConvKB(num_entities=5, num_relations=2, dim=8)
        >>> scorer.score_tails(torch.tensor([0]), torch.tensor([1])).shape
        torch.Size([1, 5])
    """

    defaults: ClassVar[Mapping[str, Any]] = {"mode": "negatives", "optimizer": "adam", "lr": 0.003, "dim": 100}

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int = 100,
        *,
        filters: int = 16,
        hidden_dropout: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(num_entities, num_relations, dim, **shared)
        # Half the filters begin as TransE's, as the authors have them, the signs of the other half turned around.
        signs = torch.tensor([[1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]]).repeat(-(-filters // 2), 1)[:filters]
        self.filters = nn.Parameter(signs + 0.1 * torch.randn(filters, 3))
        self.bias = nn.Parameter(torch.zeros(filters))
        self.weights = nn.Parameter(-torch.rand(filters, dim) / dim**0.5)
        self.hidden_dropout = nn.Dropout(hidden_dropout)

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        of_head, of_relation, _ = self.filters.unbind(1)
        mixed = of_head[:, None] * head[..., None, :] + of_relation[:, None] * relation[..., None, :]
        return (mixed + self.bias[:, None]).flatten(-2)

    def match(self, query: Tensor, tail: Tensor) -> Tensor:
        mixed = query.unflatten(-1, self.weights.shape) + self.filters[:, 2, None] * tail[..., None, :]
        return (self.hidden_dropout(torch.relu(mixed)) * self.weights).sum((-1, -2))

    def compare(self, query: Tensor, entities: Tensor) -> Tensor:
        return pairwise(self.match, query, entities, self.weights.numel())
