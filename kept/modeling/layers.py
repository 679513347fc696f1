"""The plain parts that towers and blocks are made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kept.modeling import visibility
from kg.errors import InputError


class Attention(nn.Module):
    """Multi-head attention, softmax(Q K^T / sqrt(D / H)) V, through torch's fused kernel.

    Source: Vaswani et al. 2017, section 3.2.

        >>> Attention(8, 2)(torch.zeros(1, 3, 8), torch.zeros(1, 5, 8)).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if width % heads:
            raise InputError(f"width {width} does not divide into {heads} heads")
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.output = nn.Linear(width, width)

    def forward(
        self,
        x: Tensor,
        context: Tensor | None = None,
        visible: Tensor | None = None,
        key_shift: Tensor | None = None,
        value_shift: Tensor | None = None,
    ) -> Tensor:
        """Let `x` (B, Lq, D) read `context` (B, Lk, D), itself by default; `visible` broadcasts to (B, H, Lq, Lk).

        The shifts, (B, 1 or Lk, D), are added to keys and values.
        """
        source = x if context is None else context
        query = self._split(self.query(x))
        keys, values = self.key_value(source).chunk(2, dim=-1)
        key = self._split(keys if key_shift is None else keys + key_shift)
        value = self._split(values if value_shift is None else values + value_shift)
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=visible, dropout_p=dropout)
        return self.output(mixed.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """Gated: W_o (gelu(W_g x) * W_v x), position by position.

    The product lets a state select by one part of itself (a relation) from another (a subject), which a plain layer
    has to learn unit by unit.
    Source: Shazeer 2020, "GLU Variants Improve Transformer", equation 6 (GEGLU).
    """

    def __init__(self, width: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.expand = nn.Linear(width, 2 * hidden)
        self.contract = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.expand(x).chunk(2, dim=-1)
        return self.contract(self.dropout(F.gelu(gate) * value))


class AttentionStep(nn.Module):
    """Pre-norm attention with a residual: x + attention(LN(x), LN'(context)); x stays where nothing is visible.

    >>> step = AttentionStep(8, 2)
    >>> x, nothing = torch.ones(1, 3, 8), torch.zeros(1, 1, 1, 5, dtype=torch.bool)
    >>> torch.equal(step(x, torch.zeros(1, 5, 8), nothing), x)
    True
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm, self.context_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        context: Tensor,
        visible: Tensor,
        key_shift: Tensor | None = None,
        value_shift: Tensor | None = None,
    ) -> Tensor:
        """(B, Lq, D) and (B, Lk, D), itself for self-attention; `visible` broadcasts to (B, H, Lq, Lk)."""
        mixed = self.attention(
            self.norm(x), self.context_norm(context), visibility.never_empty(visible), key_shift, value_shift
        )
        there = visible.any(-1).any(1)[..., None]
        return x + self.dropout(mixed) * there


class FeedForwardStep(nn.Module):
    """Pre-norm feed-forward with a residual: x + f(LN(x))."""

    def __init__(self, width: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, hidden, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.dropout(self.feed_forward(self.norm(x)))


class TransformerLayer(nn.Module):
    """Pre-norm self-attention and feed-forward, each with a residual: x + f(LN(x)).

    With `wanted` (B, L) bool only those states are computed, though they see all others; the rest comes out as zeros.
    Source: Xiong et al. 2020, "On Layer Normalization in the Transformer Architecture", figure 1b.

        >>> TransformerLayer(8, 2, 16)(torch.zeros(1, 3, 8)).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, width: int, heads: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, hidden, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, visible: Tensor | None = None, wanted: Tensor | None = None) -> Tensor:
        normed = self.attention_norm(x)
        if wanted is None:
            x = x + self.dropout(self.attention(normed, visible=visible))
            return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        places, real = packed(wanted)
        index = places[..., None].expand(-1, -1, x.shape[2])
        if visible is not None and visible.shape[2] > 1:
            rows, heads = visible.shape[:2]
            of_queries = places[:, None, :, None].expand(-1, heads, -1, visible.shape[3])
            visible = visible.expand(len(x) if rows == 1 else rows, -1, -1, -1).gather(2, of_queries)
        mixed = self.attention(normed.gather(1, index), normed, visible)
        asked = (x.gather(1, index) + self.dropout(mixed))[real]
        asked = asked + self.dropout(self.feed_forward(self.feed_forward_norm(asked)))
        return torch.zeros_like(x).masked_scatter(wanted[..., None], asked)


def packed(wanted: Tensor) -> tuple[Tensor, Tensor]:
    """(B, L) bool -> the true places of each row in order (B, K), and where they are real (B, K); K is the most.

    >>> packed(torch.tensor([[False, True, True], [False, False, True]]))[0].tolist()
    [[1, 2], [2, 0]]
    """
    most = int(wanted.sum(1).max()) if len(wanted) else 0
    places = torch.argsort((~wanted).to(torch.uint8), dim=1, stable=True)[:, :most]
    return places, wanted.gather(1, places)


def initialise(module: nn.Module, generator: torch.Generator, *, embedding_std: float = 0.3) -> None:
    """Draw a part's weights from its own generator, so that adding a part never changes another's draws.

    Linear weights are uniform as torch draws them (bound 1 / sqrt(fan in)), biases zero, embeddings normal with
    `embedding_std`, norms one and zero; other parameters are left as their module made them.
    """
    for child in module.modules():
        if isinstance(child, nn.Linear):
            bound = child.in_features**-0.5
            with torch.no_grad():
                child.weight.uniform_(-bound, bound, generator=generator)
            if child.bias is not None:
                nn.init.zeros_(child.bias)
        elif isinstance(child, nn.Embedding):
            with torch.no_grad():
                child.weight.normal_(0.0, embedding_std, generator=generator)
        elif isinstance(child, nn.LayerNorm):
            nn.init.ones_(child.weight)
            if child.bias is not None:
                nn.init.zeros_(child.bias)
