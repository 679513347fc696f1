"""Interaction blocks: how the streams of a model meet. A block takes named streams and returns the same names."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from kept.modeling import visibility
from kept.modeling.layers import TransformerLayer
from kept.modeling.streams import Stream, Streams
from kg.registry import Registry

BLOCKS: Registry[type[Block]] = Registry("block")


class Block(nn.Module):
    """One layer of a shared stack.

    `forward(streams, visible, wanted)` returns streams under the same names, of the same shapes. `visible`, if given,
    broadcasts to (B, H, L, L) over the streams laid end to end in the order of their names in `streams`; `wanted`, if
    given, holds for each name the (B, L) states that will be looked at, and a block need not compute the others.
    """

    def __init__(self, width: int, heads: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.width, self.heads, self.hidden, self.dropout_rate = width, heads, hidden, dropout

    def forward(
        self, streams: Streams, visible: Tensor | None = None, wanted: Mapping[str, Tensor] | None = None
    ) -> dict[str, Stream]:
        raise NotImplementedError


@BLOCKS.register("merge")
class MergeAttention(Block):
    """Single stream: one self-attention and one feed-forward over the concatenation of all streams.

    Source: Wang et al. 2023, "Large-scale Multi-Modal Pre-trained Models", section 3.5 (merge-attention); Chen et al.
    2020, UNITER.

        >>> block = BLOCKS["merge"](8, 2, 16)
        >>> sorted(block({"text": Stream.full(torch.zeros(1, 2, 8), "text")}))
        ['text']
    """

    def __init__(self, width: int, heads: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__(width, heads, hidden, dropout)
        self.layer = TransformerLayer(width, heads, hidden, dropout)

    def forward(
        self, streams: Streams, visible: Tensor | None = None, wanted: Mapping[str, Tensor] | None = None
    ) -> dict[str, Stream]:
        names = list(streams)
        merged = torch.cat([streams[name].states for name in names], dim=1)
        mask = torch.cat([streams[name].mask for name in names], dim=1)
        seen = visibility.both(visibility.padding(mask), visible)
        asked = None if wanted is None else torch.cat([wanted[name] for name in names], dim=1)
        states = self.layer(merged, seen, asked).split([streams[name].length for name in names], dim=1)
        return {name: streams[name].with_states(part) for name, part in zip(names, states, strict=True)}
