"""Penalties of parameters: pure functions."""

from __future__ import annotations

from torch import Tensor


def n3(moduli: Tensor, counts: Tensor | None = None) -> Tensor:
    """The nuclear 3-norm penalty: the sum of |x|^3 over rows (B, d), row `i` taken `counts[i]` times.

    Source: Lacroix et al. 2018, equation 4.

        >>> import torch
        >>> n3(torch.tensor([[1.0, 2.0]])).item()
        9.0
    """
    return _counted((moduli**3).sum(1), counts)


def l2(moduli: Tensor, counts: Tensor | None = None) -> Tensor:
    """The squared Frobenius penalty: the sum of |x|^2 over rows (B, d), row `i` taken `counts[i]` times.

    >>> import torch
    >>> l2(torch.tensor([[1.0, 2.0]]), torch.tensor([3])).item()
    15.0
    """
    return _counted((moduli**2).sum(1), counts)


def _counted(norms: Tensor, counts: Tensor | None) -> Tensor:
    return norms.sum() if counts is None else (norms * counts).sum()
