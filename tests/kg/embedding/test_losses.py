"""Losses against torch's own, against loops, and their gradients."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from kg.embedding.contrast import margin_ranking, negative_softmax, self_adversarial
from kg.embedding.losses import (
    grouped_binary,
    grouped_cross_entropy,
    one_vs_all_binary,
    one_vs_all_cross_entropy,
    sampled_cross_entropy,
    sampled_scores_cross_entropy,
)
from kg.embedding.penalties import l2, n3


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


def test_penalties_sum_powers_of_rows_as_often_as_they_occur() -> None:
    rows = torch.tensor([[1.0, 2.0], [3.0, 0.0]])
    assert n3(rows).item() == 1 + 8 + 27
    assert n3(rows, torch.tensor([2, 1])).item() == 2 * (1 + 8) + 27
    assert l2(rows, torch.tensor([0, 5])).item() == 5 * 9


def doubles(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


ROWS, COLUMNS = torch.tensor([0, 0, 1, 2]), torch.tensor([4, 1, 3, 3])


def test_weighted_softmax_equals_its_formula() -> None:
    left, right, weights = doubles(3, 5), doubles(6, 5, seed=1), torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    log_softmax = torch.log_softmax(left @ right.T, 1)
    expected = -(weights[ROWS] * log_softmax[ROWS, COLUMNS]).sum()
    torch.testing.assert_close(one_vs_all_cross_entropy(left, right, ROWS, COLUMNS, weights), expected)
    torch.testing.assert_close(grouped_cross_entropy(left @ right.T, ROWS, COLUMNS, weights), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_binary_cross_entropy_equals_that_of_torch(smoothing: float) -> None:
    left, right = doubles(3, 5), doubles(6, 5, seed=1)
    target = torch.zeros(3, 6, dtype=torch.float64)
    target[ROWS, COLUMNS] = 1
    target = (1 - smoothing) * target + smoothing / 6
    expected = torch.nn.functional.binary_cross_entropy_with_logits(left @ right.T, target, reduction="sum")
    torch.testing.assert_close(one_vs_all_binary(left, right, ROWS, COLUMNS, smoothing), expected)
    torch.testing.assert_close(grouped_binary(left @ right.T, ROWS, COLUMNS, smoothing), expected)


def test_fused_losses_have_the_gradients_of_plain_ones() -> None:
    left, right, own = doubles(3, 5).requires_grad_(), doubles(6, 5, seed=1).requires_grad_(), doubles(3, seed=2)
    own.requires_grad_()
    offset, weights = doubles(6, seed=3), doubles(3, seed=4).abs()
    pairs = (
        (one_vs_all_cross_entropy(left, right, ROWS, COLUMNS, weights),
         grouped_cross_entropy(left @ right.T, ROWS, COLUMNS, weights)),
        (one_vs_all_binary(left, right, ROWS, COLUMNS, 0.2), grouped_binary(left @ right.T, ROWS, COLUMNS, 0.2)),
        (sampled_cross_entropy(left, right, own, offset, ROWS, COLUMNS),
         sampled_scores_cross_entropy(left @ right.T, own, offset, ROWS, COLUMNS)),
    )  # fmt: skip
    for fused, plain in pairs:
        torch.testing.assert_close(fused, plain)
        inputs = (left, right, own) if fused is pairs[2][0] else (left, right)
        for one, other in zip(torch.autograd.grad(fused, inputs), torch.autograd.grad(plain, inputs), strict=True):
            torch.testing.assert_close(one, other)


def test_a_sample_of_everything_is_the_full_softmax() -> None:
    left, right = doubles(2, 5), doubles(6, 5, seed=1)
    tails = torch.tensor([3, 0])
    scores = left @ right.T
    expected = torch.nn.functional.cross_entropy(scores, tails, reduction="sum")
    own = scores[[0, 1], tails]
    zeros = torch.zeros(6, dtype=torch.float64)
    torch.testing.assert_close(sampled_cross_entropy(left, right, own, zeros, torch.arange(2), tails), expected)


def test_margin_and_softmax_of_negatives_equal_their_formulas() -> None:
    positive = torch.tensor([1.0, -2.0])
    negative = torch.tensor([[0.5, 1.5, -math.inf], [-5.0, -2.0, -1.0]])
    hinge = (0.5 + 1.5) / 2 + (0.0 + 1.0 + 2.0) / 3
    assert margin_ranking(positive, negative, margin=1.0).item() == pytest.approx(hinge)
    assert margin_ranking(positive, negative, margin=1.0, facts=torch.tensor([2.0, 0.0])).item() == pytest.approx(2.0)
    expected = torch.nn.functional.cross_entropy(
        torch.cat([positive[:, None], negative], 1), torch.zeros(2, dtype=torch.long), reduction="sum"
    )
    torch.testing.assert_close(negative_softmax(positive, negative), expected)
