"""The mathematics of training: pure functions, tensors in, one number out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def one_vs_all_cross_entropy(left: Tensor, right: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Cross-entropy of the full softmax, for queries with several true answers each:

        L = sum_i  logsumexp(left[rows_i] @ right.T) - <left[rows_i], right[columns_i]>

    Equal queries are grouped, which leaves the objective as it is and saves their repeated products: the gradient of a
    query's logits is `n_pos * softmax - onehots`. It is written over the logits in place, so that one (B, C) matrix is
    all the memory that a step needs.

    Args:
        left: (B, Q) queries, each once.
        right: (C, Q) candidates.
        rows, columns: (P,) positions of the true pairs; every row has at least one.

    Returns:
        The sum over the P pairs, a scalar; differentiable once.

    Source: Lacroix et al. 2018, "Canonical Tensor Decomposition for Knowledge Base Completion", section 4.

        >>> query, candidates, first = torch.zeros(1, 3), torch.zeros(4, 3), torch.tensor([0])
        >>> round(one_vs_all_cross_entropy(query, candidates, first, first).item(), 4)
        1.3863
    """
    loss: Tensor = _OneVsAll.apply(left, right, rows, columns)
    return loss


class _OneVsAll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        logits = left @ right.T
        positive = logits[rows, columns]
        answers = torch.bincount(rows, minlength=len(left)).to(logits.dtype)
        peak = logits.amax(1, keepdim=True)
        total = logits.sub_(peak).exp_().sum(1, keepdim=True)
        loss = (answers * (total.log() + peak).squeeze(1)).sum() - positive.sum()
        gradient = logits.mul_(answers[:, None] / total)
        gradient.index_put_((rows, columns), -torch.ones_like(positive), accumulate=True)
        ctx.save_for_backward(gradient, left, right)
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        gradient, left, right = ctx.saved_tensors
        return (gradient @ right).mul_(outer), (gradient.T @ left).mul_(outer), None, None


def grouped_cross_entropy(scores: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """The same loss from a (B, C) score matrix, for scorers that are no product; differentiable throughout."""
    return (torch.logsumexp(scores, 1)[rows] - scores[rows, columns]).sum()


def self_adversarial(positive: Tensor, negative: Tensor, *, margin: float, temperature: float) -> Tensor:
    """Negative sampling loss with self-adversarial weights:

        L = sum_i  -log sigmoid(margin + f_i) - sum_k p_ik log sigmoid(-f'_ik - margin),
        p_ik = softmax_k(temperature * f'_ik), taken as a constant

    with scores f for `positive` (B,) and f' for `negative` (B, K); -inf marks a negative that does not count. The two
    halves have equal weight, as in the authors' code. `temperature = 0` weighs negatives equally.

    Source: Sun et al. 2019, "RotatE", equation 5-6 (where f = -distance).
    """
    scaled = torch.where(negative.isneginf(), negative, temperature * negative)
    weights = torch.softmax(scaled, 1).nan_to_num(0.0).detach()
    against = (weights * functional.softplus(negative + margin)).sum()
    return (functional.softplus(-(positive + margin)).sum() + against) / 2


def n3(*moduli: Tensor) -> Tensor:
    """The nuclear 3-norm penalty: the sum of |x|^3 over all factors of the facts at hand.

    Source: Lacroix et al. 2018, equation 4.

        >>> n3(torch.tensor([[1.0, 2.0]])).item()
        9.0
    """
    return torch.stack([(factor**3).sum() for factor in moduli]).sum()


def l2(*moduli: Tensor) -> Tensor:
    """The squared Frobenius penalty: the sum of |x|^2 over all factors of the facts at hand.

    >>> l2(torch.tensor([[1.0, 2.0]])).item()
    5.0
    """
    return torch.stack([(factor**2).sum() for factor in moduli]).sum()
