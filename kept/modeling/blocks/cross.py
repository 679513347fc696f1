"""Streams that read others without a self-attention between, or one that reads all the rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

from kept.modeling import visibility
from kept.modeling.blocks.base import BLOCKS, Block, Place
from kept.modeling.blocks.co import read_others
from kept.modeling.layers import AttentionStep, FeedForwardStep, Style
from kept.modeling.streams import Stream, Streams


@BLOCKS.register("cross")
class CrossAttention(Block):
    """One stream reads the others (`into`), or all read each other (`into` None).

    One-way: the stream attends to itself, then to the others, then goes through a feed-forward; the others pass
    unchanged. Mutual: each stream's queries meet the others' keys and values, then its feed-forward. `norm`,
    `feed_forward` and `eps` are the fields of `Style`; "post" and "plain" are ALBEF's.
    Source: Li et al. 2021, ALBEF, section 3.1 (one-way, into the text); Wang et al. 2023, "Large-scale Multi-Modal
    Pre-trained Models", section 3.5 (cross-attention, mutual).

        >>> BLOCKS["cross"](8, 2, 16, into="text").into
        'text'
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        dropout: float = 0.0,
        place: Place = Place(),
        into: str | None = "text",
        norm: Literal["pre", "post"] = "pre",
        feed_forward: Literal["gated", "plain"] = "gated",
        eps: float = 1e-5,
    ) -> None:
        super().__init__(width, heads, hidden, dropout, place, Style(norm, feed_forward, eps))
        self.into = into
        kinds = place.kinds if into is None else (into,)
        attention, thinking = (width, heads, dropout, self.style), (width, hidden, dropout, self.style)
        self.selves = nn.ModuleDict({} if into is None else {into: AttentionStep(*attention)})
        self.crosses = nn.ModuleDict({kind: AttentionStep(*attention) for kind in kinds})
        self.feed_forwards = nn.ModuleDict({kind: FeedForwardStep(*thinking) for kind in kinds})

    def forward(
        self, streams: Streams, visible: Tensor | None = None, wanted: Mapping[str, Tensor] | None = None
    ) -> dict[str, Stream]:
        reading = {name: stream for name, stream in streams.items() if self.into in (None, stream.kind)}
        begun = dict(streams)
        for name, stream in reading.items():
            if stream.kind in self.selves:
                seen = visibility.between(streams, visible, name, [name])
                begun[name] = stream.with_states(self.selves[stream.kind](stream.states, stream.states, seen))
        changed = dict(begun)
        for name, stream in reading.items():
            read = read_others(self.crosses, begun, visible, name)
            changed[name] = read.with_states(self.feed_forwards[stream.kind](read.states))
        return changed
