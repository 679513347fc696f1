"""Muon against the singular value decomposition and, where it is AdamW, against AdamW."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kept.training.muon import RMS, Muon, orthogonalised
from kept.training.optim import hidden_matrices, make_optimizer, named_trainable


def matrix(rows: int, columns: int, singular: list[float], seed: int = 0) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    left, _ = torch.linalg.qr(torch.randn(rows, len(singular), generator=generator, dtype=torch.float64))
    right, _ = torch.linalg.qr(torch.randn(columns, len(singular), generator=generator, dtype=torch.float64))
    return left @ torch.diag(torch.tensor(singular, dtype=torch.float64)) @ right.T, left, right


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (4, 4)])
def test_directions_stay_and_strengths_become_one(shape: tuple[int, int]) -> None:
    given, left, right = matrix(*shape, [5.0, 2.0, 0.8, 0.4])
    found = left.T @ orthogonalised(given) @ right
    assert (found.diag() > 0.6).all()
    assert (found.diag() < 1.3).all()
    torch.testing.assert_close(found, torch.diag(found.diag()))
    torch.testing.assert_close(orthogonalised(given * 1e6), orthogonalised(given))


def test_five_rounds_reach_weak_directions() -> None:
    given, left, right = matrix(5, 5, [1.0, 0.1, 0.01, 0.005, 0.003])
    assert (torch.diagonal(left.T @ orthogonalised(given, 5) @ right) > 0.4).all()


def test_matrices_are_stepped_alike_alone_and_stacked_and_nothing_gives_nothing() -> None:
    stack = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(orthogonalised(stack)[1], orthogonalised(stack[1]))
    assert torch.equal(orthogonalised(torch.zeros(3, 2)), torch.zeros(3, 2))


def test_a_step_by_hand() -> None:
    weight = nn.Parameter(torch.randn(4, 3, generator=torch.Generator().manual_seed(1)))
    before, gradients = weight.detach().clone(), torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(2))
    optimizer = Muon([{"params": [weight], "orthogonal": True, "weight_decay": 0.5}], lr=0.1)
    mean = torch.zeros(4, 3)
    for gradient in gradients:
        weight.grad = gradient
        optimizer.step()
        mean = 0.95 * mean + 0.05 * gradient
        change = orthogonalised(0.05 * gradient + 0.95 * mean) * RMS * 2
        before = before - 0.1 * (change + 0.5 * before)
        torch.testing.assert_close(weight.detach(), before)


def test_all_other_parameters_step_as_under_adamw() -> None:
    def trained(matrices: bool) -> nn.Sequential:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 2))
        optimizer = make_optimizer(
            named_trainable([("", model)], ()),
            {"default": 0.1},
            0.5,
            hidden_matrices([("", model)]) if matrices else (),
        )
        for step in range(3):
            optimizer.zero_grad()
            model[0](torch.tensor([step, 4])).square().sum().backward()
            optimizer.step()
        return model

    with_muon, plain = trained(True), trained(False)
    for (name, one), other in zip(with_muon.named_parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other), name


def test_what_counts_as_a_hidden_matrix() -> None:
    model = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 3), nn.LayerNorm(3), nn.Linear(3, 1))
    assert hidden_matrices([("model", model)]) == {"model.1.weight"}
