"""Counting rivals by products of 16-bit factors, to the same counts that 64 bits give.

A score x.y is computed from factors rounded to bfloat16, x' and y'. By how much it can miss is known:

    |x.y - x'.y'| <= |x - x'| |y| + |x'| |y - y'|                       (Cauchy and Schwarz)

and a little more for sums in 32 bits. Where a rival is further from the true answer than that, it is counted as it is.
The few others, about one in a hundred, are computed again in 32 bits, and those that these cannot tell apart in 64, as
is the true answer's own score. Processors that multiply 16 bits faster thus rank faster, and no rank is approximate.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from torch import Tensor

from kg.embedding.products import rounding_factors
from kg.words import first_byte

SLICE, QUERIES = 1024, 1024
"""Entities and queries of a block: its 4 MB of scores, and its entities, are in the cache when they are counted."""
DOUBTFUL, ENOUGH = 0.05, 1 << 20
"""The share of rivals in doubt from which products in 32 bits are cheaper, and of how many it is told."""
ROOM = 1 << 18
"""Rivals of a block that 32 bits may leave in doubt."""
ROUNDING = 2.0**-23
"""Above the relative error of a sum or a product in 32 bits, and of bringing a number to them."""
VANISHING = np.float32(1e-30)
"""Above what is lost where numbers are too small for 32 bits."""


class Rounded(NamedTuple):
    """Rows rounded to bfloat16, kept in 32 bits.

    Args:
        values: (n, K), the rounded rows.
        norm: (n,) |x|, those of the rows before.
        slack: (n,) |x - x'|, by how much they were rounded.
    """

    values: Tensor
    norm: np.ndarray
    slack: np.ndarray

    @classmethod
    def of(cls, rows: Tensor) -> Rounded:
        values = rows.bfloat16().float()
        return cls(values, rows.norm(dim=1).numpy(), (rows - values).norm(dim=1).numpy())


class Facts(NamedTuple):
    """What is counted for.

    Args:
        rows, columns: (F,) the query of each fact, in ascending order, and its answer.
        starts, known: the known answers of query i are `known[starts[i]:starts[i + 1]]`.
    """

    rows: np.ndarray
    columns: np.ndarray
    starts: np.ndarray
    known: np.ndarray


def count_by_rounding(
    left: Tensor, right: Tensor, facts: Facts, chunk: int | None = None
) -> tuple[np.ndarray, np.ndarray] | None:
    """(F,) how many candidates beat each fact's answer, and how many equal it, known answers taken out.

    Args:
        left, right: (Q, K) and (N, K) float32 on the CPU; the score of query i and entity j is left_i . right_j.
        facts: of these queries.
        chunk: the most entities that are scored at a time.

    Returns:
        None where so many rivals are in doubt that this is no gain.

        >>> left, right = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0], [3.0, 0.0]])
        >>> facts = Facts(np.array([0]), np.array([2]), np.array([0, 2]), np.array([1, 2]))
        >>> [count.tolist() for count in count_by_rounding(left, right, facts)]
        [[0], [2]]
    """
    counting = Count(left, right, facts)
    width = min(SLICE, chunk or SLICE)
    better, equal = np.zeros((2, len(facts.rows)), np.int64)
    again = looked_at = 0
    with one_thread_each() as pool, rounding_factors():
        for part in pool.map(lambda start: counting.slice(start, start + width), range(0, len(right), width)):
            better, equal = better + part.better, equal + part.equal
            again, looked_at = again + part.again, looked_at + min(width, len(right)) * len(facts.rows)
            if part.overflow or again > DOUBTFUL * max(looked_at, ENOUGH):
                counting.given_up = True
                return None
    return better, equal


@contextmanager
def one_thread_each() -> Iterator[ThreadPoolExecutor]:
    """As many threads as torch has for a product, each of which computes products by itself.

    Threads of a product go on waiting for the next one, at the cost of those that count.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)


class Doubt(NamedTuple):
    """By how much scores of a query may miss, as factors (Q,) of what an entity brings.

    Args:
        norm, slack: of a product of rounded factors, `norm` |y| + `slack` |y - y'|.
        single: of one in 32 bits, `single` |y|.
    """

    norm: np.ndarray
    slack: np.ndarray
    single: np.ndarray


class SliceCount(NamedTuple):
    """What a slice of the entities adds.

    Args:
        better, equal: (F,) counts.
        again: how many scores were computed again.
        overflow: whether too many are in doubt, or scores too large for 32 bits.
    """

    better: np.ndarray
    equal: np.ndarray
    again: int
    overflow: bool


class Count:
    """All queries with a slice of the entities, in blocks."""

    def __init__(self, left: Tensor, right: Tensor, facts: Facts) -> None:
        # Whether gradients are wanted is told to each thread for itself.
        left, right = left.detach(), right.detach()
        self.queries, self.right, self.facts = Rounded.of(left), right, facts
        self.whole = left.numpy(), right.numpy()
        self.own = exact_scores(*self.whole, facts.rows, facts.columns)
        # Sums of K products, the norms themselves, and the answer's own score brought to 32 bits.
        rounding = np.float32((left.shape[1] + 4) * ROUNDING) * self.queries.norm
        self.doubt = Doubt(self.queries.slack + rounding, self.queries.values.norm(dim=1).numpy(), rounding)
        self.bounds = np.searchsorted(facts.rows, np.arange(0, len(left) + QUERIES, QUERIES))
        self.given_up = False

    def slice(self, start: int, stop: int) -> SliceCount:
        """Count what is certain, then what is not; nothing once all is given up."""
        entities, again = Rounded.of(self.right[start:stop]), 0
        better, equal = np.zeros((2, len(self.facts.rows)), np.int64)
        if float(entities.norm.max()) * float(self.queries.norm.max()) > np.finfo(np.float32).max:
            return SliceCount(better, equal, again, overflow=True)
        for first, begin, end in zip(count(0, QUERIES), self.bounds, self.bounds[1:], strict=False):
            if self.given_up:
                break
            scores = (self.queries.values[first : first + QUERIES] @ entities.values.T).numpy()
            clear_known(scores, start, first, self.facts.starts, self.facts.known)
            rows, own = self.facts.rows[begin:end], self.own[begin:end]
            norm, slack, single = (each[rows] for each in self.doubt)
            certain, repeated, fact, column = count_certain(
                scores, *self.whole, start, first, entities.norm, entities.slack, rows, own, norm, slack, single, ROOM
            )
            again += repeated
            if len(fact) == ROOM:
                return SliceCount(better, equal, again, overflow=True)
            ahead = exact_scores(*self.whole, rows[fact], column) - own[fact]
            better[begin:end] = certain + np.bincount(fact[ahead > 0], minlength=len(certain))
            equal[begin:end] = np.bincount(fact[ahead == 0], minlength=len(certain))
        return SliceCount(better, equal, again, overflow=False)


Counted = tuple[np.ndarray, int, np.ndarray, np.ndarray]


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def exact_scores(left: np.ndarray, right: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(n,) scores of (query, entity) pairs, summed in 64 bits, in an order that is the same for all pairs."""
    found = np.empty(len(rows), np.float64)
    for place in range(len(rows)):
        one, other = left[rows[place]], right[columns[place]]
        total = 0.0
        for number in range(len(one)):
            total += np.float64(one[number]) * np.float64(other[number])
        found[place] = total
    return found


@njit(cache=True, nogil=True)
def clear_known(scores: np.ndarray, start: int, first: int, starts: np.ndarray, known: np.ndarray) -> None:
    """Set the scores of known answers to -inf, so that they neither beat nor equal any."""
    for row in range(len(scores)):
        for place in range(starts[first + row], starts[first + row + 1]):
            column = known[place] - start
            if 0 <= column < scores.shape[1]:
                scores[row, column] = -np.inf


@njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz"})
def single_score(one: np.ndarray, other: np.ndarray) -> np.float32:
    """A score in 32 bits."""
    total = np.float32(0)
    for number in range(len(one)):
        total += one[number] * other[number]
    return total


@njit(cache=True, nogil=True)
def count_certain(
    scores: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    start: int,
    first: int,
    entity_norm: np.ndarray,
    entity_slack: np.ndarray,
    rows: np.ndarray,
    own: np.ndarray,
    by_norm: np.ndarray,
    by_slack: np.ndarray,
    single: np.ndarray,
    room: int,
) -> Counted:
    """For each fact how many of a slice's entities beat it without doubt.

    Args:
        scores: (B, W), of the queries from `first` on with the entities from `start` on, from rounded factors.
        left, right: all queries and entities.
        entity_norm, entity_slack: (W,), of `Rounded`.
        rows, own: (F,) each fact's query and its answer's score.
        by_norm, by_slack, single: (F,), `Doubt` of these queries.
        room: the most that the lists hold; they end there.

    Returns:
        The counts (F,), how many scores were computed again, and the (fact, entity) that 32 bits leave in doubt.
    """
    better = np.zeros(len(rows), np.int64)
    facts, columns = np.empty(room, np.int64), np.empty(room, np.int64)
    found, again, width = 0, 0, scores.shape[1]
    # Marks of doubt, read eight at a time.
    marks = np.zeros((width + 7) // 8 * 8, np.uint8)
    words = marks.view(np.uint64)
    for fact in range(len(rows)):
        line, query, mine = scores[rows[fact] - first], left[rows[fact]], np.float32(own[fact])
        a, b, c = by_norm[fact], by_slack[fact], single[fact]
        certain = doubtful = np.int32(0)
        for column in range(width):
            ahead, most = line[column] - mine, a * entity_norm[column] + b * entity_slack[column] + VANISHING
            above = ahead > most
            near = (ahead >= -most) & ~above
            marks[column] = near
            certain += np.int32(above)
            doubtful += np.int32(near)
        again += doubtful
        for word in range(len(words) if doubtful else 0):
            left_over = words[word]
            while left_over:
                column = 8 * word + first_byte(left_over)
                left_over &= left_over - np.uint64(1)
                ahead, most = single_score(query, right[start + column]) - mine, c * entity_norm[column] + VANISHING
                if ahead > most:
                    certain += np.int32(1)
                elif ahead >= -most and found < room:
                    facts[found], columns[found] = fact, start + column
                    found += 1
        better[fact] = certain
    return better, again, facts[:found], columns[:found]
