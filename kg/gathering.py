"""Strings by the million: gathered in another order, and two sorted lists of them made one, by compiled loops."""

from __future__ import annotations

from typing import Any

from kg.sorting import AHEAD, compare
from kg.words import borrowed, copy_bytes, prefetch, put_word, word_at


def offsets_of(lengths: Any, order: Any, offsets: Any) -> Any:
    """Where strings of these lengths begin, one behind the other in this order; returns the last one's end."""
    lengths, order, offsets = borrowed((lengths, order, offsets))
    used = 0
    for place in range(len(order)):
        offsets[place] = used
        used += lengths[order[place]]
    offsets[len(order)] = used
    return used


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


def merge_two(
    left: Any, left_starts: Any, right: Any, right_starts: Any, held: Any, offsets: Any, of_left: Any, of_right: Any
) -> Any:
    """Two sorted lists of strings, unique in each, as one; returns how many it has.

    Args:
        held, offsets: the one list, with room for both.
        of_left, of_right: the places that the strings of each have in it.
    """
    left, left_starts, right, right_starts = borrowed((left, left_starts, right, right_starts))
    n, m = len(left_starts) - 1, len(right_starts) - 1
    offsets[0] = 0
    i = j = count = 0
    while i < n or j < m:
        order = -1 if j == m else 1 if i == n else 0
        if order == 0:
            order = compare(left, left_starts[i], left_starts[i + 1], right, right_starts[j], right_starts[j + 1])
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
    return count
