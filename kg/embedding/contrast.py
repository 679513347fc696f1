"""Losses of facts against their own negatives: pure functions, tensors in, one number out."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def self_adversarial(
    positive: Tensor, negative: Tensor, *, margin: float, temperature: float, facts: Tensor | None = None
) -> Tensor:
    """Negative sampling loss with self-adversarial weights:

        L = sum_i  -log sigmoid(margin + f_i) - sum_k p_ik log sigmoid(-f'_ik - margin),
        p_ik = softmax_k(temperature * f'_ik), taken as a constant

    with scores f for `positive` (B,) and f' for `negative` (B, K); -inf marks a negative that does not count. The two
    halves have equal weight, as in the authors' code. `temperature = 0` weighs negatives equally. `facts` (B,) are
    weights of the facts, constants.

    Source: Sun et al. 2019, "RotatE", equation 5-6 (where f = -distance).
    """
    scaled = torch.where(negative.isneginf(), negative, temperature * negative)
    weights = torch.softmax(scaled, 1).nan_to_num(0.0).detach()
    against = (weights * functional.softplus(negative + margin)).sum(1)
    return _weighted((functional.softplus(-(positive + margin)) + against) / 2, facts)


def margin_ranking(positive: Tensor, negative: Tensor, *, margin: float, facts: Tensor | None = None) -> Tensor:
    """Pairwise hinge loss, the mean over each fact's negatives that count:

        L = sum_i  mean_k max(0, margin - f_i + f'_ik)

    Arguments as in `self_adversarial`.

    Source: Bordes et al. 2013, "Translating Embeddings for Modeling Multi-relational Data", equation 1.

        >>> margin_ranking(torch.tensor([1.0]), torch.tensor([[0.5, -9.0]]), margin=1.0).item()
        0.25
    """
    counted = (~negative.isneginf()).sum(1).clamp_min(1)
    return _weighted(torch.relu(margin - positive[:, None] + negative).sum(1) / counted, facts)


def negative_softmax(positive: Tensor, negative: Tensor, *, facts: Tensor | None = None) -> Tensor:
    """Cross-entropy of a softmax over a fact and its own negatives:

        L = sum_i  log(exp f_i + sum_k exp f'_ik) - f_i

    Arguments as in `self_adversarial`.

    Source: Ruffinelli et al. 2020, "You CAN Teach an Old Dog New Tricks!", section 2 (negative sampling with CE).

        >>> round(negative_softmax(torch.tensor([0.0]), torch.tensor([[0.0, 0.0, 0.0]])).item(), 4)
        1.3863
    """
    everything = torch.cat([positive[:, None], negative], 1)
    return _weighted(torch.logsumexp(everything, 1) - positive, facts)


def _weighted(losses: Tensor, weights: Tensor | None) -> Tensor:
    return losses.sum() if weights is None else (losses * weights).sum()
