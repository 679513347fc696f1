"""What flows through a model: named sequences of hidden states, one for each modality, knowledge included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Stream:
    """One modality's hidden states for a batch.

    Args:
        states: (B, L, D).
        mask: (B, L) bool, True where there is something real.
        kind: "text", "image", "entity", ...
        positions: (B, L) int64, the position each state speaks of (an entity's is that of its mention).
        owner: (B,) int64, the record each row belongs to.

        >>> s = Stream.full(torch.zeros(2, 3, 8), "text")
        >>> s.take(torch.tensor([1, 1, 0])).owner.tolist()
        [1, 1, 0]
    """

    states: Tensor
    mask: Tensor
    kind: str
    positions: Tensor
    owner: Tensor

    @classmethod
    def full(cls, states: Tensor, kind: str, mask: Tensor | None = None) -> Stream:
        """A stream whose positions count up from 0 and whose rows own themselves."""
        rows, length = states.shape[:2]
        device = states.device
        return cls(
            states=states,
            mask=torch.ones(rows, length, dtype=torch.bool, device=device) if mask is None else mask,
            kind=kind,
            positions=torch.arange(length, device=device).expand(rows, length),
            owner=torch.arange(rows, device=device),
        )

    def __len__(self) -> int:
        return self.states.shape[0]

    @property
    def length(self) -> int:
        return self.states.shape[1]

    def with_states(self, states: Tensor) -> Stream:
        return replace(self, states=states)

    def take(self, rows: Tensor) -> Stream:
        """The given rows, in their order, repeats allowed: re-pairs records (hard negatives, choices, documents)."""
        return replace(
            self,
            states=self.states[rows],
            mask=self.mask[rows],
            positions=self.positions[rows],
            owner=self.owner[rows],
        )

    def regroup(self, owner: Tensor) -> Stream:
        """Join the rows of one owner end to end, in row order: clips (B, L, D) become videos (owners, n x L, D).

        `owner` (B,) must count 0, 1, 2, ... without a gap. Owners with fewer rows are padded, and the mask says so.

            >>> s = Stream.full(torch.arange(6.0).view(3, 2, 1), "frame")
            >>> s.regroup(torch.tensor([0, 1, 0])).mask.tolist()
            [[True, True, True, True], [True, True, False, False]]
        """
        owners = int(owner.max()) + 1
        slot = torch.zeros_like(owner)
        for group in range(owners):
            rows = owner == group
            slot[rows] = torch.arange(int(rows.sum()), device=owner.device)
        most = int(slot.max()) + 1

        def gather(values: Tensor) -> Tensor:
            joined = values.new_zeros(owners, most, *values.shape[1:])
            joined[owner, slot] = values
            return joined.flatten(1, 2)

        return Stream(
            states=gather(self.states),
            mask=gather(self.mask),
            kind=self.kind,
            positions=gather(self.positions),
            owner=torch.arange(owners, device=owner.device),
        )


Streams = Mapping[str, Stream]


def pool(stream: Stream) -> Tensor:
    """(B, D): the mean of the real states; a row without any gives zeros."""
    weight = stream.mask.to(stream.states.dtype).unsqueeze(-1)
    return (stream.states * weight).sum(1) / weight.sum(1).clamp(min=1.0)


def joined(streams: Streams, names: Sequence[str]) -> Tensor:
    """(B, sum of L, D): the states of these streams end to end."""
    return torch.cat([streams[name].states for name in names], dim=1)
