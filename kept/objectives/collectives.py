"""Rows of all processes together, with their gradient."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar, get_args, get_type_hints

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from kept.data.batch import TensorFields

Fields = TypeVar("Fields", bound=TensorFields)

KINDS = (torch.int64, torch.float32, torch.bool, torch.float16, torch.bfloat16, torch.uint8)
MOST_AXES = 3
"""Axes of a field beside its rows."""


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


def gather_fields(fields: Fields) -> Fields:
    """The rows of all processes' fields, in rank order; narrower ones end in zeros, absent ones are zeros throughout.

    No gradient flows through it. Every process must call it, with the same kind of fields.
    """
    if processes() == 1:
        return fields
    first = _any_tensor(fields)
    return _gather_kind(type(fields), fields, len(first), first.device)


def _any_tensor(fields: TensorFields) -> Tensor:
    """The first tensor of some fields: all have its rows and its device."""
    for field in dataclasses.fields(fields):  # type: ignore[arg-type]
        value = getattr(fields, field.name)
        if isinstance(value, Tensor):
            return value
        if isinstance(value, TensorFields):
            return _any_tensor(value)
    raise ValueError("fields without any tensor")


def _gather_kind(kind: type[Fields], fields: TensorFields | None, rows: int, device: torch.device) -> Fields:
    gathered: dict[str, Any] = {}
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        value = None if fields is None else getattr(fields, field.name)
        inner = next((each for each in (hints[field.name], *get_args(hints[field.name])) if _is_kind(each)), None)
        if inner is None:
            gathered[field.name] = _gather_tensor(value, rows, device)
        else:
            there = torch.tensor(int(value is not None), device=device)
            dist.all_reduce(there, dist.ReduceOp.MAX)
            gathered[field.name] = _gather_kind(inner, value, rows, device) if there else None
    return kind(**gathered)


def _is_kind(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, TensorFields)


def _gather_tensor(value: Tensor | None, rows: int, device: torch.device) -> Tensor | None:
    """Tensors of one sort from all processes; None where nobody has one."""
    about = torch.zeros(2 + MOST_AXES, dtype=torch.int64, device=device)
    if value is not None:
        sizes = torch.tensor(value.shape[1:], dtype=torch.int64, device=device)
        about[0], about[1], about[2 : 2 + len(sizes)] = KINDS.index(value.dtype) + 1, value.dim(), sizes
    dist.all_reduce(about, dist.ReduceOp.MAX)
    code, axes, *widths = about.tolist()
    if not code:
        return None
    shape = widths[: axes - 1]
    whole = torch.zeros(rows, *shape, dtype=KINDS[code - 1], device=device)
    if value is not None:
        part = whole
        for axis, size in enumerate(value.shape[1:], start=1):
            part = part.narrow(axis, 0, size)
        part.copy_(value.detach())
    flat = whole.flatten(1) if shape else whole[:, None]
    plain = flat.to(torch.uint8) if flat.dtype == torch.bool else flat
    rows_of_all = gather(plain).to(flat.dtype)
    return rows_of_all.view(len(rows_of_all), *shape)
