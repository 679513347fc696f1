"""Distances of queries to all candidates, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

BLOCK = 1 << 22


def squared_factors(query: Tensor, entities: Tensor) -> tuple[Tensor, Tensor]:
    """(B, d), (C, d) -> (B, d + 2), (C, d + 2) whose product is `-|q - e|^2`, so a distance costs a matrix product.

    >>> left, right = squared_factors(torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0]]))
    >>> (left @ right.T).item()
    -4.0
    """
    left = torch.cat([2 * query, -(query**2).sum(1, keepdim=True), -torch.ones_like(query[:, :1])], 1)
    right = torch.cat([entities, torch.ones_like(entities[:, :1]), (entities**2).sum(1, keepdim=True)], 1)
    return left, right


def euclidean(query: Tensor, entities: Tensor) -> Tensor:
    """(B, d), (C, d) -> distances (B, C), through one matrix product."""
    left, right = squared_factors(query, entities)
    return (-(left @ right.T)).clamp_min(torch.finfo(query.dtype).tiny).sqrt()


def modulus_distance(query: Tensor, entities: Tensor) -> Tensor:
    """The sum of complex moduli |q_k - e_k| for all pairs: (B, 2k), (C, 2k) reals -> (B, C).

    A row holds k real parts, then k imaginary parts. No product gives this distance; blocks of pairs are formed and
    forgotten, and formed again for the gradient, so that memory stays near `BLOCK` numbers.
    """
    distances: Tensor = _ModulusDistance.apply(query, entities)
    return distances


def pairwise(match: Callable[[Tensor, Tensor], Tensor], query: Tensor, entities: Tensor, width: int) -> Tensor:
    """Scores of all pairs, (B, Q), (C, d) -> (B, C), by a function of pairs that makes `width` numbers for each.

    Blocks of queries are compared one by one and, for the gradient, once more, so that memory stays near `BLOCK`
    numbers.

    >>> pairwise(lambda q, t: (q - t).abs().sum(-1), torch.zeros(2, 3), torch.ones(4, 3), 3).tolist()[0]
    [3.0, 3.0, 3.0, 3.0]
    """
    size = max(1, BLOCK // max(1, width * len(entities)))
    blocks = [
        checkpoint(lambda rows: match(rows[:, None, :], entities), rows, use_reentrant=False)
        for rows in query.split(size)
    ]
    return torch.cat(blocks)


class _ModulusDistance(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, entities: Tensor) -> Tensor:
        ctx.save_for_backward(query, entities)
        distances = query.new_empty(len(query), len(entities))
        for rows in _row_blocks(query, entities):
            _, modulus = _differences(query[rows], entities)
            distances[rows] = modulus.sum(2)
        return distances

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor, Tensor]:
        query, entities = ctx.saved_tensors
        query_gradient, entity_gradient = torch.zeros_like(query), torch.zeros_like(entities)
        for rows in _row_blocks(query, entities):
            difference, modulus = _differences(query[rows], entities)
            direction = difference / modulus.clamp_min(torch.finfo(query.dtype).tiny)[:, :, None, :]
            direction = (direction * outer[rows, :, None, None]).flatten(2)
            query_gradient[rows] = direction.sum(1)
            entity_gradient -= direction.sum(0)
        return query_gradient, entity_gradient


def _row_blocks(query: Tensor, entities: Tensor) -> list[slice]:
    size = max(1, BLOCK // max(1, entities.numel()))
    return [slice(start, start + size) for start in range(0, len(query), size)]


def _differences(query: Tensor, entities: Tensor) -> tuple[Tensor, Tensor]:
    difference = (query[:, None, :] - entities[None, :, :]).unflatten(2, (2, -1))
    return difference, torch.hypot(difference[:, :, 0], difference[:, :, 1])
