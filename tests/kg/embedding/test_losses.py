"""Losses against torch's own, against loops, and their gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from kg.embedding.losses import grouped_cross_entropy, l2, n3, one_vs_all_cross_entropy, self_adversarial


def inputs(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    left = torch.randn(4, 3, generator=generator, dtype=torch.float64).requires_grad_()
    right = torch.randn(6, 3, generator=generator, dtype=torch.float64).requires_grad_()
    return left, right, torch.tensor([0, 0, 1, 2, 3, 3, 3]), torch.tensor([1, 5, 0, 0, 2, 3, 4])


def test_one_vs_all_is_torchs_cross_entropy_of_every_pair() -> None:
    left, right, rows, columns = inputs()
    expected = functional.cross_entropy((left @ right.T)[rows], columns, reduction="sum")
    torch.testing.assert_close(one_vs_all_cross_entropy(left, right, rows, columns), expected)
    torch.testing.assert_close(grouped_cross_entropy(left @ right.T, rows, columns), expected)


def test_the_gradient_written_by_hand_is_autograds() -> None:
    left, right, rows, columns = inputs()
    mine = torch.autograd.grad(3 * one_vs_all_cross_entropy(left, right, rows, columns), (left, right))
    theirs = torch.autograd.grad(3 * grouped_cross_entropy(left @ right.T, rows, columns), (left, right))
    torch.testing.assert_close(mine, theirs)


def test_one_vs_all_passes_gradcheck() -> None:
    left, right, rows, columns = inputs()
    assert torch.autograd.gradcheck(lambda a, b: one_vs_all_cross_entropy(a, b, rows, columns), (left, right))


def test_one_vs_all_does_not_overflow() -> None:
    left, right, rows, columns = inputs()
    loss = one_vs_all_cross_entropy(1e4 * left, right, rows, columns)
    assert loss.isfinite()
    torch.testing.assert_close(loss, grouped_cross_entropy(1e4 * left @ right.T, rows, columns))


def test_a_repeated_pair_counts_twice() -> None:
    left, right, _, _ = inputs()
    once = one_vs_all_cross_entropy(left[:1], right, torch.tensor([0]), torch.tensor([2]))
    twice = one_vs_all_cross_entropy(left[:1], right, torch.tensor([0, 0]), torch.tensor([2, 2]))
    torch.testing.assert_close(twice, 2 * once)


@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
def test_self_adversarial_is_its_formula(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    positive = torch.randn(3, generator=generator, dtype=torch.float64)
    negative = torch.randn(3, 4, generator=generator, dtype=torch.float64)
    negative[0, 1] = negative[2, 0] = -math.inf
    expected = 0.0
    for i in range(3):
        expected -= math.log(1 / (1 + math.exp(-(2.0 + positive[i].item()))))
        counted = [score for score in negative[i].tolist() if score > -math.inf]
        weights = [math.exp(temperature * score) for score in counted]
        for weight, score in zip(weights, counted, strict=True):
            expected -= weight / sum(weights) * math.log(1 / (1 + math.exp(score + 2.0)))
    loss = self_adversarial(positive, negative, margin=2.0, temperature=temperature)
    assert loss.item() == pytest.approx(expected / 2)


def test_a_fact_without_countable_negatives_gives_a_finite_gradient() -> None:
    positive = torch.zeros(1, requires_grad=True)
    negative = torch.zeros(1, 2, requires_grad=True)
    self_adversarial(
        positive, negative.masked_fill(torch.tensor([[True, True]]), -math.inf), margin=1.0, temperature=1.0
    ).backward()
    assert positive.grad is not None
    assert positive.grad.item() < 0
    assert negative.grad is not None
    assert torch.equal(negative.grad, torch.zeros(1, 2))


def test_the_weights_of_negatives_are_constants() -> None:
    negative = torch.tensor([[0.3, -0.4]], dtype=torch.float64, requires_grad=True)
    self_adversarial(torch.zeros(1, dtype=torch.float64), negative, margin=1.0, temperature=1.0).backward()
    expected = torch.softmax(negative.detach(), 1) * torch.sigmoid(negative.detach() + 1) / 2
    torch.testing.assert_close(negative.grad, expected)


def test_penalties_sum_powers_over_all_factors() -> None:
    first, second = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0]])
    assert n3(first, second).item() == 1 + 8 + 27
    assert l2(first, second).item() == 1 + 4 + 9
