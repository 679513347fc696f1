"""Which records make up which batch, as a function of seed and step alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

WINDOW = 16
"""Batches whose records are sorted by length together, so that little is padded and batches still vary."""


@dataclass(slots=True)
class Sampler:
    """Endless shuffled batches of similar length.

    An epoch visits each record once. `at(step)` needs no history, so a resumed run sees the same batches. With several
    processes every batch holds a record for each of them, given that there are as many records at all: a last batch
    with fewer is joined to the one before it.

        >>> sampler = Sampler(np.array([3, 1, 2, 9]), size=2, seed=0)
        >>> epoch, rows = sampler.at(3)
        >>> epoch, len(rows)
        (1, 2)
    """

    lengths: NDArray[np.int64]
    size: int
    seed: int
    rank: int = 0
    ranks: int = 1
    _epoch: int = -1
    _batches: list[NDArray[np.int64]] = field(default_factory=list)

    @property
    def batches_per_epoch(self) -> int:
        full, rest = divmod(len(self.lengths), self.size * self.ranks)
        return max(1, full + (rest >= self.ranks))

    def at(self, step: int) -> tuple[int, NDArray[np.int64]]:
        """The epoch that a step falls into, and this rank's rows of the step's batch."""
        epoch, index = divmod(step, self.batches_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._shuffle(epoch)
        return epoch, self._batches[index][self.rank :: self.ranks]

    def _shuffle(self, epoch: int) -> list[NDArray[np.int64]]:
        generator = np.random.default_rng((self.seed, epoch))
        order = generator.permutation(len(self.lengths))
        whole, window = self.size * self.ranks, self.size * self.ranks * WINDOW
        batches: list[NDArray[np.int64]] = []
        for begin in range(0, len(order), window):
            part = order[begin : begin + window]
            part = part[np.argsort(self.lengths[part], kind="stable")]
            batches += [part[start : start + whole] for start in range(0, len(part), whole)]
        if len(batches) > self.batches_per_epoch:
            batches[-2:] = [np.concatenate(batches[-2:])]
        return [batches[index] for index in generator.permutation(len(batches))]
