"""A running average of weights, which a fit validates and keeps instead of the last ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@torch.no_grad()
def average_weights(average: dict[str, Tensor], model: nn.Module, decay: float, count: int) -> None:
    """Take a model's weights into their running average, in place:

        a_n = c_n a_(n-1) + (1 - c_n) x_n,   c_n = min(decay, n / (n + 9)),   a_1 = x_1

    Late steps jump about the bottom that they have reached, the more so the higher the learning rate and the dropout;
    their mean lies nearer to it. The smaller c_n of early updates forget the start sooner. Running statistics of batch
    norms are averaged as weights are; whole numbers are taken as they stand.

    Args:
        average: a_(n-1) by name; empty before the first update.
        model: whose parameters and buffers are x_n.
        decay: of the average, about `1 / (1 - decay)` updates long.
        count: n, from 1.

    Source: Polyak & Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging"; Izmailov et al. 2018,
    "Averaging Weights Leads to Wider Optima and Better Generalization", section 3 (one update an epoch).

        >>> model, average = nn.Linear(1, 1, bias=False), {}
        >>> for count, value in enumerate((0.0, 11.0), start=1):
        ...     _ = nn.init.constant_(model.weight, value)
        ...     average_weights(average, model, 0.9, count)
        >>> round(average["weight"].item(), 4)
        9.0
    """
    kept = min(decay, count / (count + 9))
    for name, tensor in model.state_dict().items():
        if name in average and tensor.is_floating_point():
            average[name].lerp_(tensor, 1 - kept)
        else:
            average[name] = tensor.clone()


@contextmanager
def weights_of(model: nn.Module, tensors: dict[str, Tensor]) -> Iterator[None]:
    """A model that has other weights within the block; empty `tensors` leave it as it is.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> before = model.weight.item()
    >>> with weights_of(model, {"weight": torch.full((1, 1), 7.0)}):
    ...     model.weight.item()
    7.0
    >>> model.weight.item() == before
    True
    """
    if not tensors:
        yield
        return
    own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.load_state_dict(tensors)
    try:
        yield
    finally:
        model.load_state_dict(own)
