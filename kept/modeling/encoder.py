"""A transformer encoder that computes no padding: what BERT, RoBERTa, ViT and CLIP are made of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from kept.modeling import visibility
from kept.modeling.activations import ACTIVATIONS
from kept.modeling.packing import Packing, Queries
from kg.errors import InputError, nearest

NORMS, FEED_FORWARDS = ("pre", "post"), ("plain", "gated")


@dataclass(frozen=True)
class EncoderConfig:
    """The shape of an `Encoder`.

    Args:
        width, layers, heads, hidden: hidden width D, depth, heads that D divides into, width inside a feed-forward.
        norm: "pre", x + f(LN(x)), or "post", LN(x + f(x)).
        feed_forward: "plain", W_o a(W x), or "gated", W_o (a(W_g x) * W_v x).
        activation: a name of `ACTIVATIONS`.
        eps: what layer norms add to the variance.
        dropout, attention_dropout: of each part's output, and of attention weights.
        final_norm: one more layer norm behind the last layer.
        causal: a token sees itself and those before it.
        checkpointing: keep no states inside a layer for the gradient but compute them again, which takes a third more
            time and far less memory.

    Raises:
        InputError: for a name that does not exist, or a width that does not divide.
    """

    width: int
    layers: int
    heads: int
    hidden: int
    norm: str = "pre"
    feed_forward: str = "plain"
    activation: str = "gelu"
    eps: float = 1e-5
    dropout: float = 0.0
    attention_dropout: float = 0.0
    final_norm: bool = False
    causal: bool = False
    checkpointing: bool = False

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise InputError(f"encoder: layers {self.layers}; there has to be one at least")
        if self.width % self.heads:
            raise InputError(f"encoder: width {self.width} does not divide into {self.heads} heads")
        for key, valid in (("norm", NORMS), ("feed_forward", FEED_FORWARDS), ("activation", tuple(ACTIVATIONS))):
            if getattr(self, key) not in valid:
                raise InputError(f"encoder: {key} {getattr(self, key)!r}; {nearest(getattr(self, key), valid)}")


class FeedForward(nn.Module):
    """W_o a(W x), or gated W_o (a(W_g x) * W_v x), token by token.

    Source: Vaswani et al. 2017, section 3.3; Shazeer 2020, "GLU Variants Improve Transformer", equation 6.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.gated = config.feed_forward == "gated"
        self.activation = ACTIVATIONS[config.activation]
        self.expand = nn.Linear(config.width, config.hidden * (2 if self.gated else 1))
        self.contract = nn.Linear(config.hidden, config.width)

    def forward(self, x: Tensor) -> Tensor:
        if not self.gated:
            return self.contract(self.activation(self.expand(x)))
        gate, value = self.expand(x).chunk(2, dim=-1)
        return self.contract(self.activation(gate) * value)


class PackedAttention(nn.Module):
    """softmax(Q K^T / sqrt(D / H)) V among the real tokens of each row, Q, K and V being one matrix product.

    Rows of one length are attended to together, so that no score of padding is ever computed; where someone else says
    who sees whom (`seen`), rows are padded for this one step.
    Source: Vaswani et al. 2017, section 3.2.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.heads, self.dropout, self.causal = config.heads, config.attention_dropout, config.causal
        self.query_key_value = nn.Linear(config.width, 3 * config.width)
        self.output = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor, packing: Packing, seen: Tensor | None, queries: Queries | None = None) -> Tensor:
        """(N, D) -> (N, D), or (M, D) for the M `queries`."""
        if queries is not None:
            return self.output(self._few(x, packing, seen, queries))
        projected = self.query_key_value(x)
        if seen is not None or packing.groups is None:
            mixed = packing.pack(self._attend(packing.unpack(projected), seen))
        else:
            sizes = [rows * tokens for rows, tokens in packing.groups]
            parts = zip(projected.split(sizes), packing.groups, strict=True)
            made = [self._attend(part.unflatten(0, shape), None).flatten(0, 1) for part, shape in parts]
            mixed = torch.cat(made) if made else projected[:, : x.shape[1]]
        return self.output(mixed)

    def _attend(self, projected: Tensor, seen: Tensor | None) -> Tensor:
        """(B, L, 3 D) -> (B, L, D)."""
        query, key, value = projected.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self._product(query, key, value, seen, self.causal and seen is None)

    def _few(self, x: Tensor, packing: Packing, seen: Tensor | None, queries: Queries) -> Tensor:
        width = x.shape[1]
        weight, bias = self.query_key_value.weight, self.query_key_value.bias
        asked = F.linear(x.index_select(0, queries.among), weight[:width], bias[:width])
        read = packing.unpack(F.linear(x, weight[width:], bias[width:]))
        query = queries.within.unpack(asked).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        key, value = read.unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if seen is not None and seen.shape[2] > 1:
            index = queries.columns[:, None, :, None].expand(-1, seen.shape[1], -1, seen.shape[3])
            seen = seen.expand(len(index), -1, -1, -1).gather(2, index)
        return queries.within.pack(self._product(query, key, value, seen, False))

    def _product(self, query: Tensor, key: Tensor, value: Tensor, seen: Tensor | None, causal: bool) -> Tensor:
        dropout, dtype = self.dropout if self.training else 0.0, query.dtype
        if query.device.type == "cpu" and dtype == torch.bfloat16:
            # Torch's gradient of attention in bfloat16 takes a processor five times as long as in float32.
            query, key, value = query.float(), key.float(), value.float()
        with torch.autocast(query.device.type, enabled=False):
            mixed = F.scaled_dot_product_attention(query, key, value, seen, dropout, causal)
        return mixed.to(dtype).transpose(1, 2).flatten(2)


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each with a residual and a norm before or behind it.

    Source: Vaswani et al. 2017, section 3.1 (post); Xiong et al. 2020, figure 1b (pre).
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.pre = config.norm == "pre"
        self.attention, self.feed_forward = PackedAttention(config), FeedForward(config)
        self.attention_norm = nn.LayerNorm(config.width, config.eps)
        self.feed_forward_norm = nn.LayerNorm(config.width, config.eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, packing: Packing, seen: Tensor | None, queries: Queries | None = None) -> Tensor:
        normed = self.attention_norm(x) if self.pre else x
        mixed = self.dropout(self.attention(normed, packing, seen, queries))
        x = mixed + (x if queries is None else x.index_select(0, queries.among))
        if self.pre:
            return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
        x = self.attention_norm(x)
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))


class Encoder(nn.Module):
    """A stack of `EncoderLayer`s over the real tokens of a batch only, equal to the padded computation.

    All that is done token by token is done to the N real tokens laid end to end, and attention to rows of one length at
    a time. Under `torch.compile`, and off the CPU, attention pads instead: one shape, one kernel.

        >>> encoder = Encoder(EncoderConfig(width=8, layers=2, heads=2, hidden=16))
        >>> encoder(torch.zeros(1, 3, 8), torch.tensor([[True, True, False]])).shape
        torch.Size([1, 3, 8])
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config, self.checkpointing = config, config.checkpointing
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width, config.eps) if config.final_norm else nn.Identity()

    def forward(
        self, states: Tensor, mask: Tensor, visible: Tensor | None = None, wanted: Tensor | None = None
    ) -> Tensor:
        """(B, L, D) -> (B, L, D), zeros where nothing is real.

        Args:
            mask: (B, L) bool, True where a token is real.
            visible: who sees whom beside that, broadcasting to (B, H, L, L).
            wanted: (B, L) bool, the states that will be looked at: the last layer computes no other, though these see
                all; the rest comes out as zeros.
        """
        packing = self.packing(mask, visible)
        return self.encode(packing.pack(states), mask, packing, visible, wanted)

    def packing(self, mask: Tensor, visible: Tensor | None = None) -> Packing:
        """How `encode` wants the tokens of a batch laid out."""
        padded = visible is not None or mask.device.type != "cpu" or torch.compiler.is_compiling()
        return Packing.of(mask, grouped=not padded)

    def encode(
        self,
        x: Tensor,
        mask: Tensor,
        packing: Packing,
        visible: Tensor | None = None,
        wanted: Tensor | None = None,
    ) -> Tensor:
        """`forward` from tokens that are packed already, (N, D) -> (B, L, D)."""
        queries = None if wanted is None else Queries.of(wanted & mask, packing)
        seen = self._seen(mask, packing, visible) if packing.groups is None else None
        for layer in self.layers if queries is None else self.layers[:-1]:
            x = self._run(layer, x, packing, seen, None)
        if queries is None:
            return packing.unpack(self.norm(x))
        x = self._run(self.layers[-1], x, packing, self._seen(mask, packing, visible), queries)
        return queries.whole.unpack(self.norm(x))

    def _seen(self, mask: Tensor, packing: Packing, visible: Tensor | None) -> Tensor | None:
        padding = None if packing.places is None else visibility.padding(mask)
        causal = visibility.causal(mask.shape[1], mask.device) if self.config.causal else None
        return visibility.both(padding, causal, visible)

    def _run(self, layer: nn.Module, *inputs: object) -> Tensor:
        if self.checkpointing and self.training and torch.is_grad_enabled():
            return checkpoint(layer, *inputs, use_reentrant=False)
        return layer(*inputs)
