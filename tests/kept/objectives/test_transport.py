"""Optimal transport against exact linear programmes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.sparse import coo_array, vstack
from torch import Tensor

from kept.objectives.transport import transport_distance, transport_plan


def states(rows: int, length: int, seed: int, width: int = 16) -> Tensor:
    return torch.randn(rows, length, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def everything(rows: int, length: int) -> Tensor:
    return torch.ones(rows, length, dtype=torch.bool)


def cosine_cost(x: Tensor, y: Tensor) -> Tensor:
    return 1 - torch.cosine_similarity(x[:, :, None], y[:, None], dim=-1)


def exact_cost(cost: np.ndarray) -> float:
    m, n = cost.shape
    cells = np.arange(m * n)
    row_sums = coo_array((np.ones(m * n), (cells // n, cells)))
    column_sums = coo_array((np.ones(m * n), (cells % n, cells)))
    sums = np.concatenate([np.full(m, 1 / m), np.full(n, 1 / n)])
    solved = linprog(cost.ravel(), A_eq=vstack([row_sums, column_sums]).tocsr(), b_eq=sums, method="highs")
    return float(solved.fun)


@pytest.mark.parametrize(("m", "n"), [(1, 5), (3, 4), (10, 12), (20, 36), (40, 100)])
def test_within_a_hundredth_of_the_exact_optimum(m: int, n: int) -> None:
    x, y = states(3, m, m, 64), states(3, n, n + 100, 64)
    found = transport_distance(x.float(), y.float(), everything(3, m), everything(3, n))
    for row, cost in zip(found, cosine_cost(x, y), strict=True):
        assert float(row) == pytest.approx(exact_cost(cost.numpy()), rel=0.01)


def test_the_marginals_are_uniform() -> None:
    plan = transport_plan(cosine_cost(states(4, 7, 1), states(4, 9, 2)), everything(4, 7), everything(4, 9))
    torch.testing.assert_close(plan.sum(1), torch.full((4, 9), 1 / 9, dtype=torch.float64))
    torch.testing.assert_close(plan.sum(2), torch.full((4, 7), 1 / 7, dtype=torch.float64), atol=2e-3, rtol=0)
    assert (plan >= 0).all()


def test_many_steps_reach_the_optimum() -> None:
    cost = cosine_cost(states(1, 6, 3), states(1, 8, 4))
    plan = transport_plan(cost, everything(1, 6), everything(1, 8), beta=0.1, steps=2000)
    assert float((plan * cost).sum()) == pytest.approx(exact_cost(cost[0].numpy()), rel=1e-6)


def test_neither_order_nor_padding_matters() -> None:
    x, y = states(2, 5, 5), states(2, 6, 6)
    plain = transport_distance(x, y, everything(2, 5), everything(2, 6))
    order, other = torch.tensor([3, 0, 4, 1, 2]), torch.tensor([5, 1, 0, 2, 4, 3])
    torch.testing.assert_close(transport_distance(x[:, order], y[:, other], everything(2, 5), everything(2, 6)), plain)
    # What stands in the padding may be anything, and so may its place.
    padded_x = torch.cat([x[:, :2], torch.full((2, 3, 16), torch.nan), x[:, 2:]], 1).requires_grad_()
    padded_y = torch.cat([y, torch.full((2, 1, 16), torch.inf)], 1)
    x_mask, y_mask = everything(2, 8), everything(2, 7)
    x_mask[:, 2:5] = False
    y_mask[:, 6] = False
    padded = transport_distance(padded_x, padded_y, x_mask, y_mask)
    torch.testing.assert_close(padded, plain)
    (gradient,) = torch.autograd.grad(padded.sum(), padded_x)
    assert gradient.isfinite().all()
    assert not gradient[:, 2:5].any()


def test_a_side_without_items_costs_nothing() -> None:
    x, y = states(3, 4, 7).requires_grad_(), states(3, 5, 8)
    x_mask, y_mask = everything(3, 4), everything(3, 5)
    x_mask[0] = False
    y_mask[1] = False
    found = transport_distance(x, y, x_mask, y_mask)
    assert found[:2].tolist() == [0, 0]
    torch.testing.assert_close(found[2:], transport_distance(x[2:], y[2:], x_mask[2:], y_mask[2:]))
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert gradient.isfinite().all()
    assert not gradient[:2].any()
    assert gradient[2].any()
    assert not transport_plan(cosine_cost(x, y), x_mask, y_mask)[:2].any()


def test_sets_without_any_slot() -> None:
    x = states(2, 0, 0).requires_grad_()
    found = transport_distance(x, states(2, 5, 8), everything(2, 0), everything(2, 5))
    assert found.tolist() == [0, 0]
    assert found.requires_grad


def test_the_gradient_is_that_of_a_fixed_plan() -> None:
    x, y = states(2, 4, 9).requires_grad_(), states(2, 5, 10).requires_grad_()
    masks = everything(2, 4), everything(2, 5)
    plan = transport_plan(cosine_cost(x, y), *masks)
    assert not plan.requires_grad
    wanted = torch.autograd.grad((plan * cosine_cost(x, y)).sum(), (x, y))
    found = torch.autograd.grad(transport_distance(x, y, *masks).sum(), (x, y))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sharp_cost_stays_finite(dtype: torch.dtype) -> None:
    """Aligned pairs at beta 0.02: exp(-C / beta) of a pair that does not match is below the least float32."""
    x = torch.nn.functional.normalize(states(1, 20, 11, 64), dim=-1).to(dtype)
    near = x + 1e-3 * states(1, 20, 12, 64).to(dtype)
    both = torch.cat([x, -x], 1)
    masks = everything(1, 40), everything(1, 40)
    plan = transport_plan(cosine_cost(both, torch.cat([near, -near], 1)), *masks, beta=0.02)
    assert plan.isfinite().all()
    torch.testing.assert_close(plan[0].diagonal(), torch.full((40,), 1 / 40, dtype=dtype), atol=1e-5, rtol=0)
    # All rows want one column: rows must be pushed to others that cost exp(-100).
    crowd = transport_plan(torch.tensor([[[0.0, 2.0, 2.0]] * 3], dtype=dtype), *[everything(1, 3)] * 2, beta=0.02)
    torch.testing.assert_close(crowd.sum(1), torch.full((1, 3), 1 / 3, dtype=dtype))


@pytest.mark.parametrize("beta", [0.02, 0.5])
def test_single_and_double_precision_agree(beta: float) -> None:
    x, y = states(4, 12, 13, 64), states(4, 17, 14, 64)
    masks = everything(4, 12), everything(4, 17)
    double = transport_distance(x, y, *masks, beta=beta)
    single = transport_distance(x.float(), y.float(), *masks, beta=beta)
    torch.testing.assert_close(single.double(), double, atol=2e-5 if beta < 0.1 else 2e-6, rtol=0)


def test_autocast_changes_nothing() -> None:
    x, y, masks = states(2, 6, 15).float(), states(2, 7, 16).float(), (everything(2, 6), everything(2, 7))
    with torch.autocast("cpu", torch.bfloat16):
        inside = transport_distance(x, y, *masks)
    assert torch.equal(inside, transport_distance(x, y, *masks))
    assert transport_distance(x.bfloat16(), y.bfloat16(), *masks).dtype == torch.float32


def test_a_zero_vector_is_no_trap() -> None:
    x = torch.zeros(1, 2, 16, requires_grad=True)
    found = transport_distance(x, states(1, 3, 17).float(), everything(1, 2), everything(1, 3))
    assert found.item() == pytest.approx(1.0)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert gradient.abs().max() < 1e7


@pytest.mark.parametrize(("beta", "steps"), [(0.0, 5), (0.5, 0)])
def test_refuses_what_cannot_work(beta: float, steps: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        transport_plan(torch.zeros(1, 1, 1), everything(1, 1), everything(1, 1), beta=beta, steps=steps)
