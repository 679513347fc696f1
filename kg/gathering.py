"""Strings by the million: gathered in another order, and two sorted lists of them made one, by compiled loops."""

from __future__ import annotations

from typing import Any

import numpy as np

from kg.compiled import compiled
from kg.sorting import AHEAD, key_word
from kg.strings import PADDING
from kg.words import borrowed, copy_bytes, prefetch, put_word, word_at


@compiled
def offsets_of(lengths: Any, order: Any) -> Any:
    """(n + 1,) where strings of these lengths begin, one behind the other in this order, and the last one's end."""
    offsets = np.empty(len(order) + 1, np.int64)
    offsets[0] = 0
    for place in range(len(order)):
        offsets[place + 1] = offsets[place] + lengths[order[place]]
    return offsets


@compiled
def gather(data: Any, starts: Any, first: Any, order: Any, offsets: Any, held: Any, low: Any, high: Any) -> None:
    """Copy strings to their places in `held`: those of `order[low:high]` that `starts` knows, its own number 0 being
    `first` in the order. Nothing behind `offsets[high]` is touched, so that several threads may do a stretch each."""
    data, starts, order, offsets, held = borrowed((data, starts, order, offsets, held))
    count = len(starts) - 1
    for place in range(low, high):
        if place + AHEAD < high:
            ahead = order[place + AHEAD] - first
            if 0 <= ahead < count:
                prefetch(data, starts[ahead])
        number = order[place] - first
        if 0 <= number < count:
            start, stop, target = starts[number], starts[number + 1], offsets[place]
            while start + 8 <= stop:
                put_word(held, target, word_at(data, start))
                start += 8
                target += 8
            while start < stop:
                held[target] = data[start]
                start += 1
                target += 1


@compiled
def merge_two(left: Any, left_starts: Any, right: Any, right_starts: Any) -> Any:
    """Two sorted lists of strings, unique in each, as one: (bytes, offsets, places of the left's, of the right's)."""
    left, left_starts, right, right_starts = borrowed((left, left_starts, right, right_starts))
    n, m = len(left_starts) - 1, len(right_starts) - 1
    held = np.empty(left_starts[n] + right_starts[m] + PADDING, np.uint8)
    offsets = np.zeros(n + m + 1, np.int64)
    of_left, of_right = np.empty(n, np.int64), np.empty(m, np.int64)
    i = j = count = 0
    while i < n or j < m:
        order = -1 if j == m else 1 if i == n else 0
        if order == 0:
            p, q, p_stop, q_stop = left_starts[i], right_starts[j], left_starts[i + 1], right_starts[j + 1]
            while order == 0 and p < p_stop and q < q_stop:
                a, b = key_word(left, p, p_stop), key_word(right, q, q_stop)
                if a != b:
                    order = -1 if a < b else 1
                p += 8
                q += 8
            if order == 0:
                longer = (p_stop - left_starts[i]) - (q_stop - right_starts[j])
                order = -1 if longer < 0 else 1 if longer > 0 else 0
        if order <= 0:
            copy_bytes(left, left_starts[i], left_starts[i + 1], held, offsets[count])
            offsets[count + 1] = offsets[count] + left_starts[i + 1] - left_starts[i]
            of_left[i] = count
            i += 1
        else:
            copy_bytes(right, right_starts[j], right_starts[j + 1], held, offsets[count])
            offsets[count + 1] = offsets[count] + right_starts[j + 1] - right_starts[j]
        if order >= 0:
            of_right[j] = count
            j += 1
        count += 1
    used = offsets[count]
    held[used : used + PADDING] = 0
    return held[: used + PADDING].copy(), offsets[: count + 1].copy(), of_left, of_right
