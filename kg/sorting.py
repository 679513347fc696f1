"""Strings by the million: sorted by compiled loops."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from kg.compiled import compiled
from kg.words import big_endian, borrowed, prefetch, word_at

FEW = 12
"""Below so many, strings are put in order one by one."""
MANY = 1 << 10
"""From so many on they are sorted by their bytes."""
BYTE = np.uint64(0xFF)
AHEAD = 16
"""So many strings before they are looked at their bytes are sent for."""
LONGEST = np.iinfo(np.int64).max
LAST = np.uint64(0xFFFFFFFFFFFFFFFF)


@njit(inline="always")
def key_word(data: Any, place: Any, stop: Any) -> Any:
    """The next eight bytes as a word in their order, zeros behind the end."""
    left = stop - place
    if left <= 0:
        return np.uint64(0)
    word = big_endian(word_at(data, place))
    return word if left >= 8 else word & ~(LAST >> np.uint64(8 * left))


@njit(inline="always")
def precedes(data: Any, starts: Any, i: Any, j: Any, depth: Any) -> Any:
    """Whether string i comes before string j; both begin with the same `depth` bytes."""
    p, q = starts[i] + depth, starts[j] + depth
    p_stop, q_stop = starts[i + 1], starts[j + 1]
    while p < p_stop and q < q_stop:
        left, right = key_word(data, p, p_stop), key_word(data, q, q_stop)
        if left != right:
            return left < right
        p += 8
        q += 8
    return p_stop - starts[i] < q_stop - starts[j]


@njit
def insertion_sort(data: Any, starts: Any, order: Any, low: Any, high: Any, depth: Any) -> None:
    for place in range(low + 1, high):
        moved = order[place]
        gap = place
        while gap > low and precedes(data, starts, moved, order[gap - 1], depth):
            order[gap] = order[gap - 1]
            gap -= 1
        order[gap] = moved


@njit
def fill_words(data: Any, starts: Any, order: Any, low: Any, high: Any, depth: Any, words: Any) -> Any:
    """The words at `depth` of some strings: (the bits in which they differ, bytes that the shortest has left)."""
    varying, shortest = np.uint64(0), LONGEST
    for place in range(low, high):
        if place + 2 * AHEAD < high:
            prefetch(starts, order[place + 2 * AHEAD])
            prefetch(data, starts[order[place + AHEAD]] + depth)
        number = order[place]
        start, stop = starts[number] + depth, starts[number + 1]
        word = key_word(data, start, stop)
        words[place] = word
        varying |= word ^ words[low]
        shortest = min(shortest, stop - start)
    return varying, shortest


@njit
def sort_by_words(
    words: Any, order: Any, spare_words: Any, spare_order: Any, low: Any, high: Any, varying: Any
) -> None:
    """Sort `words[low:high]`, and `order` along with it, byte by byte from the last to the first.

    Args:
        varying: the bits in which the words differ; bytes without any are left out.
    """
    counts = np.zeros((8, 256), np.int64)
    for place in range(low, high):
        word = words[place]
        for byte in range(8):
            counts[byte, np.int64((word >> np.uint64(8 * byte)) & BYTE)] += 1
    source, target = (words, order), (spare_words, spare_order)
    swapped = False
    for byte in range(8):
        shift = np.uint64(8 * byte)
        if (varying >> shift) & BYTE == 0:
            continue
        ends = counts[byte]
        begin = low
        for value in range(256):
            ends[value], begin = begin, begin + ends[value]
        from_words, from_order = source
        to_words, to_order = target
        for place in range(low, high):
            word = from_words[place]
            value = np.int64((word >> shift) & BYTE)
            to_words[ends[value]] = word
            to_order[ends[value]] = from_order[place]
            ends[value] += 1
        source, target = target, source
        swapped = not swapped
    if swapped:
        for place in range(low, high):
            words[place], order[place] = spare_words[place], spare_order[place]


@njit
def sort_stretch(data: Any, starts: Any, order: Any, low: Any, high: Any, room: Any) -> None:
    """Put `order[low:high]` in order by eight bytes at a time, those alike by the next eight.

    Many are sorted by their bytes, fewer by quicksort.

    Args:
        room: arrays of the size of `order`: two of words, one of numbers.

    Source: Bentley and Sedgewick 1997, "Fast algorithms for sorting and searching strings", section 3.
    """
    data, starts, order, room = borrowed((data, starts, order, room))
    words, spare_words, spare_order = room
    stack = [(low, high, np.int64(0), True)]
    while stack:
        low, high, depth, fresh = stack.pop()
        if high - low < FEW:
            insertion_sort(data, starts, order, low, high, depth)
            continue
        varying = np.uint64(0)
        while fresh:
            varying, shortest = fill_words(data, starts, order, low, high, depth, words)
            if varying or shortest <= 8:
                break
            depth += 8
        if fresh and high - low >= MANY:
            sort_by_words(words, order, spare_words, spare_order, low, high, varying)
            while low < high:
                upper = low + 1
                while upper < high and words[upper] == words[low]:
                    upper += 1
                if upper - low < FEW:
                    if upper > low + 1:
                        insertion_sort(data, starts, order, low, upper, depth)
                else:
                    ended = end_here(data, starts, order, low, upper, depth)
                    stack.append((ended, upper, depth + 8, True))
                low = upper
            continue
        step = (high - low) // 8
        a, b, c = words[low + step], words[low + 4 * step], words[low + 7 * step]
        pivot = max(min(a, b), min(max(a, b), c))
        lower, place, upper = low, low, high
        while place < upper:
            word = words[place]
            if word < pivot:
                words[place], words[lower] = words[lower], word
                order[place], order[lower] = order[lower], order[place]
                lower += 1
                place += 1
            elif word > pivot:
                upper -= 1
                words[place], words[upper] = words[upper], word
                order[place], order[upper] = order[upper], order[place]
            else:
                place += 1
        stack.append((low, lower, depth, False))
        stack.append((upper, high, depth, False))
        stack.append((end_here(data, starts, order, lower, upper, depth), upper, depth + 8, True))


@njit
def end_here(data: Any, starts: Any, order: Any, low: Any, high: Any, depth: Any) -> Any:
    """Of strings that are alike up to `depth + 8` put those first that end by then; returns where the others begin."""
    ended = low
    for place in range(low, high):
        number = order[place]
        if starts[number + 1] - starts[number] <= depth + 8:
            order[place], order[ended] = order[ended], number
            ended += 1
    insertion_sort(data, starts, order, low, ended, depth)
    return ended


@njit(inline="always")
def room_for(count: Any) -> Any:
    return np.empty(count, np.uint64), np.empty(count, np.uint64), np.empty(count, np.int64)


@compiled
def sorted_order(data: Any, starts: Any) -> Any:
    """The numbers of the strings in the order of their bytes."""
    count = len(starts) - 1
    order = np.arange(count)
    sort_stretch(data, starts, order, 0, count, room_for(count))
    return order


@compiled
def sort_some(data: Any, starts: Any, order: Any) -> None:
    """Put the strings with these numbers in the order of their bytes."""
    sort_stretch(data, starts, order, 0, len(order), room_for(len(order)))


@compiled
def parted(data: Any, starts: Any, pivot: Any) -> Any:
    """(before, others): the numbers of the strings that come before string `pivot`, and of those that do not."""
    data, starts = borrowed((data, starts))
    count = len(starts) - 1
    before, others = np.empty(count, np.int64), np.empty(count, np.int64)
    i = j = 0
    for number in range(count):
        if precedes(data, starts, number, pivot, 0):
            before[i] = number
            i += 1
        else:
            others[j] = number
            j += 1
    return before[:i].copy(), others[:j].copy()


@compiled
def sort_groups(data: Any, starts: Any, order: Any, bounds: Any) -> None:
    """Put each stretch `order[bounds[i, 0] : bounds[i, 1]]` in the order of its strings."""
    room = room_for(len(order))
    for group in range(len(bounds)):
        sort_stretch(data, starts, order, bounds[group, 0], bounds[group, 1], room)


@compiled
def repeats(data: Any, starts: Any, order: Any) -> Any:
    """(n,) bool: whether each string of the order equals the one before it."""
    data, starts, order = borrowed((data, starts, order))
    same = np.zeros(len(order), np.bool_)
    for place in range(1, len(order)):
        if place + AHEAD < len(order):
            prefetch(data, starts[order[place + AHEAD]])
        i, j = order[place - 1], order[place]
        p, q = starts[i], starts[j]
        length = starts[i + 1] - p
        if length != starts[j + 1] - q:
            continue
        same[place] = True
        for step in range(0, length, 8):
            if key_word(data, p + step, p + length) != key_word(data, q + step, q + length):
                same[place] = False
                break
    return same
