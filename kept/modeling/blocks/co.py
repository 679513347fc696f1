"""Every stream keeps weights of its own and reads the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from torch import Tensor, nn

from kept.modeling import visibility
from kept.modeling.blocks.base import BLOCKS, Block, Place
from kept.modeling.layers import AttentionStep, FeedForwardStep, Style, TransformerLayer
from kept.modeling.streams import Stream, Streams, joined


@BLOCKS.register("co")
class CoAttention(Block):
    """Each stream attends to itself and, in a cross-attention of its own, to all others.

    Args:
        wiring: the order of the steps, and whose weights they are. All streams read what the others were when the step
            began.

            - "meter": self, cross, feed-forward; each stream has weights of its own.
            - "vilbert": cross, feed-forward, then a whole self-attention layer; weights of its own.
            - "lxmert": cross, self, feed-forward; one cross-attention serves all streams, the rest is their own.

        norm, feed_forward, eps: the fields of `Style`. All three papers have post-norm and a plain feed-forward; with
            "lxmert" the block is then LXMERT's cross-modality layer.

    Source: Lu et al. 2019, ViLBERT, section 3.1; Tan & Bansal 2019, LXMERT, section 2.2; Dou et al. 2022, METER,
    section 3.2 (co-attention).

        >>> block = BLOCKS["co"](8, 2, 16, wiring="lxmert")
        >>> block.crosses["text"] is block.crosses["image"]
        True
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        dropout: float = 0.0,
        place: Place = Place(),
        wiring: Literal["meter", "vilbert", "lxmert"] = "meter",
        norm: Literal["pre", "post"] = "pre",
        feed_forward: Literal["gated", "plain"] = "gated",
        eps: float = 1e-5,
    ) -> None:
        super().__init__(width, heads, hidden, dropout, place, Style(norm, feed_forward, eps))
        self.wiring = wiring
        self.crosses = self.for_kinds(AttentionStep, width, heads, dropout, self.style)
        if wiring == "lxmert":
            shared = AttentionStep(width, heads, dropout, self.style)
            self.crosses.update(dict.fromkeys(place.kinds, shared))
        if wiring == "vilbert":
            self.layers = self.for_kinds(TransformerLayer, width, heads, hidden, dropout, self.style)
        else:
            self.selves = self.for_kinds(AttentionStep, width, heads, dropout, self.style)
        self.feed_forwards = self.for_kinds(FeedForwardStep, width, hidden, dropout, self.style)

    def forward(
        self, streams: Streams, visible: Tensor | None = None, wanted: Mapping[str, Tensor] | None = None
    ) -> dict[str, Stream]:
        if self.wiring == "meter":
            return self._think(self._read(self._attend(streams, visible), visible))
        if self.wiring == "lxmert":
            return self._think(self._attend(self._read(streams, visible), visible))
        return self.alone(self.layers, self._think(self._read(streams, visible)), visible)

    def _attend(self, streams: Streams, visible: Tensor | None) -> dict[str, Stream]:
        changed = {}
        for name, stream in streams.items():
            seen = visibility.between(streams, visible, name, [name])
            changed[name] = stream.with_states(self.selves[stream.kind](stream.states, stream.states, seen))
        return changed

    def _read(self, streams: Streams, visible: Tensor | None) -> dict[str, Stream]:
        return {name: read_others(self.crosses, streams, visible, name) for name in streams}

    def _think(self, streams: Streams) -> dict[str, Stream]:
        return {
            name: stream.with_states(self.feed_forwards[stream.kind](stream.states)) for name, stream in streams.items()
        }


def read_others(crosses: nn.ModuleDict, streams: Streams, visible: Tensor | None, name: str) -> Stream:
    """One stream after the cross-attention of its kind over all others; unchanged where there is nothing to read."""
    others = [other for other in streams if other != name]
    stream = streams[name]
    if not others:
        return stream
    seen = visibility.between(streams, visible, name, others)
    return stream.with_states(crosses[stream.kind](stream.states, joined(streams, others), seen))
