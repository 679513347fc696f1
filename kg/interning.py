"""Numbers for byte strings, by a hash table that compiled loops can use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit

from kg.compiled import compiled
from kg.strings import PADDING
from kg.words import SHIFT, borrowed, copy_bytes, hash_bytes, prefetch, same_bytes

if TYPE_CHECKING:
    import pyarrow as pa

COUNT, USED = 0, 1
"""What `Table.state` holds: the number of keys, and of their bytes."""
LOW = np.uint64(0xFFFFFFFF)


class Table(NamedTuple):
    """Keys in the order in which they came, open addressing over them.

    Attributes:
        slots: (2^k,) uint64; the upper half of a key's hash above its number + 1, or 0.
        starts: (capacity + 1,) int64; where each key begins in `arena`, and the last one's end.
        arena: uint8, the keys one behind the other.
        state: (2,) int64, see `COUNT` and `USED`.
    """

    slots: np.ndarray
    starts: np.ndarray
    arena: np.ndarray
    state: np.ndarray

    @classmethod
    def empty(cls, keys: int = 1 << 10, length: int = 48) -> Table:
        """A table with room for about so many keys of about this length."""
        size = 1 << max(4, (2 * keys - 1).bit_length())
        return cls(
            np.zeros(size, np.uint64),
            np.zeros(size // 2 + 1, np.int64),
            np.empty(keys * length + PADDING, np.uint8),
            np.zeros(2, np.int64),
        )

    def __len__(self) -> int:
        return int(self.state[COUNT])

    @property
    def size(self) -> int:
        """Bytes of memory."""
        return int(self.slots.nbytes + self.starts.nbytes + self.arena.nbytes)

    def key(self, number: int) -> bytes:
        return self.arena[self.starts[number] : self.starts[number + 1]].tobytes()

    def strings(self) -> pa.LargeStringArray:
        """All keys, by number; without a copy."""
        return strings_of(self.arena, self.starts, len(self))

    def grown(self) -> Table:
        """The same with twice the room."""
        slots = np.zeros(2 * len(self.slots), np.uint64)
        starts = np.zeros(2 * len(self.starts) - 1, np.int64)
        arena = np.empty(2 * len(self.arena) + PADDING, np.uint8)
        count, used = len(self) + 1, int(self.state[USED])
        starts[:count], arena[:used] = self.starts[:count], self.arena[:used]
        _spread(self.slots, slots)
        return Table(slots, starts, arena, self.state)


def strings_of(data: np.ndarray, starts: np.ndarray, count: int) -> pa.LargeStringArray:
    """Bytes and offsets as an Arrow array of strings, without a copy."""
    import pyarrow as pa

    return pa.LargeStringArray.from_buffers(count, pa.py_buffer(starts[: count + 1]), pa.py_buffer(data))


def bytes_of(strings: pa.LargeStringArray) -> tuple[np.ndarray, np.ndarray]:
    """(bytes, offsets) of an Arrow array of strings, without a copy where the bytes are padded already."""
    _, offsets, data = strings.buffers()
    starts = np.frombuffer(offsets, np.int64)[strings.offset : strings.offset + len(strings) + 1]
    held = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    if len(held) < (starts[-1] if len(starts) else 0) + PADDING:
        held = np.concatenate((held, np.zeros(PADDING, np.uint8)))
    return held, starts


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


@compiled
def _spread(old: Any, slots: Any) -> None:
    """Fill slots with those of a smaller table."""
    old, slots = borrowed((old, slots))
    for slot in old:
        if slot != 0:
            _take_slot(slots, slot)


@compiled
def _intern(table: Any, data: Any, stop: Any) -> Any:
    value = hash_bytes(data, 0, stop)
    found = lookup(table, data, 0, stop, value)
    if found >= 0 or not has_room(table, 1, stop):
        return found
    return add(table, data, 0, stop, value)


def intern(table: Table, key: bytes) -> tuple[Table, int]:
    """A key's number, given when it is new; and the table, which may have grown.

    >>> table, number = intern(Table.empty(), b"a")
    >>> intern(table, b"a")[1] == number, len(table)
    (True, 1)
    """
    data = np.frombuffer(key + bytes(PADDING), np.uint8)
    while (number := int(_intern(table, data, len(key)))) < 0:
        table = table.grown()
    return table, number


@compiled
def with_scope(data: Any, starts: Any, scope: Any) -> Any:
    """Keys with `scope`, padded bytes, in front of the label of every blank node `_:label`."""
    extra = len(scope) - PADDING
    count = len(starts) - 1
    offsets = np.zeros(count + 1, np.int64)
    for number in range(count):
        length = starts[number + 1] - starts[number]
        offsets[number + 1] = offsets[number] + length + (extra if _is_blank(data, starts[number], length) else 0)
    held = np.zeros(offsets[count] + PADDING, np.uint8)
    for number in range(count):
        start, place = starts[number], offsets[number]
        if _is_blank(data, start, starts[number + 1] - start):
            copy_bytes(data, start, start + 2, held, place)
            copy_bytes(scope, 0, extra, held, place + 2)
            start += 2
            place += 2 + extra
        copy_bytes(data, start, starts[number + 1], held, place)
    held[offsets[count] :] = 0
    return held, offsets


@njit(inline="always")
def _is_blank(data: Any, start: Any, length: Any) -> Any:
    return length > 1 and data[start] == 95 and data[start + 1] == 58
