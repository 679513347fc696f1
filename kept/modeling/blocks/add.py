"""Streams that meet in a sum or a product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from kept.modeling import visibility
from kept.modeling.blocks.base import BLOCKS, Block, Place
from kept.modeling.layers import TransformerLayer
from kept.modeling.streams import Stream, Streams


@BLOCKS.register("add")
class Addition(Block):
    """Each stream goes through a layer of its own; then the means of the others are added to its states.

        x_q <- x_q + sum_o W_o LN(mean of the states of o that q may see)

    With `how="multiply"` the sum scales instead: x_q <- x_q * (1 + sum_o ...).
    Source: Wang et al. 2023, "Large-scale Multi-Modal Pre-trained Models", section 3.5 (concatenation and addition); Lu
    et al. 2019, ViLBERT, section 3.2 (product of summaries).

        >>> BLOCKS["add"](8, 2, 16, how="multiply").how
        'multiply'
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        dropout: float = 0.0,
        place: Place = Place(),
        how: Literal["add", "multiply"] = "add",
    ) -> None:
        super().__init__(width, heads, hidden, dropout, place)
        self.how = how
        self.layers = self.for_kinds(TransformerLayer, width, heads, hidden, dropout)
        self.norms = self.for_kinds(nn.LayerNorm, width)
        self.maps = self.for_kinds(nn.Linear, width, width)

    def forward(
        self, streams: Streams, visible: Tensor | None = None, wanted: Mapping[str, Tensor] | None = None
    ) -> dict[str, Stream]:
        alone = self.alone(self.layers, streams, visible)
        changed = {}
        for name, stream in alone.items():
            given = [self._from(alone, visible, name, other) for other in alone if other != name]
            if given:
                total = torch.stack(given).sum(0)
                states = stream.states + total if self.how == "add" else stream.states * (1 + total)
                changed[name] = stream.with_states(states)
            else:
                changed[name] = stream
        return changed

    def _from(self, streams: Streams, visible: Tensor | None, name: str, other: str) -> Tensor:
        """(B, Lq or 1, D): what `other` adds to the states of `name`."""
        source = streams[other]
        seen = visibility.between(streams, visible, name, [other]).to(source.states.dtype).mean(1)
        count = seen.sum(-1, keepdim=True)
        mean = (seen / count.clamp(min=1e-6)) @ source.states
        given: Tensor = self.maps[source.kind](self.norms[source.kind](mean))
        return given * (count > 0)
