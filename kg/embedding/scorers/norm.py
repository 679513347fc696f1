"""Batch normalisation that a batch of one does not stop."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation of rows (B, width); a single row in training is normalised by the running statistics.

    >>> import torch
    >>> BatchNorm(2)(torch.ones(1, 2)).shape
    torch.Size([1, 2])
    """

    def forward(self, rows: Tensor) -> Tensor:
        if len(rows) > 1 or not self.training:
            return super().forward(rows)
        return functional.batch_norm(rows, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
