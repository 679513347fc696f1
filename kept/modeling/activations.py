"""Activation functions of feed-forwards, by the names that configurations give them."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def quick_gelu(x: Tensor) -> Tensor:
    """x sigmoid(1.702 x), CLIP's approximation of gelu.

    Source: Hendrycks & Gimpel 2016, "Gaussian Error Linear Units", section 2.

    >>> quick_gelu(torch.tensor([0.0])).item()
    0.0
    """
    return x * torch.sigmoid(1.702 * x)


def gelu_tanh(x: Tensor) -> Tensor:
    """0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).

    Source: Hendrycks & Gimpel 2016, section 2.

    >>> gelu_tanh(torch.tensor([0.0])).item()
    0.0
    """
    return F.gelu(x, approximate="tanh")


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": gelu_tanh,
    "quick_gelu": quick_gelu,
}
