"""Rules of visibility that objectives set: which stream may see which, worked out once their lengths are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from kept.modeling import visibility
from kept.modeling.streams import Streams

READ, WRITTEN = "text", "target"
"""The stream of the text that is read, and of the one that is written."""


Lengths = Mapping[str, int]


class Rule(Protocol):
    """Who may see whom, stream by stream."""

    def between(self, query: str, key: str, lengths: Lengths) -> Tensor | None:
        """Booleans that broadcast to (B, H, Lq, Lk); None where everything may be seen."""


def laid_out(rule: Rule | None, streams: Streams) -> Tensor | None:
    """A rule over all streams end to end: (B or 1, 1, L, L), or None where nothing is restricted."""
    if rule is None:
        return None
    lengths = {name: stream.length for name, stream in streams.items()}
    device = next(iter(streams.values())).states.device
    rows = [stacked([within(rule, query, key, lengths).to(device) for key in lengths], dim=3) for query in lengths]
    return stacked(rows, dim=2)


def within(rule: Rule, query: str, key: str, lengths: Lengths) -> Tensor:
    """(B or 1, H or 1, Lq, Lk): the rule for one pair of streams, written out."""
    found = rule.between(query, key, lengths)
    if found is None:
        found = torch.ones(1, 1, 1, 1, dtype=torch.bool)
    return found.expand(-1, -1, lengths[query], lengths[key])


def stacked(parts: Sequence[Tensor], dim: int) -> Tensor:
    """Parts end to end, those for one record or head repeated for all."""
    rows, heads = (max(part.shape[axis] for part in parts) for axis in (0, 1))
    return torch.cat([part.expand(rows, heads, -1, -1) for part in parts], dim=dim)


@dataclass(frozen=True, slots=True)
class Apart:
    """Every stream sees itself alone: what each says before any has met another."""

    def between(self, query: str, key: str, lengths: Lengths) -> Tensor | None:
        return None if query == key else torch.zeros(1, 1, 1, 1, dtype=torch.bool)


@dataclass(frozen=True, slots=True)
class Writing:
    """What is written sees all that is read and what was written before; nobody sees what is written.

    Source: Dong et al. 2019, UniLM, section 2.2 (sequence to sequence), with the two texts as two streams.
    """

    def between(self, query: str, key: str, lengths: Lengths) -> Tensor | None:
        if key != WRITTEN:
            return None
        if query != WRITTEN:
            return torch.zeros(1, 1, 1, 1, dtype=torch.bool)
        return visibility.causal(lengths[WRITTEN])


@dataclass(frozen=True, slots=True)
class Prefix:
    """The text's first pieces see each other both ways, each later piece what stands before it; others see the first.

    Args:
        lengths: (B,) int64, how many pieces the prefix has.

    Source: Wang et al. 2022, SimVLM, section 3.1.
    """

    lengths: Tensor

    def between(self, query: str, key: str, lengths: Lengths) -> Tensor | None:
        if key != READ:
            return None
        length = lengths[READ]
        if query == READ:
            return visibility.prefix(self.lengths, length)
        inside = torch.arange(length, device=self.lengths.device)[None, :] < self.lengths[:, None]
        return inside[:, None, None, :]


@dataclass(frozen=True, slots=True)
class TwoStreams:
    """The text under a permutation as content, and its targets' queries as the stream that is written.

    Content and queries see the content before them in the order; all else sees the pieces that are no targets, and
    nobody sees a query.

    Args:
        content, queries: (B, 1, L, L) bool, from `kept.objectives.permutation.two_stream_visibility`.
        shown: (B, L) bool, True at pieces that are no targets.
    """

    content: Tensor
    queries: Tensor
    shown: Tensor

    def between(self, query: str, key: str, lengths: Lengths) -> Tensor | None:
        if key == WRITTEN:
            return torch.zeros(1, 1, 1, 1, dtype=torch.bool)
        if key != READ:
            return None
        if query == READ:
            return self.content
        return self.queries if query == WRITTEN else self.shown[:, None, None, :]
