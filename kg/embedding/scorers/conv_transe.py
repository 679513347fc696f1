"""Conv-TransE: ConvE's convolution without reshaping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kg.embedding.scorers.base import SCORERS, DotScorer
from kg.embedding.scorers.norm import BatchNorm


@SCORERS.register("conv-transe")
class ConvTransE(DotScorer):
    """Conv-TransE: f(h, r, t) = <ReLU(vec([h; r] * w) W), t>, filters of 2 x k along two rows, h and r.

    Number by number, h and r stay aligned, so a filter can add them as TransE does. The decoder of SACN. Expresses
    symmetric, antisymmetric and inverse relations (the last through reciprocal relations).

    Args:
        channels: the number of filters.
        kernel: k, an odd number.
        input_dropout, map_dropout, hidden_dropout: shares of the rows' numbers, of whole channels and of the query's
            numbers that are dropped while training.

    Source: Shang et al. 2019, "End-to-End Structure-Aware Convolutional Networks for Knowledge Base Completion",
    section 3.2.

        >>> scorer = ConvTransE(num_entities=5, num_relations=2, dim=8)
        >>> scorer.score_tails(torch.tensor([0]), torch.tensor([1])).shape
        torch.Size([1, 5])
    """

    defaults: ClassVar[Mapping[str, Any]] = {"mode": "kvsall", "optimizer": "adam", "lr": 0.003, "label_smoothing": 0.1}

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int = 200,
        *,
        channels: int = 32,
        kernel: int = 5,
        input_dropout: float = 0.2,
        map_dropout: float = 0.2,
        hidden_dropout: float = 0.3,
        **shared: Any,
    ) -> None:
        super().__init__(num_entities, num_relations, dim, **shared)
        self.input_norm, self.map_norm, self.query_norm = BatchNorm(2), BatchNorm(channels), BatchNorm(dim)
        self.input_dropout, self.map_dropout = nn.Dropout(input_dropout), nn.Dropout1d(map_dropout)
        self.hidden_dropout = nn.Dropout(hidden_dropout)
        self.filters = nn.Conv1d(2, channels, kernel, padding=kernel // 2)
        self.last = nn.Linear(channels * dim, dim)

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        leading = head.shape[:-1]
        rows = torch.stack([head, relation], -2).flatten(0, -3)
        rows = self.input_dropout(self.input_norm(rows))
        maps = self.map_dropout(torch.relu(self.map_norm(self.filters(rows))))
        query = torch.relu(self.query_norm(self.hidden_dropout(self.last(maps.flatten(1)))))
        return query.reshape(*leading, -1)
