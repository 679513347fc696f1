"""How likely a model finds each name of an answer space at [MASK], piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from kept.modeling.model import KeptModel

BLOCK = 512
"""Pieces whose continuations are worked out at once."""
KEPT = 8
"""Blocks of a slot that are kept for the next questions; a large graph has too many names to keep all."""


@dataclass(frozen=True, slots=True)
class NameTable:
    """The names of an answer space as word pieces, and what a model makes of their order.

    Args:
        first: (C,) each name's first piece.
        later: the slots behind the first, as far as any name goes.

    A name's probability is prod_j p(w_j | [MASK], w_before), its end included; see `PieceDecoder`.
    """

    first: Tensor
    later: tuple[Slot, ...]

    @classmethod
    def build(cls, names: Sequence[Sequence[int]], slots: int, model: KeptModel) -> NameTable:
        """From the pieces of every name with its end; what is longer than `slots` is cut."""
        width = min(slots, max(map(len, names), default=1))
        pieces = torch.full((len(names), width), -1)
        for row, name in enumerate(names):
            cut = torch.tensor(name[:width])
            pieces[row, : len(cut)] = cut
        pieces = pieces.to(model.device)
        return cls(pieces[:, 0], tuple(Slot.build(pieces, place, model) for place in range(1, width)))

    @property
    def slots(self) -> int:
        return len(self.later) + 1

    @torch.inference_mode()
    def log_probabilities(self, logits: Tensor) -> Tensor:
        """(n, C) of all names; `logits` (n, slots or more, V) leave the piece before out of account."""
        total = logits[:, 0].log_softmax(dim=1)[:, self.first]
        for place, slot in enumerate(self.later, start=1):
            total = total.index_add(1, slot.names, slot.log_probabilities(logits[:, place]).to(total.dtype))
        return total


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot behind the first.

    Args:
        names: (k,) the names that are so long.
        pieces: (k,) the piece that each has here.
        before: (u,) the different pieces that stand before.
        which: (k,) which of these stands before each name's.
    """

    names: Tensor
    pieces: Tensor
    before: Tensor
    which: Tensor
    model: KeptModel
    _blocks: dict[int, Block] = field(default_factory=dict)

    @classmethod
    def build(cls, pieces: Tensor, place: int, model: KeptModel) -> Slot:
        """The slot `place` of the names (C, slots), -1 behind their ends."""
        names = (pieces[:, place] >= 0).nonzero().squeeze(1)
        before, which = pieces[names, place - 1].unique(return_inverse=True)
        return cls(names, pieces[names, place], before, which, model)

    def log_probabilities(self, logits: Tensor) -> Tensor:
        """(n, k): log p of each name's piece, from the slot's logits (n, V).

        The logits of a piece are a part that knows the question and a part that knows the piece before, so all
        normalisers come from one product of their exponentials: log sum_v exp(a_v + b_v) = log(exp(a) exp(b)^T).
        """
        question = logits.double()
        highest = question.amax(1, keepdim=True)
        weights = (question - highest).exp()
        found = question[:, self.pieces]
        for block in self._all_blocks():
            sums = (weights @ block.factors.T).clamp(min=torch.finfo(weights.dtype).tiny)
            normaliser = sums.log() + highest + block.steepest
            found[:, block.names] += block.own - normaliser[:, block.which]
        return found

    def _all_blocks(self) -> Iterator[Block]:
        for start in range(0, len(self.before), BLOCK):
            block = self._blocks.get(start) or self._block(start)
            if len(self._blocks) < KEPT:
                self._blocks[start] = block
            yield block

    def _block(self, start: int) -> Block:
        follows = self.model.continuation_logits(self.before[start : start + BLOCK]).double()
        steepest = follows.amax(1)
        names = ((self.which >= start) & (self.which < start + BLOCK)).nonzero().squeeze(1)
        which = self.which[names] - start
        own = follows[which, self.pieces[names]]
        return Block(names, which, own, follows.sub_(steepest[:, None]).exp_(), steepest)


@dataclass(frozen=True, slots=True)
class Block:
    """The continuations of at most `BLOCK` pieces.

    Args:
        names: (m,) which of the slot's names have one of them before theirs.
        which: (m,) which one it is.
        own: (m,) what it adds to the logit of the name's own piece.
        factors: (b, V) exp(b_v - the greatest of them), for the normalisers.
        steepest: (b,) the greatest.
    """

    names: Tensor
    which: Tensor
    own: Tensor
    factors: Tensor
    steepest: Tensor
