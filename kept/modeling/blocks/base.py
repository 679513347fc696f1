"""What an interaction block is: named streams in, the same names out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from kept.modeling import visibility
from kept.modeling.layers import Style, TransformerLayer
from kept.modeling.streams import Stream, Streams
from kg.registry import Registry

BLOCKS: Registry[type[Block]] = Registry("block")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block stands: which layer of how many, and the kinds of stream that come by."""

    index: int = 0
    depth: int = 1
    kinds: tuple[str, ...] = ("text", "image", "regions", "entity")


class Block(nn.Module):
    """One layer of a shared stack.

    `forward(streams, visible, wanted)` returns streams under the same names, of the same shapes. `visible`, if given,
    broadcasts to (B, H, L, L) over the streams laid end to end in the order of their names in `streams`; `wanted`, if
    given, holds for each name the (B, L) states that will be looked at, and a block need not compute the others.

    A block may keep weights of its own for each kind of stream; streams of one kind, such as a text that is read and
    one that is written, share them.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        dropout: float = 0.0,
        place: Place = Place(),
        style: Style = Style(),
    ) -> None:
        super().__init__()
        self.width, self.heads, self.hidden, self.dropout_rate, self.place = width, heads, hidden, dropout, place
        self.style = style

    def forward(
        self, streams: Streams, visible: Tensor | None = None, wanted: Mapping[str, Tensor] | None = None
    ) -> dict[str, Stream]:
        raise NotImplementedError

    @staticmethod
    def alone(
        layers: nn.ModuleDict,
        streams: Streams,
        visible: Tensor | None,
        wanted: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Stream]:
        """Each stream after the self-attention layer of its kind, without the others."""
        changed = {}
        for name, stream in streams.items():
            seen = visibility.never_empty(visibility.between(streams, visible, name, [name]))
            asked = None if wanted is None else wanted[name]
            changed[name] = stream.with_states(layers[stream.kind](stream.states, seen, asked))
        return changed

    def self_attention(self) -> TransformerLayer:
        """A self-attention layer of the block's shape."""
        return TransformerLayer(self.width, self.heads, self.hidden, self.dropout_rate, self.style)

    def for_kinds(self, make: type[nn.Module], *arguments: object) -> nn.ModuleDict:
        """One such module for each kind of stream."""
        return nn.ModuleDict({kind: make(*arguments) for kind in self.place.kinds})
