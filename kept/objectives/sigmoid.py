"""Contrast pair by pair, without a softmax over the batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def siglip_loss(image: Tensor, texts: Tensor, positive: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Sum over all pairs of -log sigmoid(l_ij (s x_i . y_j + b)), l = 1 for a positive pair and -1 for any other.

    Each pair is a yes-or-no question of its own, so that rows of several processes add up, several positives need no
    normalising, and nothing but the texts has to be gathered. Divide by the number of pictures for the paper's loss.

    Args:
        image: (B, d) unit vectors x of the pictures.
        texts: (C, d) unit vectors y of all texts.
        positive: (B, C) bool, True where picture and text belong together.
        scale, bias: scalars s and b, learned; the paper starts them at 10 and -10.

    Source: Zhai et al. 2023, "Sigmoid loss for language image pre-training", section 3.2.

        >>> x = torch.eye(2)
        >>> round(float(siglip_loss(x, x, x.bool(), torch.tensor(10.0), torch.tensor(-10.0))), 4)
        1.3864
    """
    logits = scale * image @ texts.T + bias
    return F.softplus(torch.where(positive, -logits, logits)).sum()
