"""Several processes fit one model: each takes a part of the batches, gradients are averaged."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

Batch = TypeVar("Batch")


def join_processes() -> None:
    """Join the other processes of `accelerate launch`; alone, nothing happens."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not distributed.is_initialized():
        from accelerate import PartialState

        PartialState(cpu=not torch.cuda.is_available())


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
    _, count = processes()
    if count == 1:
        return
    seen: list[Any] = [None] * count
    known = list(parameters)
    kinds = [None if each.grad is None else each.grad.is_sparse for each in known]
    distributed.all_gather_object(seen, (facts, kinds))
    share = facts / max(1, sum(others for others, _ in seen))
    for place, parameter in enumerate(known):
        sparse = [kinds_of_one[place] for _, kinds_of_one in seen if kinds_of_one[place] is not None]
        if not sparse:
            continue
        if sparse[0]:
            parameter.grad = summed_rows(parameter, share)
            continue
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad * share
        distributed.all_reduce(gradient)
        parameter.grad = gradient


def summed_rows(parameter: Tensor, share: float) -> Tensor:
    """The sum of all processes' sparse gradients of a table, each times its share."""
    _, count = processes()
    if parameter.grad is None:
        rows, values = torch.zeros(0, dtype=torch.long), parameter.new_zeros(0, parameter.shape[1])
    else:
        own = parameter.grad.coalesce()
        rows, values = own.indices()[0], own.values() * share
    parts: list[Any] = [None] * count
    distributed.all_gather_object(parts, (rows.cpu(), values.detach().cpu()))
    indices, numbers = (torch.cat([part[column] for part in parts]) for column in (0, 1))
    return torch.sparse_coo_tensor(indices[None], numbers, parameter.shape, device=parameter.device)


def agreed(answer: bool) -> bool:
    """Whether the first process says so: clocks differ, steps must not."""
    number, count = processes()
    if count == 1:
        return answer
    told = [answer if number == 0 else None]
    distributed.broadcast_object_list(told, src=0)
    return bool(told[0])
