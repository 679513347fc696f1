"""Matrix products of training, in 32 bits or, where asked for, in 16."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

IN_CACHE = 1 << 17
"""Numbers of a block of rows that stays in a core's cache while several passes go over it."""


def product(left: Tensor, right: Tensor, *, half: bool = False) -> Tensor:
    """left @ right.T; with `half` its factors are rounded to bfloat16, the sums are not.

    >>> product(torch.ones(1, 2), torch.ones(3, 2)).tolist()
    [[2.0, 2.0, 2.0]]
    """
    if not half or left.device.type != "cpu":
        return left @ right.T
    with rounding_factors():
        return left @ right.T


@contextmanager
def rounding_factors() -> Iterator[None]:
    """Within the block products of 32-bit matrices may round their factors to bfloat16, in all threads."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def factor_gradients(gradient: Tensor, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of both factors from that of their product, in the precision of the latter."""
    if gradient.dtype == left.dtype:
        return gradient @ right, gradient.T @ left
    low = gradient.dtype
    return (gradient @ right.to(low)).to(left.dtype), (gradient.T @ left.to(low)).to(right.dtype)


def row_blocks(matrix: Tensor) -> Iterator[slice]:
    """Slices of rows, each small enough to stay in the cache; one for all on a GPU."""
    rows = len(matrix) if matrix.device.type != "cpu" else max(1, IN_CACHE // max(1, matrix.shape[1]))
    for start in range(0, len(matrix), max(1, rows)):
        yield slice(start, start + rows)
