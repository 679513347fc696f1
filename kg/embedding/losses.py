"""Losses over all candidates, or a shared sample of them: pure functions, tensors in, one number out."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from kg.embedding.products import factor_gradients, product, row_blocks


def one_vs_all_cross_entropy(
    left: Tensor,
    right: Tensor,
    rows: Tensor,
    columns: Tensor,
    weights: Tensor | None = None,
    *,
    half: bool = False,
) -> Tensor:
    """Cross-entropy of the full softmax, for queries with several true answers each:

        L = sum_i  w_(rows_i) (logsumexp(left[rows_i] @ right.T) - <left[rows_i], right[columns_i]>)

    Equal queries are grouped, which leaves the objective as it is and saves their repeated products: the gradient of a
    query's logits is `n_pos * softmax - onehots`. It is written over the logits in place, so that one (B, C) matrix is
    all the memory that a step needs.

    Args:
        left: (B, Q) queries, each once.
        right: (C, Q) candidates.
        rows, columns: (P,) positions of the true pairs; every row has at least one.
        weights: (B,) of queries, constants; 1 where absent.
        half: round what is multiplied to bfloat16; sums stay as they are.

    Returns:
        The sum over the P pairs, a scalar; differentiable once.

    Source: Lacroix et al. 2018, "Canonical Tensor Decomposition for Knowledge Base Completion", section 4.

        >>> query, candidates, first = torch.zeros(1, 3), torch.zeros(4, 3), torch.tensor([0])
        >>> round(one_vs_all_cross_entropy(query, candidates, first, first).item(), 4)
        1.3863
    """
    loss: Tensor = _OneVsAll.apply(left, right, rows, columns, weights, half)
    return loss


class _OneVsAll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, left: Tensor, right: Tensor, rows: Tensor, columns: Tensor, weights: Tensor | None, half: bool
    ) -> Tensor:
        logits = product(left, right, half=half)
        each = torch.ones_like(rows, dtype=logits.dtype) if weights is None else weights[rows]
        answers = torch.zeros(len(left), dtype=logits.dtype, device=left.device).index_add_(0, rows, each)
        positive = logits[rows, columns]
        gradient = torch.empty_like(logits, dtype=torch.bfloat16) if half else logits
        normalizer = torch.empty_like(answers)
        for block in row_blocks(logits):
            part = logits[block]
            peak = part.amax(1, keepdim=True)
            total = part.sub_(peak).exp_().sum(1, keepdim=True)
            normalizer[block] = (total.log() + peak).squeeze(1)
            torch.mul(part, answers[block, None] / total, out=part)
            if half:
                gradient[block] = part
        gradient.index_put_((rows, columns), -each.to(gradient.dtype), accumulate=True)
        ctx.save_for_backward(gradient, left, right)
        return (answers * normalizer).sum() - (each * positive).sum()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        return *_factors(ctx.saved_tensors, outer), None, None, None, None


def _factors(saved: tuple[Tensor, Tensor, Tensor], outer: Tensor) -> tuple[Tensor, Tensor]:
    to_left, to_right = factor_gradients(*saved)
    return to_left.mul_(outer), to_right.mul_(outer)


def grouped_cross_entropy(scores: Tensor, rows: Tensor, columns: Tensor, weights: Tensor | None = None) -> Tensor:
    """The same loss from a (B, C) score matrix, for scorers that are no product; differentiable throughout."""
    each = torch.logsumexp(scores, 1)[rows] - scores[rows, columns]
    return each.sum() if weights is None else (each * weights[rows]).sum()


def one_vs_all_binary(
    left: Tensor, right: Tensor, rows: Tensor, columns: Tensor, smoothing: float = 0.0, *, half: bool = False
) -> Tensor:
    """Binary cross-entropy of every candidate of every query:

        L = sum_(i, c)  softplus(s_ic) - y_ic s_ic,   s = left @ right.T,  y = (1 - smoothing) [true] + smoothing / C

    Shapes, memory and differentiability as in `one_vs_all_cross_entropy`; true pairs must be distinct.

    Source: Dettmers et al. 2018, "Convolutional 2D Knowledge Graph Embeddings", section 4 (1-N scoring).

        >>> query, candidates, first = torch.zeros(1, 3), torch.zeros(4, 3), torch.tensor([0])
        >>> round(one_vs_all_binary(query, candidates, first, first).item(), 4)
        2.7726
    """
    loss: Tensor = _OneVsAllBinary.apply(left, right, rows, columns, smoothing, half)
    return loss


class _OneVsAllBinary(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, left: Tensor, right: Tensor, rows: Tensor, columns: Tensor, smoothing: float, half: bool
    ) -> Tensor:
        logits = product(left, right, half=half)
        target = smoothing / len(right)
        loss = -(1 - smoothing) * logits[rows, columns].sum()
        gradient = torch.empty_like(logits, dtype=torch.bfloat16) if half else logits
        for block in row_blocks(logits):
            part = logits[block]
            loss += functional.softplus(part).sum() - target * part.sum()
            part.sigmoid_().sub_(target)
            if half:
                gradient[block] = part
        gradient[rows, columns] -= 1 - smoothing
        ctx.save_for_backward(gradient, left, right)
        return loss

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        return *_factors(ctx.saved_tensors, outer), None, None, None, None


def grouped_binary(scores: Tensor, rows: Tensor, columns: Tensor, smoothing: float = 0.0) -> Tensor:
    """`one_vs_all_binary` from a (B, C) score matrix, for scorers that are no product; differentiable throughout."""
    true = (1 - smoothing) * scores[rows, columns].sum() + smoothing * scores.mean(1).sum()
    return functional.softplus(scores).sum() - true


def sampled_cross_entropy(
    left: Tensor,
    right: Tensor,
    own: Tensor,
    offset: Tensor,
    rows: Tensor,
    columns: Tensor,
    *,
    half: bool = False,
) -> Tensor:
    """Cross-entropy of a softmax over the true answer and a sample of candidates, shared by all queries:

        L = sum_i  log(exp(own_i) + sum_j exp(<left_i, right_j> + offset_j)) - own_i

    With `offset_j = -log(expected count of candidate j in the sample)` the sum estimates that of the full softmax.

    Args:
        left: (B, Q) queries.
        right: (K, Q) candidates.
        own: (B,) scores of the true answers.
        offset: (K,), constants.
        rows, columns: (M,) pairs of query and candidate that do not count, for they are true as well.

    Returns:
        The sum over queries, a scalar; differentiable once. One (B, K) matrix is all the memory that it needs.

    Source: Bengio & Senecal 2008, "Adaptive Importance Sampling"; Jean et al. 2015, section 3.

        >>> zero, none = torch.zeros(1, 3), torch.zeros(0, dtype=torch.long)
        >>> round(sampled_cross_entropy(zero, torch.zeros(3, 3), zero[0, :1], torch.zeros(3), none, none).item(), 4)
        1.3863
    """
    loss: Tensor = _Sampled.apply(left, right, own, offset, rows, columns, half)
    return loss


class _Sampled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, left: Tensor, right: Tensor, own: Tensor, offset: Tensor, rows: Tensor, columns: Tensor, half: bool
    ) -> Tensor:
        logits = product(left, right, half=half)
        logits[rows, columns] = -torch.inf
        gradient = torch.empty_like(logits, dtype=torch.bfloat16) if half else logits
        normalizer, truth = torch.empty_like(own), torch.empty_like(own)
        for block in row_blocks(logits):
            part = logits[block].add_(offset)
            peak = torch.maximum(part.amax(1), own[block])
            share = (own[block] - peak).exp_()
            total = part.sub_(peak[:, None]).exp_().sum(1).add_(share)
            normalizer[block] = total.log() + peak
            truth[block] = share / total
            torch.div(part, total[:, None], out=part)
            if half:
                gradient[block] = part
        ctx.save_for_backward(gradient, left, right, truth.sub_(1))
        return (normalizer - own).sum()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        *saved, of_own = ctx.saved_tensors
        return *_factors(tuple(saved), outer), of_own * outer, None, None, None, None


def sampled_scores_cross_entropy(scores: Tensor, own: Tensor, offset: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """`sampled_cross_entropy` from (B, K) scores, for scorers that are no product; differentiable throughout."""
    excluded = torch.zeros_like(scores, dtype=torch.bool)
    excluded[rows, columns] = True
    logits = (scores + offset).masked_fill(excluded, -torch.inf)
    return (torch.logsumexp(torch.cat([logits, own[:, None]], 1), 1) - own).sum()
