"""Adagrad and Adam whose step costs what was touched, not what there is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.adagrad import adagrad
from torch.optim.adam import adam

from kg.embedding.mapped import MappedTables


class RowSparse(torch.optim.Optimizer):
    """An optimizer that takes a dense gradient by torch's fused kernel and a sparse one by its rows.

    The fused kernel is one pass over a table instead of four. A sparse gradient, as `gather` makes it, reads and writes
    only the rows of a batch, so that a step does not grow with the number of entities.
    """

    moments: tuple[str, ...]
    tables: Mapping[Tensor, MappedTables] = {}
    """Parameters whose moments lie in files."""

    def moment(self, name: str, parameter: Tensor) -> Tensor:
        """A moment before the first step."""
        if parameter in self.tables:
            return self.tables[parameter].make(name, tuple(parameter.shape))
        return torch.zeros_like(parameter)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update. There is no closure: no part of this package evaluates a loss twice in a step."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state.update({name: self.moment(name, parameter) for name in self.moments})
                    state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
                if parameter.grad.is_sparse:
                    state["step"] += 1
                    gradient = parameter.grad.coalesce()
                    self.update_rows(parameter, gradient.indices()[0], gradient.values(), state, group)
                else:
                    self.update(parameter, parameter.grad, state, group)

    @abstractmethod
    def update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Tensor], group: dict[str, Any]) -> None:
        """A dense step."""

    @abstractmethod
    def update_rows(
        self, parameter: Tensor, rows: Tensor, gradient: Tensor, state: dict[str, Tensor], group: dict[str, Any]
    ) -> None:
        """A step of some rows."""


class RowAdagrad(RowSparse):
    """Adagrad: G += g^2, x -= lr * g / (sqrt(G) + eps). The same numbers as `torch.optim.Adagrad`.

    Source: Duchi et al. 2011, "Adaptive Subgradient Methods".

        >>> table = torch.nn.Parameter(torch.zeros(3, 2))
        >>> gather(table, torch.tensor([1])).sum().backward()
        >>> RowAdagrad([table], lr=0.1).step()
        >>> table.tolist()[0] == table.tolist()[2] == [0.0, 0.0]
        True
    """

    moments = ("sum",)

    def __init__(self, parameters: Iterable[Tensor], lr: float = 0.1, eps: float = 1e-10) -> None:
        super().__init__(parameters, {"lr": lr, "eps": eps})

    def update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Tensor], group: dict[str, Any]) -> None:
        adagrad(
            [parameter],
            [gradient],
            [state["sum"]],
            [state["step"]],
            fused=True,
            has_sparse_grad=False,
            has_complex=False,
            maximize=False,
            lr=group["lr"],
            weight_decay=0.0,
            lr_decay=0.0,
            eps=group["eps"],
        )

    def update_rows(
        self, parameter: Tensor, rows: Tensor, gradient: Tensor, state: dict[str, Tensor], group: dict[str, Any]
    ) -> None:
        total = state["sum"].index_select(0, rows).addcmul_(gradient, gradient)
        state["sum"].index_copy_(0, rows, total)
        parameter.index_add_(0, rows, gradient / (total.sqrt() + group["eps"]), alpha=-group["lr"])


class RowAdam(RowSparse):
    """Adam; a sparse gradient moves the moments of its rows only, as `torch.optim.SparseAdam` does.

    Source: Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 1.

        >>> table = torch.nn.Parameter(torch.zeros(3, 2))
        >>> gather(table, torch.tensor([1])).sum().backward()
        >>> RowAdam([table], lr=0.1).step()
        >>> round(table[1, 0].item(), 3), table[0, 0].item()
        (-0.1, 0.0)
    """

    moments = ("mean", "square")

    def __init__(
        self,
        parameters: Iterable[Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps})

    def update(self, parameter: Tensor, gradient: Tensor, state: dict[str, Tensor], group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        adam(
            [parameter],
            [gradient],
            [state["mean"]],
            [state["square"]],
            [],
            [state["step"]],
            fused=True,
            amsgrad=False,
            maximize=False,
            beta1=beta1,
            beta2=beta2,
            lr=group["lr"],
            weight_decay=0.0,
            eps=group["eps"],
        )

    def update_rows(
        self, parameter: Tensor, rows: Tensor, gradient: Tensor, state: dict[str, Tensor], group: dict[str, Any]
    ) -> None:
        beta1, beta2 = group["betas"]
        step = state["step"].item()
        mean = state["mean"].index_select(0, rows).lerp_(gradient, 1 - beta1)
        square = state["square"].index_select(0, rows).mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        state["mean"].index_copy_(0, rows, mean)
        state["square"].index_copy_(0, rows, square)
        rate = group["lr"] * (1 - beta2**step) ** 0.5 / (1 - beta1**step)
        parameter.index_add_(0, rows, mean / (square.sqrt() + group["eps"]), alpha=-rate)


def gather(table: Tensor, ids: Tensor) -> Tensor:
    """Rows `table[ids]`; where the table is a parameter, its gradient is sparse.

    >>> table = torch.nn.Parameter(torch.ones(3, 2))
    >>> gather(table, torch.tensor([1])).sum().backward()
    >>> table.grad.is_sparse
    True
    """
    return torch.nn.functional.embedding(ids, table, sparse=table.is_leaf)
