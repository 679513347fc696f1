"""The head of masked language modelling, asked at masked places only."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kept.modeling.activations import ACTIVATIONS
from kept.modeling.pretrained import Taken, load_encoder


class MaskedHead(nn.Module):
    """Word-piece logits E LN(a(W h)) + b, E being the tower's own table of pieces.

    Of a text's pieces a seventh is masked, and the vocabulary is the widest matrix of a small model, so states are
    picked out before they are scored and not after.
    Source: Devlin et al. 2019, BERT, section 3.1; Press & Wolf 2017, "Using the Output Embedding to Improve Language
    Models" (the tied table).

        >>> head = MaskedHead(8, 10)
        >>> head(torch.zeros(2, 8), torch.zeros(10, 8)).shape
        torch.Size([2, 10])
    """

    def __init__(self, width: int, vocabulary: int, activation: str = "gelu", eps: float = 1e-12) -> None:
        super().__init__()
        self.transform = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps)
        self.bias = nn.Parameter(torch.zeros(vocabulary))
        self.activation = ACTIVATIONS[activation]

    def forward(self, hidden: Tensor, table: Tensor) -> Tensor:
        """(n, D) states at masked places and the (V, D) table -> (n, V) logits."""
        return F.linear(self.norm(self.activation(self.transform(hidden))), table, self.bias)

    def loss(self, states: Tensor, wanted: Tensor, targets: Tensor, table: Tensor) -> Tensor:
        """The sum of -log p over masked places: (B, L, D) states, (B, L) where, (n,) the pieces there."""
        logits = self(states[wanted], table)
        return F.cross_entropy(logits.float(), targets, reduction="sum")

    def load_weights(self, folder: str | Path) -> Taken:
        """Take over the head in a local transformers folder of a BERT or RoBERTa (`cls.predictions`, `lm_head`)."""
        return load_encoder(folder, "text").into_head(self)
