"""Several processes fit one model: each takes a part of the batches, gradients are averaged."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor, distributed

Batch = TypeVar("Batch")
ABSENT, DENSE, SPARSE = range(3)
"""Kinds of gradients."""


def join_processes() -> None:
    """Join the other processes of a launcher; alone, nothing happens."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not distributed.is_initialized():
        from accelerate import PartialState

        PartialState(cpu=not torch.cuda.is_available())


def leave_processes(code: int = 0) -> None:
    """Part from the others and end this process with an exit code; alone, nothing happens.

    The interpreter's own end may find a thread of the connections still alive and abort, the work long done; so what
    was written is flushed, and the process ends without it.
    """
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def processes() -> tuple[int, int]:
    """(the number of this process, how many there are)."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def shared_out(batches: Iterable[Batch]) -> Iterator[Batch | None]:
    """The batches of this process, every n-th; None where others still have one.

    >>> list(shared_out("abc"))
    ['a', 'b', 'c']
    """
    number, count = processes()
    group: list[Batch] = []
    for batch in batches:
        group.append(batch)
        if len(group) == count:
            yield group[number]
            group = []
    if group:
        yield group[number] if number < len(group) else None


def average_gradients(parameters: Iterable[Tensor], facts: int) -> None:
    """Replace gradients by their mean over the facts of all processes, of which this one saw so many.

    n processes with batches of b facts make the steps of one with batches of n b.
    """
    if processes()[1] == 1:
        return
    known = list(parameters)
    kinds = [ABSENT if each.grad is None else SPARSE if each.grad.is_sparse else DENSE for each in known]
    told = gathered(torch.tensor([facts, *kinds], device=known[0].device))
    share = facts / max(1, int(told[:, 0].sum()))
    for parameter, kind in zip(known, told[:, 1:].amax(0).tolist(), strict=True):
        if kind == SPARSE:
            parameter.grad = summed_rows(parameter, share)
        elif kind == DENSE:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad * share
            distributed.all_reduce(gradient)
            parameter.grad = gradient


def summed_rows(parameter: Tensor, share: float) -> Tensor:
    """The sum of all processes' sparse gradients of a table, each times its share."""
    rows, values = torch.zeros(0, dtype=torch.long, device=parameter.device), parameter.new_zeros(0, parameter.shape[1])
    if parameter.grad is not None:
        own = parameter.grad.coalesce()
        rows, values = own.indices()[0], own.values() * share
    lengths = gathered(torch.tensor([len(rows)], device=parameter.device))[:, 0].tolist()
    # What is gathered has one shape everywhere: shorter parts are filled up, and cut again.
    room = max(lengths) - len(rows)
    indices = gathered(torch.cat([rows, rows.new_zeros(room)]))
    numbers = gathered(torch.cat([values, values.new_zeros(room, values.shape[1])]))
    index = torch.cat([part[:length] for part, length in zip(indices, lengths, strict=True)])
    summands = torch.cat([part[:length] for part, length in zip(numbers, lengths, strict=True)])
    return torch.sparse_coo_tensor(index[None], summands, parameter.shape)


def gathered(tensor: Tensor) -> Tensor:
    """The tensors of all processes, of one shape, on top of each other."""
    parts = [torch.empty_like(tensor) for _ in range(processes()[1])]
    distributed.all_gather(parts, tensor.contiguous())
    return torch.stack(parts)


def agreed(answer: bool) -> bool:
    """Whether the first process says so: clocks differ, steps must not."""
    if processes()[1] == 1:
        return answer
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    told = torch.tensor([int(answer)], device=device)
    distributed.broadcast(told, src=0)
    return bool(told.item())
