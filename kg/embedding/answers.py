"""All known answers of a query, found by binary search."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class AnswerIndex:
    """All known answers of each distinct query: query `i` has `answers[starts[i]:starts[i + 1]]`."""

    keys: np.ndarray
    starts: np.ndarray
    answers: np.ndarray
    width: int = field(repr=False)

    @classmethod
    def build(cls, queries: np.ndarray, answers: np.ndarray) -> AnswerIndex:
        width, span = int(queries[:, 1].max()) + 1, int(answers.max()) + 1
        pairs = np.sort((queries[:, 0] * width + queries[:, 1]) * span + answers)
        pairs = pairs[np.diff(pairs, prepend=-1) > 0]
        asked = pairs // span
        starts = np.flatnonzero(np.diff(asked, prepend=-1))
        keys = asked[starts]
        return cls(keys, np.append(starts, len(pairs)), pairs % span, width)

    def counts(self, queries: np.ndarray) -> np.ndarray:
        """How many known answers each of (Q, 2) queries has that the index holds."""
        place = np.searchsorted(self.keys, queries[:, 0] * self.width + queries[:, 1])
        counts: np.ndarray = self.starts[place + 1] - self.starts[place]
        return counts

    def pairs(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(query position, known answer) for all known answers of (Q, 2) queries that the index holds."""
        counts = self.counts(queries)
        place = np.searchsorted(self.keys, queries[:, 0] * self.width + queries[:, 1])
        rows = np.repeat(np.arange(len(queries)), counts)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        return rows, self.answers[np.repeat(self.starts[place], counts) + within]
