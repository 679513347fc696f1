"""Vectors at mentions, ERNIE's way."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kept.data.batch import Host, Mentions
from kept.modeling.fusion.base import FUSIONS, Fusion
from kept.modeling.streams import Stream, Streams


@FUSIONS.register("mentions")
class MentionFusion(Fusion):
    """Entities join as a stream of their own and are mixed into their mentions' first states.

    Each visible mention k with vector v_k adds the state e_k = LN(P v_k + position of its first piece) to the stream
    `entity`, which the stack reads like any other. At the chosen layers the mention's first state w (of the text, or
    of the picture it was seen in) and e are aligned:

        h = gelu(W_t LN(w) + W_e LN(e) + b),    w <- w + W_o h,    e <- e + W_o' h

    which is ERNIE's information fusion in pre-norm form; states without an aligned entity pass unchanged. A mention
    that is not `visible`, or whose picture is not shown, loses its entity state altogether.
    Source: Zhang et al. 2019, "ERNIE: Enhanced Language Representation with Informative Entities", section 3.3.

        >>> fusion = MentionFusion(width=8, dim=4, layers=2)
        >>> fusion.at
        (-1, 0)
    """

    def __init__(
        self, width: int, dim: int, layers: int, at: Sequence[int] | None = None, max_length: int = 512
    ) -> None:
        super().__init__(width, dim, layers)
        self.at = tuple(range(-1, layers - 1)) if at is None else tuple(at)
        self.project = nn.Linear(dim, width)
        self.positions = nn.Embedding(max_length, width)
        self.hosts = nn.Embedding(len(Host), width)
        self.norm = nn.LayerNorm(width)
        self.aligners = nn.ModuleDict({str(index): _Aligner(width) for index in self.at})

    def inputs(self, streams: Streams, mentions: Mentions, vectors: Tensor) -> dict[str, Stream]:
        place = self.positions(mentions.start) + self.hosts(mentions.host)
        states = self.norm(self.project(vectors) + place)
        shown = mentions.mask & mentions.visible
        if "image" not in streams:
            shown = shown & (mentions.host != Host.IMAGE)
        entity = Stream(
            states=states,
            mask=shown,
            kind="entity",
            positions=mentions.start,
            owner=torch.arange(len(states), device=states.device),
        )
        return {**streams, "entity": entity}

    @property
    def changes_final_states(self) -> bool:
        return self.layers - 1 in self.at

    def layer(self, index: int, streams: Streams, mentions: Mentions) -> dict[str, Stream]:
        if index not in self.at:
            return dict(streams)
        aligner = self.aligners[str(index)]
        entity = streams["entity"]
        hosts = [name for name in ("text", "image") if name in streams]
        joined = torch.cat([streams[name].states for name in hosts], dim=1)
        shift = torch.where(mentions.host == Host.IMAGE, streams["text"].length, 0) if "image" in streams else 0
        place = (mentions.start + shift)[..., None].expand(-1, -1, self.width)
        token_change, entity_change = aligner(joined.gather(1, place), entity.states)
        there = entity.mask[..., None].to(joined.dtype)
        joined = joined.scatter_add(1, place, token_change * there)
        parts = joined.split([streams[name].length for name in hosts], dim=1)
        changed = {name: streams[name].with_states(part) for name, part in zip(hosts, parts, strict=True)}
        return {**streams, **changed, "entity": entity.with_states(entity.states + entity_change * there)}


class _Aligner(nn.Module):
    """One information fusion between aligned token and entity states."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.token_norm, self.entity_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.token_in, self.entity_in = nn.Linear(width, 2 * width), nn.Linear(width, 2 * width, bias=False)
        self.token_out, self.entity_out = nn.Linear(2 * width, width), nn.Linear(2 * width, width)

    def forward(self, token: Tensor, entity: Tensor) -> tuple[Tensor, Tensor]:
        hidden = F.gelu(self.token_in(self.token_norm(token)) + self.entity_in(self.entity_norm(entity)))
        return self.token_out(hidden), self.entity_out(hidden)
