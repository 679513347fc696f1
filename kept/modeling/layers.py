"""The plain parts that towers and blocks are made of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kept.modeling import visibility
from kg.errors import InputError, nearest

NORMS, FEED_FORWARDS = ("pre", "post"), ("gated", "plain")


@dataclass(frozen=True)
class Style:
    """How the steps of a layer are built.

    Args:
        norm: "pre", x + f(LN(x)), or "post", LN(x + f(x)).
        feed_forward: "gated", W_o (gelu(W_g x) * W_v x), or "plain", W_o gelu(W x).
        eps: what layer norms add to the variance.

    Raises:
        InputError: for a name that does not exist.

    Source: Xiong et al. 2020, "On Layer Normalization in the Transformer Architecture", figure 1; Shazeer 2020, "GLU
    Variants Improve Transformer", equations 1 and 6.

        >>> Style(norm="post", feed_forward="plain", eps=1e-12).post
        True
    """

    norm: str = "pre"
    feed_forward: str = "gated"
    eps: float = 1e-5

    def __post_init__(self) -> None:
        for key, valid in (("norm", NORMS), ("feed_forward", FEED_FORWARDS)):
            if getattr(self, key) not in valid:
                raise InputError(f"{key} {getattr(self, key)!r}: {nearest(getattr(self, key), valid)}")

    @property
    def post(self) -> bool:
        return self.norm == "post"

    @property
    def gated(self) -> bool:
        return self.feed_forward == "gated"


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
    """Gated: W_o (gelu(W_g x) * W_v x), position by position; plain: W_o gelu(W x).

    The product lets a state select by one part of itself (a relation) from another (a subject), which a plain layer
    has to learn unit by unit.
    Source: Shazeer 2020, "GLU Variants Improve Transformer", equation 6 (GEGLU); plain: Devlin et al. 2019, BERT.
    """

    def __init__(self, width: int, hidden: int, dropout: float = 0.0, gated: bool = True) -> None:
        super().__init__()
        self.gated = gated
        self.expand = nn.Linear(width, 2 * hidden if gated else hidden)
        self.contract = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        if not self.gated:
            return self.contract(self.dropout(F.gelu(self.expand(x))))
        gate, value = self.expand(x).chunk(2, dim=-1)
        return self.contract(self.dropout(F.gelu(gate) * value))


class AttentionStep(nn.Module):
    """Attention with a residual; x stays where nothing is visible.

    Pre-norm: x + attention(LN(x), LN'(context)); post-norm: LN(x + attention(x, context)).

        >>> step = AttentionStep(8, 2)
        >>> x, nothing = torch.ones(1, 3, 8), torch.zeros(1, 1, 1, 5, dtype=torch.bool)
        >>> torch.equal(step(x, torch.zeros(1, 5, 8), nothing), x)
        True
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0, style: Style = Style()) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, style.eps)
        self.context_norm = None if style.post else nn.LayerNorm(width, style.eps)
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
        seen, there = visibility.never_empty(visible), visible.any(-1).any(1)[..., None]
        if self.context_norm is None:
            mixed = self.attention(x, context, seen, key_shift, value_shift)
            return torch.where(there, self.norm(x + self.dropout(mixed)), x)
        mixed = self.attention(self.norm(x), self.context_norm(context), seen, key_shift, value_shift)
        return x + self.dropout(mixed) * there


class FeedForwardStep(nn.Module):
    """Feed-forward with a residual: pre-norm x + f(LN(x)), post-norm LN(x + f(x))."""

    def __init__(self, width: int, hidden: int, dropout: float = 0.0, style: Style = Style()) -> None:
        super().__init__()
        self.post = style.post
        self.norm = nn.LayerNorm(width, style.eps)
        self.feed_forward = FeedForward(width, hidden, dropout, style.gated)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        if self.post:
            return self.norm(x + self.dropout(self.feed_forward(x)))
        return x + self.dropout(self.feed_forward(self.norm(x)))


class TransformerLayer(nn.Module):
    """Self-attention and feed-forward, each with a residual: pre-norm x + f(LN(x)), post-norm LN(x + f(x)).

    With `wanted` (B, L) bool only those states are computed, though they see all others; the rest comes out as zeros.
    Source: Xiong et al. 2020, "On Layer Normalization in the Transformer Architecture", figure 1.

        >>> TransformerLayer(8, 2, 16)(torch.zeros(1, 3, 8)).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, width: int, heads: int, hidden: int, dropout: float = 0.0, style: Style = Style()) -> None:
        super().__init__()
        self.post = style.post
        self.attention_norm = nn.LayerNorm(width, style.eps)
        self.attention = Attention(width, heads, dropout)
        self.feed_forward_norm = nn.LayerNorm(width, style.eps)
        self.feed_forward = FeedForward(width, hidden, dropout, style.gated)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, visible: Tensor | None = None, wanted: Tensor | None = None) -> Tensor:
        normed = x if self.post else self.attention_norm(x)
        if wanted is None:
            return self._think(x + self.dropout(self.attention(normed, visible=visible)))
        places, real = packed(wanted)
        index = places[..., None].expand(-1, -1, x.shape[2])
        if visible is not None and visible.shape[2] > 1:
            rows, heads = visible.shape[:2]
            of_queries = places[:, None, :, None].expand(-1, heads, -1, visible.shape[3])
            visible = visible.expand(len(x) if rows == 1 else rows, -1, -1, -1).gather(2, of_queries)
        mixed = self.attention(normed.gather(1, index), normed, visible)
        asked = self._think((x.gather(1, index) + self.dropout(mixed))[real])
        return torch.zeros_like(x).masked_scatter(wanted[..., None], asked)

    def _think(self, mixed: Tensor) -> Tensor:
        """What follows the sum of x and attention."""
        if not self.post:
            return mixed + self.dropout(self.feed_forward(self.feed_forward_norm(mixed)))
        x = self.attention_norm(mixed)
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))


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

    Weights of linear layers and convolutions are uniform as torch draws them (bound 1 / sqrt(fan in)), biases zero,
    embeddings normal with `embedding_std`, norms one and zero; other parameters are left as their module made them.
    """
    for child in module.modules():
        if isinstance(child, nn.Linear | nn.Conv2d):
            bound = child.weight[0].numel() ** -0.5
            with torch.no_grad():
                child.weight.uniform_(-bound, bound, generator=generator)
            if child.bias is not None:
                nn.init.zeros_(child.bias)
        elif isinstance(child, nn.Embedding):
            with torch.no_grad():
                child.weight.normal_(0.0, embedding_std, generator=generator)
        elif isinstance(child, nn.LayerNorm | nn.GroupNorm):
            nn.init.ones_(child.weight)
            if child.bias is not None:
                nn.init.zeros_(child.bias)
