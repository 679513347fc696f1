"""Negatives that look right: drawn from the batch in proportion to how similar the model finds them."""

from __future__ import annotations

import torch
from torch import Tensor

NONE_ALLOWED = -1


@torch.no_grad()
def hard_pairs(similarity: Tensor, forbidden: Tensor, draws: Tensor) -> Tensor:
    """(B,) int64, for each row one candidate j with P(j) = softmax over the allowed of similarity_j.

    The draw is the inverse transform of the given number, so that it belongs to the record. A candidate whose
    probability is 0 in float64 is never drawn, so a saturated softmax gives its maximum. NONE_ALLOWED (-1) where every
    candidate is forbidden. No gradient flows through the similarities.

    Args:
        similarity: (B, C) scaled similarities, the logits of the contrast; NaN and -inf count as the least number.
        forbidden: (B, C) bool, True where a candidate is not to be drawn: the row's own partner and all that show or
            say the same (`kept.objectives.identity.same_content`).
        draws: (B,) uniform numbers in [0, 1).

    Source: Li et al. 2021, ALBEF, section 3.2 (contrastive hard negative mining).

        >>> own = torch.eye(2, dtype=torch.bool)
        >>> hard_pairs(torch.zeros(2, 2), own, torch.tensor([0.3, 0.9])).tolist()
        [1, 0]
    """
    if similarity.shape[1] == 0:
        return torch.full(similarity.shape[:1], NONE_ALLOWED, device=similarity.device)
    least = torch.finfo(torch.float32).min
    known = similarity.double().nan_to_num(least, posinf=-least, neginf=least).masked_fill(forbidden, -torch.inf)
    weights = (known - known.amax(1, keepdim=True)).exp().masked_fill(forbidden, 0.0)
    up_to = weights.cumsum(1)
    drawn = torch.searchsorted(up_to, draws[:, None].double() * up_to[:, -1:], right=True).squeeze(1)
    return torch.where(forbidden.all(1), NONE_ALLOWED, drawn.clamp(max=similarity.shape[1] - 1))
