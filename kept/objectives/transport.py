"""Optimal transport between two sets of states: how cheaply the words of a text can be carried onto regions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from kept.objectives.base import full_precision

# Shorter vectors count as this long: the gradient of a direction grows without bound as its vector shrinks.
SHORTEST = 1e-6


@torch.no_grad()
def transport_plan(cost: Tensor, x_mask: Tensor, y_mask: Tensor, *, beta: float = 0.5, steps: int = 50) -> Tensor:
    """(B, M, N) costs -> (B, M, N) plans between the uniform distributions over the real items, by IPOT.

        T = argmin <T, C>  subject to  T 1 = 1/m,  T' 1 = 1/n,  T >= 0

    Each step is one Sinkhorn step on exp(-C / beta) * T, the proximal point of the last plan, in logarithms: a sharp
    cost (beta 0.02) underflows nowhere. The column sums are exact, the row sums come close as the steps go on. A plan
    carries no gradient; where one side of a pair has no real item the plan is 0.

    Args:
        cost: (B, M, N), computed in float32 or, where it is given, float64.
        x_mask, y_mask: (B, M) and (B, N) bool, True where an item is real.
        beta: the weight of the proximal term: larger is smoother and slower.
        steps: how many.

    Raises:
        ValueError: if beta is not positive or there is no step.

    Source: Xie et al. 2019, "A fast proximal point method for computing exact Wasserstein distance", algorithm 1, with
    one inner step; beta and steps as in Chen et al. 2020, UNITER, section 3.2.

        >>> one = torch.ones(1, 2, dtype=torch.bool)
        >>> transport_plan(torch.tensor([[[0.0, 2.0], [2.0, 0.0]]]), one, one).round(decimals=3).tolist()
        [[[0.5, 0.0], [0.0, 0.5]]]
    """
    if beta <= 0 or steps < 1:
        raise ValueError(f"beta {beta} must be positive and steps {steps} at least 1")
    pairs = x_mask[:, :, None] & y_mask[:, None, :]
    kernel = (-at_least_float32(cost) / beta).masked_fill(~pairs, -torch.inf)
    log_x, log_y = (-mask.sum(1, keepdim=True).to(kernel.dtype).log() for mask in (x_mask, y_mask))
    # What a row of a masked item is scaled by does not matter, as long as it is a number.
    no_x, no_y = ~pairs.any(2), ~pairs.any(1)
    plan = torch.zeros_like(kernel).masked_fill(~pairs, -torch.inf)
    columns = log_y.expand(no_y.shape).masked_fill(no_y, 0.0)
    for _ in range(steps):
        sharper = kernel + plan
        rows = (log_x - (sharper + columns[:, None, :]).logsumexp(2)).masked_fill(no_x, 0.0)
        sharper = sharper + rows[:, :, None]
        columns = (log_y - sharper.logsumexp(1)).masked_fill(no_y, 0.0)
        plan = sharper + columns[:, None, :]
    return plan.exp()


def transport_distance(
    x: Tensor, y: Tensor, x_mask: Tensor, y_mask: Tensor, *, beta: float = 0.5, steps: int = 50
) -> Tensor:
    """(B, M, D) and (B, N, D) states -> (B,), the cost of carrying x onto y: <T, C> with C_ij = 1 - cos(x_i, y_j).

    Between 0 (the same directions) and 2 (opposite ones). The gradient flows through C alone, the plan T is held fixed
    (`transport_plan`), so at the optimum it is the gradient of the distance. Where a side has no real item the distance
    is exactly 0, with a graph. Computed in float32 under autocast too, since bfloat16 misses it by 4e-3.

    Source: Chen et al. 2020, UNITER, section 3.2 (word-region alignment).

        >>> x, mask = torch.eye(3)[None], torch.ones(1, 3, dtype=torch.bool)
        >>> round(float(transport_distance(x, x.flip(1), mask, mask, steps=200)), 3)
        0.0
    """
    x, y = (_directions(states, mask) for states, mask in ((x, x_mask), (y, y_mask)))
    with full_precision():
        cost = 1 - x @ y.transpose(1, 2)
        return (transport_plan(cost, x_mask, y_mask, beta=beta, steps=steps) * cost).sum((1, 2))


def at_least_float32(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _directions(states: Tensor, mask: Tensor) -> Tensor:
    return F.normalize(at_least_float32(states).masked_fill(~mask[..., None], 0.0), dim=-1, eps=SHORTEST)
