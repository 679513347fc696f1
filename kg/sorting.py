"""Strings by the million: sorted by compiled loops."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from kg.strings import FEW
from kg.words import big_endian, borrowed, prefetch, word_at

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
    return compare(data, starts[i] + depth, starts[i + 1], data, starts[j] + depth, starts[j + 1]) < 0


@njit(inline="always")
def compare(left: Any, i: Any, i_stop: Any, right: Any, j: Any, j_stop: Any) -> Any:
    """Below 0 where one string comes before another, above where it comes behind, 0 where they are equal."""
    longer = (i_stop - i) - (j_stop - j)
    while i < i_stop and j < j_stop:
        a, b = key_word(left, i, i_stop), key_word(right, j, j_stop)
        if a != b:
            return -1 if a < b else 1
        i += 8
        j += 8
    return longer


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
    words: Any, order: Any, spare_words: Any, spare_order: Any, counts: Any, low: Any, high: Any, varying: Any
) -> None:
    """Sort `words[low:high]`, and `order` along with it, byte by byte from the last to the first.

    Args:
        counts: (8, 256) int64, room to count in.
        varying: the bits in which the words differ; bytes without any are left out.
    """
    for byte in range(8):
        for value in range(256):
            counts[byte, value] = 0
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
def wait_or_sort(
    data: Any, starts: Any, order: Any, low: Any, high: Any, depth: Any, fresh: Any, waiting: Any, top: Any
) -> Any:
    """Sort a stretch at once where it is short; else let it wait on top of others; returns how many wait then."""
    if high - low < FEW:
        insertion_sort(data, starts, order, low, high, depth)
        return top
    waiting[top, 0], waiting[top, 1], waiting[top, 2], waiting[top, 3] = low, high, depth, fresh
    return top + 1


@njit
def sort_stretch(data: Any, starts: Any, order: Any, low: Any, high: Any, room: Any) -> None:
    """Put `order[low:high]` in order by eight bytes at a time, those alike by the next eight.

    Many are sorted by their bytes, fewer by quicksort.

    Args:
        room: two arrays of words and one of numbers, each of the size of the stretch or larger; (8, 256) numbers; and
            a row of four for every `FEW` of the stretch, and one more.

    Source: Bentley and Sedgewick 1997, "Fast algorithms for sorting and searching strings", section 3.
    """
    data, starts, order, room = borrowed((data, starts, order, room))
    words, spare_words, spare_order, counts, waiting = room
    top = wait_or_sort(data, starts, order, low, high, 0, True, waiting, 0)
    while top:
        top -= 1
        low, high, depth, fresh = waiting[top, 0], waiting[top, 1], waiting[top, 2], waiting[top, 3] != 0
        varying = np.uint64(0)
        while fresh:
            varying, shortest = fill_words(data, starts, order, low, high, depth, words)
            if varying or shortest <= 8:
                break
            depth += 8
        if fresh and high - low >= MANY:
            sort_by_words(words, order, spare_words, spare_order, counts, low, high, varying)
            while low < high:
                upper = low + 1
                while upper < high and words[upper] == words[low]:
                    upper += 1
                if upper - low < FEW:
                    if upper > low + 1:
                        insertion_sort(data, starts, order, low, upper, depth)
                else:
                    ended = end_here(data, starts, order, low, upper, depth)
                    top = wait_or_sort(data, starts, order, ended, upper, depth + 8, True, waiting, top)
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
        ended = end_here(data, starts, order, lower, upper, depth)
        top = wait_or_sort(data, starts, order, low, lower, depth, False, waiting, top)
        top = wait_or_sort(data, starts, order, upper, high, depth, False, waiting, top)
        top = wait_or_sort(data, starts, order, ended, upper, depth + 8, True, waiting, top)


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


def sort_some(data: Any, starts: Any, order: Any, room: Any) -> None:
    """Put the strings with these numbers in the order of their bytes; for `room` see `sort_stretch`."""
    sort_stretch(data, starts, order, 0, len(order), room)


def parted(data: Any, starts: Any, pivot: Any, numbers: Any) -> Any:
    """Put the numbers of the strings that come before string `pivot` in front, and return how many they are."""
    data, starts, numbers = borrowed((data, starts, numbers))
    count = len(starts) - 1
    first, last = 0, count
    for number in range(count):
        if precedes(data, starts, number, pivot, 0):
            numbers[first] = number
            first += 1
        else:
            last -= 1
            numbers[last] = number
    return first


def sort_groups(data: Any, starts: Any, order: Any, bounds: Any, room: Any) -> None:
    """Put each stretch `order[bounds[i, 0] : bounds[i, 1]]` in the order of its strings."""
    for group in range(len(bounds)):
        sort_stretch(data, starts, order, bounds[group, 0], bounds[group, 1], room)


@njit(inline="always")
def equals_before(data: Any, starts: Any, order: Any, place: Any) -> Any:
    """Whether the string at a place of the order, which is not the first, equals the one before."""
    if place + AHEAD < len(order):
        prefetch(data, starts[order[place + AHEAD]])
    i, j = order[place - 1], order[place]
    return starts[i + 1] - starts[i] == starts[j + 1] - starts[j] and (
        compare(data, starts[i], starts[i + 1], data, starts[j], starts[j + 1]) == 0
    )


def repeats(data: Any, starts: Any, order: Any, same: Any) -> None:
    """Say in `same` of each string of the order whether it equals the one before it."""
    data, starts, order, same = borrowed((data, starts, order, same))
    for place in range(len(order)):
        same[place] = place > 0 and equals_before(data, starts, order, place)


def settle(data: Any, starts: Any, owners: Any) -> Any:
    """Put equal strings of an ascending list by their owners and close the gaps of pairs that repeat, in place.

    Returns how many are left.
    """
    data, starts, owners = borrowed((data, starts, owners))
    total = len(owners)
    low = count = used = 0
    while low < total:
        high = low + 1
        length = starts[high] - starts[low]
        while (
            high < total
            and starts[high + 1] - starts[high] == length
            and compare(data, starts[low], starts[low] + length, data, starts[high], starts[high] + length) == 0
        ):
            high += 1
        if high - low > 1:
            sort_numbers(owners, low, high)
        begin = starts[low]
        for place in range(low, high):
            if place > low and owners[place] == owners[count - 1]:
                continue
            if used != begin:
                for step in range(length):
                    data[used + step] = data[begin + step]
            owners[count], starts[count] = owners[place], used
            begin += length
            used += length
            count += 1
        low = high
    starts[count] = used
    return count


@njit
def sort_numbers(owners: Any, low: Any, high: Any) -> None:
    """Sort a stretch of numbers, mostly a short one.

    Source: Shell 1959, "A high-speed sorting procedure", with the gaps of Knuth.
    """
    gap = 1
    while 3 * gap + 1 < high - low:
        gap = 3 * gap + 1
    while gap:
        for place in range(low + gap, high):
            moved = owners[place]
            free = place
            while free >= low + gap and owners[free - gap] > moved:
                owners[free] = owners[free - gap]
                free -= gap
            owners[free] = moved
        gap //= 3


def search(keys: Any, starts: Any, wanted: Any, wanted_starts: Any, places: Any) -> None:
    """The place of each wanted string among keys in ascending order, -1 where it is none of them."""
    keys, starts, wanted, wanted_starts, places = borrowed((keys, starts, wanted, wanted_starts, places))
    for number in range(len(places)):
        start, stop = wanted_starts[number], wanted_starts[number + 1]
        low, high = 0, len(starts) - 1
        places[number] = -1
        while low < high:
            middle = (low + high) >> 1
            order = compare(keys, starts[middle], starts[middle + 1], wanted, start, stop)
            if order == 0:
                places[number] = middle
                break
            if order < 0:
                low = middle + 1
            else:
                high = middle
