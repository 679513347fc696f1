"""Row-sparse optimizers against torch's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kg.embedding.checkpoint import flatten, restore
from kg.embedding.optim import RowAdagrad, RowAdam, gather


def trajectory(make: Any, sparse: bool, steps: int = 5, **settings: Any) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    table = nn.Parameter(torch.randn(6, 3, generator=generator))
    optimizer = make([table], lr=0.1, **settings)
    for step in range(steps):
        ids = torch.tensor([[0, 2, 2], [1, 4, 0]][step % 2])
        target = torch.randn(3, 3, generator=generator)
        rows = nn.functional.embedding(ids, table, sparse=sparse)
        optimizer.zero_grad()
        ((rows - target) ** 2).sum().backward()
        optimizer.step()
    return table.detach()


@pytest.mark.parametrize("sparse", [True, False])
def test_adagrad_is_torchs(sparse: bool) -> None:
    torch.testing.assert_close(trajectory(RowAdagrad, sparse), trajectory(torch.optim.Adagrad, sparse))


def test_sparse_adagrad_is_dense_adagrad() -> None:
    torch.testing.assert_close(trajectory(RowAdagrad, True), trajectory(RowAdagrad, False))


def test_adam_is_torchs() -> None:
    torch.testing.assert_close(trajectory(RowAdam, False), trajectory(torch.optim.Adam, False))
    torch.testing.assert_close(trajectory(RowAdam, True), trajectory(torch.optim.SparseAdam, True))


@pytest.mark.parametrize("make", [RowAdagrad, RowAdam])
def test_a_sparse_step_moves_only_its_rows(make: Any) -> None:
    table = nn.Parameter(torch.ones(5, 2))
    optimizer = make([table], lr=0.1)
    gather(table, torch.tensor([1, 3, 3])).sum().backward()
    optimizer.step()
    assert (table.detach() == 1).all(1).tolist() == [True, False, True, False, True]


def test_gather_of_computed_rows_is_dense() -> None:
    table = nn.Parameter(torch.ones(5, 2))
    gather(table * 2, torch.tensor([1])).sum().backward()
    assert table.grad is not None
    assert not table.grad.is_sparse


@pytest.mark.parametrize("make", [RowAdagrad, RowAdam])
def test_a_state_survives_flattening(make: Any) -> None:
    def halves(restored: bool) -> Tensor:
        table = nn.Parameter(torch.ones(2, 2))
        optimizer = make([table], lr=0.1)
        for step in range(4):
            if step == 2 and restored:
                saved = {name: value.clone() for name, value in flatten(optimizer).items()}
                optimizer = make([table], lr=0.1)
                restore(optimizer, saved)
            optimizer.zero_grad()
            (table**2).sum().backward()
            optimizer.step()
        return table.detach()

    assert torch.equal(halves(restored=True), halves(restored=False))
