"""Padded batches without their padding: the real tokens end to end, rows of one length together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Packing:
    """Where the N real tokens of a (rows, length) batch lie.

    Args:
        rows, length: B and L.
        places: (N,) int64, places in the batch laid out flat, row after row; None where every token is real.
        groups: how many rows of how many real tokens come one after the other, as (rows, tokens); None where the packed
            tokens are not ordered by length.
    """

    rows: int
    length: int
    places: Tensor | None
    groups: tuple[tuple[int, int], ...] | None = None

    @classmethod
    # How many tokens are real is known from the data alone, so a compiled graph has to begin behind it.
    @torch.compiler.disable
    def of(cls, mask: Tensor, grouped: bool = False) -> Packing:
        """(B, L) bool, True where a token is real; with `grouped` rows are ordered by how many real tokens they have.

        >>> mask = torch.tensor([[True, True], [False, True], [True, True]])
        >>> Packing.of(mask).places.tolist()
        [0, 1, 3, 4, 5]
        >>> Packing.of(mask, grouped=True)
        Packing(rows=3, length=2, places=tensor([3, 0, 1, 4, 5]), groups=((1, 1), (2, 2)))
        """
        rows, length = mask.shape
        places = mask.flatten().nonzero().squeeze(1)
        if len(places) == rows * length:
            return cls(rows, length, None, ((rows, length),) if grouped else None)
        if not grouped:
            return cls(rows, length, places)
        lengths = mask.sum(1)
        # Sorted by length, then by place, which the stable sort of rising places keeps.
        places = places[torch.argsort(lengths[places // length], stable=True)]
        groups = sorted(Counter(lengths.tolist()).items())
        return cls(rows, length, places, tuple((count, tokens) for tokens, count in groups if tokens))

    def pack(self, padded: Tensor) -> Tensor:
        """(B, L, ...) -> (N, ...).

        >>> Packing.of(torch.tensor([[False, True]])).pack(torch.tensor([[1.0, 2.0]])).tolist()
        [2.0]
        """
        flat = padded.flatten(0, 1)
        return flat if self.places is None else flat.index_select(0, self.places)

    def unpack(self, packed: Tensor) -> Tensor:
        """(N, D) -> (B, L, D), zeros where nothing is real.

        >>> Packing.of(torch.tensor([[False, True]])).unpack(torch.tensor([[2.0]])).tolist()
        [[[0.0], [2.0]]]
        """
        if self.places is not None:
            empty = packed.new_zeros(self.rows * self.length, packed.shape[1])
            packed = empty.index_copy(0, self.places, packed)
        return packed.unflatten(0, (self.rows, self.length))


@dataclass(frozen=True, slots=True)
class Queries:
    """Those of the packed tokens that are asked for, and how they lie in a (B, K) batch of their own.

    Args:
        among: (M,) int64, which of the N packed tokens they are.
        within: how the M lie in (B, K), K being the most of any row.
        columns: (B, K) int64, the column of the (B, L) batch that each comes from; of no meaning where none is.
        whole: how the M lie in (B, L).
    """

    among: Tensor
    within: Packing
    columns: Tensor
    whole: Packing

    @classmethod
    @torch.compiler.disable
    def of(cls, wanted: Tensor, packing: Packing) -> Queries:
        """The tokens that `wanted` (B, L) marks, which have to be real.

        >>> packing = Packing.of(torch.tensor([[True, True, False]]))
        >>> Queries.of(torch.tensor([[False, True, False]]), packing).among.tolist()
        [1]
        """
        rows, length = wanted.shape
        places = wanted.flatten().nonzero().squeeze(1)
        slots = (wanted.cumsum(1) - 1).flatten()[places]
        most = int(slots.max()) + 1 if len(places) else 0
        columns = wanted.new_zeros(rows * most, dtype=torch.int64)
        inside = places // length * most + slots
        columns[inside] = places % length
        among = places
        if packing.places is not None:
            number = torch.empty(rows * length, dtype=torch.int64, device=wanted.device)
            number[packing.places] = torch.arange(len(packing.places), device=wanted.device)
            among = number[places]
        return cls(among, Packing(rows, most, inside), columns.view(rows, most), Packing(rows, length, places))
