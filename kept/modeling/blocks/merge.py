"""One self-attention over all streams, alone or before they part."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from kept.modeling import visibility
from kept.modeling.blocks.base import BLOCKS, Block, Place
from kept.modeling.layers import AttentionStep, FeedForwardStep, Style, TransformerLayer
from kept.modeling.streams import Stream, Streams


@BLOCKS.register("merge")
class MergeAttention(Block):
    """Single stream: one self-attention and one feed-forward over the concatenation of all streams.

    With `experts` the attention is shared and each kind of stream has a feed-forward of its own. `norm`, `feed_forward`
    and `eps` are the fields of `Style`; "post" and "plain" make the layer BERT's, and UNITER's.
    Source: Wang et al. 2023, "Large-scale Multi-Modal Pre-trained Models", section 3.5 (merge-attention); Chen et al.
    2020, UNITER; experts: Wang et al. 2023, BEiT-3, section 2.1.

        >>> block = BLOCKS["merge"](8, 2, 16)
        >>> sorted(block({"text": Stream.full(torch.zeros(1, 2, 8), "text")}))
        ['text']
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        dropout: float = 0.0,
        place: Place = Place(),
        experts: bool = False,
        norm: Literal["pre", "post"] = "pre",
        feed_forward: Literal["gated", "plain"] = "gated",
        eps: float = 1e-5,
    ) -> None:
        super().__init__(width, heads, hidden, dropout, place, Style(norm, feed_forward, eps))
        if experts:
            self.attention = AttentionStep(width, heads, dropout, self.style)
            self.experts: nn.ModuleDict | None = self.for_kinds(FeedForwardStep, width, hidden, dropout, self.style)
        else:
            self.layer = self.self_attention()
            self.experts = None

    def forward(
        self, streams: Streams, visible: Tensor | None = None, wanted: Mapping[str, Tensor] | None = None
    ) -> dict[str, Stream]:
        if self.experts is None:
            return merged(self.layer, streams, visible, wanted)
        states = torch.cat([stream.states for stream in streams.values()], dim=1)
        mask = torch.cat([stream.mask for stream in streams.values()], dim=1)
        mixed = self.attention(states, states, visibility.both(visibility.padding(mask), visible))
        parts = mixed.split([stream.length for stream in streams.values()], dim=1)
        return {
            name: stream.with_states(self.experts[stream.kind](part))
            for (name, stream), part in zip(streams.items(), parts, strict=True)
        }


def merged(
    layer: TransformerLayer, streams: Streams, visible: Tensor | None, wanted: Mapping[str, Tensor] | None
) -> dict[str, Stream]:
    """One layer over all streams laid end to end."""
    states = torch.cat([stream.states for stream in streams.values()], dim=1)
    mask = torch.cat([stream.mask for stream in streams.values()], dim=1)
    seen = visibility.both(visibility.padding(mask), visible)
    asked = None if wanted is None else torch.cat([wanted[name] for name in streams], dim=1)
    parts = layer(states, seen, asked).split([stream.length for stream in streams.values()], dim=1)
    return {name: stream.with_states(part) for (name, stream), part in zip(streams.items(), parts, strict=True)}


@BLOCKS.register("single-then-two")
class SingleThenTwo(Block):
    """The first layers are joint, in the later ones each stream is alone with itself.

    Args:
        joint: the share of the layers in which the streams meet, the first of them at least.

    Source: Lin et al. 2020, InterBERT, section 3.1 (single-stream interaction, then two-stream extraction).

        >>> [type(BLOCKS["single-then-two"](8, 2, 16, place=Place(i, 4)).own).__name__ for i in (1, 2)]
        ['NoneType', 'ModuleDict']
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        dropout: float = 0.0,
        place: Place = Place(),
        joint: float = 0.5,
    ) -> None:
        super().__init__(width, heads, hidden, dropout, place)
        self.own: nn.ModuleDict | None = None
        if place.index < max(1, math.ceil(joint * place.depth)):
            self.layer = self.self_attention()
        else:
            self.own = self.for_kinds(TransformerLayer, width, heads, hidden, dropout)

    def forward(
        self, streams: Streams, visible: Tensor | None = None, wanted: Mapping[str, Tensor] | None = None
    ) -> dict[str, Stream]:
        if self.own is None:
            return merged(self.layer, streams, visible, wanted)
        return self.alone(self.own, streams, visible, wanted)
