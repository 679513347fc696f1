"""NTN: a small neural network with a bilinear layer for each relation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kg.embedding.scorers.base import SCORERS, Scorer
from kg.embedding.scorers.grouping import by_relation


@SCORERS.register("ntn")
class NTN(Scorer):
    """NTN, neural tensor network: f(h, r, t) = u_r^T tanh(h^T W_r^[1:k] t + V_r [h; t] + b_r).

    Expresses what RESCAL does, and more. A relation's state holds, for each of k slices, u, b, V (2 `dim`) and W
    (`dim`^2): it grows with the square of `dim`. All candidates cost k products.

    Args:
        slices: k.

    Source: Socher et al. 2013, "Reasoning With Neural Tensor Networks for Knowledge Base Completion", section 3.

        >>> scorer = NTN(num_entities=5, num_relations=2, dim=8)
        >>> scorer.score_tails(torch.tensor([0]), torch.tensor([1])).shape
        torch.Size([1, 5])
    """

    defaults: ClassVar[Mapping[str, Any]] = {"dim": 64, "optimizer": "adam", "lr": 0.003}

    def __init__(self, num_entities: int, num_relations: int, dim: int = 64, *, slices: int = 4, **shared: Any) -> None:
        self.slices = slices
        width = slices * (2 + 2 * dim + dim**2)
        super().__init__(num_entities, num_relations, dim, relation_width=width, **shared)

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        weights, form = self._parts(relation)
        return self._packed(head, weights, (head[..., None, None, :] @ form)[..., 0, :])

    def relate(self, head: Tensor, relations: Tensor, ids: Tensor) -> Tensor:
        def apply(rows: Tensor, state: Tensor) -> Tensor:
            weights, form = self._parts(state)
            return self._packed(rows, weights, (rows @ form).transpose(0, 1))

        return by_relation(apply, head, relations, ids)

    def _parts(self, relation: Tensor) -> tuple[Tensor, Tensor]:
        """(..., k, 2 + 2 dim) of u, b and V, and (..., k, dim, dim) of W."""
        by_slice = relation.unflatten(-1, (self.slices, -1))
        weights, form = by_slice.split([2 + 2 * self.entity_width, self.entity_width**2], -1)
        return weights, form.unflatten(-1, (self.entity_width, self.entity_width))

    def _packed(self, head: Tensor, weights: Tensor, product: Tensor) -> Tensor:
        """For each slice: the direction of t (dim), the constant, u; all slices one behind the other."""
        u, bias, of_head, of_tail = weights.split([1, 1, self.entity_width, self.entity_width], -1)
        constant = (of_head * head[..., None, :]).sum(-1, keepdim=True) + bias
        return torch.cat([product + of_tail, constant, u.expand_as(constant)], -1).flatten(-2)

    def match(self, query: Tensor, tail: Tensor) -> Tensor:
        direction, constant, u = self._slices(query)
        inner = torch.tanh((direction * tail[..., None, :]).sum(-1) + constant[..., 0])
        return (u[..., 0] * inner).sum(-1)

    def compare(self, query: Tensor, entities: Tensor) -> Tensor:
        scores = query.new_zeros(len(query), len(entities))
        for direction, constant, u in zip(*(part.unbind(1) for part in self._slices(query)), strict=True):
            scores = scores + u * torch.tanh(direction @ entities.T + constant)
        return scores

    def _slices(self, query: Tensor) -> tuple[Tensor, ...]:
        return query.unflatten(-1, (self.slices, -1)).split([self.entity_width, 1, 1], -1)
