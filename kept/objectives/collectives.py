"""Rows of all processes together, with their gradient."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor


def processes() -> int:
    """How many processes train together; 1 where none were started."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather(rows: Tensor) -> Tensor:
    """(B, d) of each process -> (sum of all B, d) in rank order, on every process; B may differ, d may not.

    The gradient of a row is the sum of what every process's loss asks of it, so that losses which are sums over a
    process's own rows add up, gradients included, to the loss of one process that holds all rows. Every process must
    call it, and call `backward` through it, equally often.

        >>> gather(torch.ones(2, 3)).shape
        torch.Size([2, 3])
    """
    return _Gather.apply(rows) if processes() > 1 else rows


def gather_padded(rows: Tensor, fill: int) -> Tensor:
    """`gather` of (B, d) rows whose d differs between processes; shorter rows end in `fill`."""
    if processes() == 1:
        return rows
    width = torch.tensor(rows.shape[1], device=rows.device)
    dist.all_reduce(width, dist.ReduceOp.MAX)
    return gather(F.pad(rows, (0, int(width) - rows.shape[1]), value=fill))


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        counts = torch.zeros(processes(), dtype=torch.int64, device=rows.device)
        counts[dist.get_rank()] = len(rows)
        dist.all_reduce(counts)
        ctx.counts = counts.tolist()
        padded = rows.new_zeros(max(ctx.counts), rows.shape[1])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in ctx.counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, ctx.counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient)
        own: Tensor = gradient.split(ctx.counts)[dist.get_rank()]
        return own
