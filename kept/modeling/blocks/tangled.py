"""One stream leads, the others read themselves in the light of each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from kept.modeling import visibility
from kept.modeling.blocks.base import BLOCKS, Block, Place
from kept.modeling.layers import Attention, AttentionStep, FeedForwardStep
from kept.modeling.streams import Stream, Streams


@BLOCKS.register("tangled")
class TangledAttention(Block):
    """A leading stream looks at each of the others, and what it saw in one changes how the next reads itself.

        c_y = attention(a, y),    t_x = attention(x, c_y of all y != x),    K_x <- K_x + P t_x,    V_x <- V_x + P' t_x

    Each stream but the leading one then attends to itself with these keys and values; all go through their
    feed-forward. Without a leading stream, or where it is empty, the others read themselves as they are. What the
    leading stream may not see reaches nobody.

    Args:
        lead: the kind of the leading stream.

    Source: Zhu & Yang 2020, ActBERT, section 3.2 (tangled transformer; there actions lead regions and words). How c_y,
    as long as the leading stream, meets the states of x is not settled there; here each state of x picks from it by
    attention. (One shift for all keys would do nothing: it cancels in their softmax.)

        >>> sorted(BLOCKS["tangled"](8, 2, 16, place=Place(kinds=("text", "image", "entity"))).steps)
        ['image', 'text']
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        dropout: float = 0.0,
        place: Place = Place(),
        lead: str = "entity",
    ) -> None:
        super().__init__(width, heads, hidden, dropout, place)
        self.lead = lead
        led = [kind for kind in place.kinds if kind != lead]
        self.lead_norm = nn.LayerNorm(width)
        self.norms = nn.ModuleDict({kind: nn.LayerNorm(width) for kind in led})
        self.looks = nn.ModuleDict({kind: Attention(width, heads, dropout) for kind in led})
        self.picks = nn.ModuleDict({kind: Attention(width, heads, dropout) for kind in led})
        self.to_key = nn.ModuleDict({kind: nn.Linear(width, width, bias=False) for kind in led})
        self.to_value = nn.ModuleDict({kind: nn.Linear(width, width, bias=False) for kind in led})
        self.steps = nn.ModuleDict({kind: AttentionStep(width, heads, dropout) for kind in led})
        self.feed_forwards = self.for_kinds(FeedForwardStep, width, hidden, dropout)

    def forward(
        self, streams: Streams, visible: Tensor | None = None, wanted: Mapping[str, Tensor] | None = None
    ) -> dict[str, Stream]:
        leading = next((name for name, stream in streams.items() if stream.kind == self.lead), None)
        led = [name for name in streams if name != leading]
        looked = {name: self._look(streams, visible, leading, name) for name in led} if leading is not None else {}
        changed = {}
        for name, stream in streams.items():
            states = stream.states
            if name in led:
                key_shift = value_shift = None
                others = [looked[other] for other in looked if other != name]
                if leading is not None and others:
                    picked = self._pick(streams, visible, leading, name, others)
                    key_shift, value_shift = self.to_key[stream.kind](picked), self.to_value[stream.kind](picked)
                seen = visibility.between(streams, visible, name, [name])
                states = self.steps[stream.kind](states, states, seen, key_shift, value_shift)
            changed[name] = stream.with_states(self.feed_forwards[stream.kind](states))
        return changed

    def _look(self, streams: Streams, visible: Tensor | None, leading: str, name: str) -> tuple[Tensor, Tensor]:
        """(B, La, D) what each leading state sees in a stream, and (B, 1, 1, La) where it sees anything."""
        stream, lead = streams[name], streams[leading]
        seen = visibility.between(streams, visible, leading, [name])
        keys = self.norms[stream.kind](stream.states)
        looked = self.looks[stream.kind](self.lead_norm(lead.states), keys, visibility.never_empty(seen))
        there = lead.mask & seen.any(-1).any(1)
        return looked, there[:, None, None, :]

    def _pick(
        self,
        streams: Streams,
        visible: Tensor | None,
        leading: str,
        name: str,
        looked: Sequence[tuple[Tensor, Tensor]],
    ) -> Tensor:
        """(B, L, D): what each state of a stream takes from what was seen in the others; zeros where there is none."""
        stream = streams[name]
        sees_lead = visibility.between(streams, visible, name, [leading])
        seen = torch.cat([sees_lead & there for _, there in looked], dim=-1)
        context = torch.cat([states for states, _ in looked], dim=1)
        query = self.norms[stream.kind](stream.states)
        picked: Tensor = self.picks[stream.kind](query, context, visibility.never_empty(seen))
        return picked * seen.any(-1).any(1)[..., None]
