"""Hash tables over bytes, as compiled loops: what `kg.interning` and `kg.scanning` are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from kg.interning import COUNT, USED
from kg.words import SHIFT, borrowed, copy_bytes, hash_bytes, prefetch, same_bytes

LOW = np.uint64(0xFFFFFFFF)


@njit(inline="always")
def first_place(slots: Any, value: Any) -> Any:
    """Where the search for a hash begins.

    It is the hash's share of all slots, so keys lie in the order of their hashes, and move in order when there are more
    slots. The upper half of the hash is enough to tell it.
    """
    return (value >> SHIFT) * np.uint64(len(slots)) >> SHIFT


@njit(inline="always")
def lookup(table: Any, data: Any, start: Any, stop: Any, value: Any) -> Any:
    """The number of a key with the hash `value`, or -1."""
    mask = np.uint64(len(table.slots) - 1)
    place = first_place(table.slots, value)
    length = stop - start
    while True:
        slot = table.slots[place]
        if slot == 0:
            return -1
        if slot >> SHIFT == value >> SHIFT:
            number = np.int64(slot & LOW) - 1
            begin = table.starts[number]
            if table.starts[number + 1] - begin == length and same_bytes(table.arena, begin, data, start, length):
                return number
        place = (place + np.uint64(1)) & mask


@njit(inline="always")
def send_for_slot(table: Any, value: Any) -> None:
    """Bring near the slot of a key with the hash `value`."""
    prefetch(table.slots, np.int64(first_place(table.slots, value)))


@njit(inline="always")
def send_for_key(table: Any, value: Any, step: Any) -> None:
    """Bring near what the key with the hash `value` will be compared with: first (0) where it lies, then (1) itself."""
    mask = np.uint64(len(table.slots) - 1)
    place = first_place(table.slots, value)
    slot = table.slots[place]
    while slot != 0 and slot >> SHIFT != value >> SHIFT:
        place = (place + np.uint64(1)) & mask
        slot = table.slots[place]
    if slot != 0:
        number = np.int64(slot & LOW) - 1
        if step == 0:
            prefetch(table.starts, number)
        else:
            prefetch(table.arena, table.starts[number])


@njit(inline="always")
def has_room(table: Any, keys: Any, length: Any) -> Any:
    """Whether so many keys of this length in all can be added."""
    count = table.state[COUNT] + keys
    return 2 * count < len(table.slots) and table.state[USED] + length + 16 <= len(table.arena)


@njit(inline="always")
def add(table: Any, data: Any, start: Any, stop: Any, value: Any) -> Any:
    """Number a key that `lookup` did not find; there must be room."""
    number, used = table.state[COUNT], table.state[USED]
    copy_bytes(data, start, stop, table.arena, used)
    table.starts[number] = used
    table.starts[number + 1] = used + stop - start
    table.state[USED] = used + stop - start
    table.state[COUNT] = number + 1
    _take_slot(table.slots, (value >> SHIFT << SHIFT) | np.uint64(number + 1))
    return number


@njit(inline="always")
def _take_slot(slots: Any, slot: Any) -> None:
    mask = np.uint64(len(slots) - 1)
    place = first_place(slots, slot)
    while slots[place] != 0:
        place = (place + np.uint64(1)) & mask
    slots[place] = slot


def spread(old: Any, slots: Any) -> None:
    """Fill slots with those of a smaller table."""
    old, slots = borrowed((old, slots))
    for slot in old:
        if slot != 0:
            _take_slot(slots, slot)


def number_of(table: Any, data: Any, stop: Any) -> Any:
    """The number of the key `data[:stop]`, which is given it if it is new; -1 where there is no room."""
    value = hash_bytes(data, 0, stop)
    found = lookup(table, data, 0, stop, value)
    if found >= 0 or not has_room(table, 1, stop):
        return found
    return add(table, data, 0, stop, value)


def with_scope(data: Any, starts: Any, scope: Any, extra: Any, held: Any, offsets: Any) -> None:
    """Put `scope`, which is `extra` bytes and padded, in front of the label of every blank node `_:label` of some keys.

    Args:
        held, offsets: the keys as they become.
    """
    data, starts, scope, held, offsets = borrowed((data, starts, scope, held, offsets))
    place = 0
    for number in range(len(starts) - 1):
        start, stop = starts[number], starts[number + 1]
        offsets[number] = place
        if _is_blank(data, start, stop - start):
            copy_bytes(data, start, start + 2, held, place)
            copy_bytes(scope, 0, extra, held, place + 2)
            start += 2
            place += 2 + extra
        copy_bytes(data, start, stop, held, place)
        place += stop - start
    offsets[len(starts) - 1] = place


@njit(inline="always")
def _is_blank(data: Any, start: Any, length: Any) -> Any:
    return length > 1 and data[start] == 95 and data[start + 1] == 58
