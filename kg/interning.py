"""Numbers for byte strings, by a hash table that compiled loops can use."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kg.arrow import PADDING, strings_of
from kg.loops import Loop

if TYPE_CHECKING:
    import pyarrow as pa

COUNT, USED = 0, 1
"""What `Table.state` holds: the number of keys, and of their bytes."""
number_of, spread = (Loop("kg.hashing", name) for name in ("number_of", "spread"))


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
        spread(self.slots, slots)
        return Table(slots, starts, arena, self.state)


def intern(table: Table, key: bytes) -> tuple[Table, int]:
    """A key's number, given when it is new; and the table, which may have grown.

    >>> table, number = intern(Table.empty(), b"a")
    >>> intern(table, b"a")[1] == number, len(table)
    (True, 1)
    """
    data = np.frombuffer(key + bytes(PADDING), np.uint8)
    while (number := int(number_of(table, data, len(key)))) < 0:
        table = table.grown()
    return table, number
