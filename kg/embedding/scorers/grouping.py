"""Work done once for each relation instead of once for each query."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def by_relation(apply: Callable[[Tensor, Tensor], Tensor], head: Tensor, relations: Tensor, ids: Tensor) -> Tensor:
    """Rows of `head` (B, ...) that share a relation go through `apply(rows, relation state)` together.

    A relation's state may be a whole matrix: it is not copied for each row.

    >>> table = torch.tensor([[2.0], [3.0]])
    >>> by_relation(lambda rows, state: rows * state, torch.ones(3, 1), table, torch.tensor([1, 0, 1])).tolist()
    [[3.0], [2.0], [3.0]]
    """
    order = torch.argsort(ids, stable=True)
    distinct, counts = torch.unique_consecutive(ids[order], return_counts=True)
    groups = head[order].split(counts.tolist())
    states = relations[distinct].unbind()
    made = torch.cat([apply(rows, state) for rows, state in zip(groups, states, strict=True)])
    return made[torch.argsort(order)]


def equal_rows(table: Tensor) -> tuple[Tensor, Tensor]:
    """The distinct rows of a (B, W) table, as rows of it that show them, and which of these each row equals.

    Rows that come from the same relation are equal number by number; so are groups found without any ids.

    >>> equal_rows(torch.tensor([[1.0, 2.0], [5.0, 5.0], [1.0, 2.0]]))
    (tensor([0, 1]), tensor([0, 1, 0]))
    """
    order = torch.argsort(table[:, 0], stable=True)
    ordered = table.detach()[order]
    begins = torch.ones(len(table), dtype=torch.bool, device=table.device)
    begins[1:] = (ordered[1:] != ordered[:-1]).any(1)
    group = torch.empty_like(order)
    group[order] = begins.cumsum(0) - 1
    return order[begins], group
