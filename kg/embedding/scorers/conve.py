"""ConvE: a convolution over head and relation laid out as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kg.embedding.scorers.base import SCORERS, DotScorer
from kg.embedding.scorers.norm import BatchNorm
from kg.errors import InputError


@SCORERS.register("conve")
class ConvE(DotScorer):
    """ConvE: f(h, r, t) = <ReLU(vec(ReLU([h; r] * w)) W), t> + b_t, h and r as pictures one above the other.

    `*` is a convolution with 3 x 3 filters. Expresses symmetric, antisymmetric and inverse relations (the last through
    reciprocal relations). An entity's state holds its vector, then its bias b, so it is `dim` + 1 wide.

    Args:
        height: rows of each picture, a divisor of `dim`; by default the largest one up to its square root.
        channels: the number of filters.
        input_dropout, map_dropout, hidden_dropout: shares of the picture's numbers, of whole channels and of the
            query's numbers that are dropped while training.

    Source: Dettmers et al. 2018, "Convolutional 2D Knowledge Graph Embeddings", section 4.

        >>> scorer = ConvE(num_entities=5, num_relations=2, dim=8)
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
        height: int | None = None,
        channels: int = 32,
        input_dropout: float = 0.2,
        map_dropout: float = 0.2,
        hidden_dropout: float = 0.3,
        **shared: Any,
    ) -> None:
        height = height or max(rows for rows in range(1, int(dim**0.5) + 1) if dim % rows == 0)
        if dim % height or dim // height < 3 or 2 * height < 3:
            raise InputError(
                f"scorer_options.height: {dim} numbers in {height} rows leave no picture for filters of 3 x 3; "
                "choose another dim"
            )
        super().__init__(num_entities, num_relations, dim, entity_width=dim + 1, relation_width=dim, **shared)
        self.height = height
        self.input_norm, self.map_norm, self.query_norm = nn.BatchNorm2d(1), nn.BatchNorm2d(channels), BatchNorm(dim)
        self.input_dropout, self.map_dropout = nn.Dropout(input_dropout), nn.Dropout2d(map_dropout)
        self.hidden_dropout = nn.Dropout(hidden_dropout)
        self.filters = nn.Conv2d(1, channels, 3)
        self.last = nn.Linear(channels * (2 * height - 2) * (dim // height - 2), dim)

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        leading, shape = head.shape[:-1], (-1, 1, self.height, relation.shape[-1] // self.height)
        parts = (head[..., :-1].reshape(shape), relation.reshape(shape))
        picture = self.input_dropout(self.input_norm(torch.cat(parts, 2)))
        maps = self.map_dropout(torch.relu(self.map_norm(self.filters(picture))))
        query = torch.relu(self.query_norm(self.hidden_dropout(self.last(maps.flatten(1)))))
        return torch.cat([query, torch.ones_like(query[:, :1])], 1).reshape(*leading, -1)
