"""Columns that grow on disk and are mapped when they are whole."""

from __future__ import annotations

import mmap
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from kg.arrow import PADDING

STATM = Path("/proc/self/statm")
"""Linux: the third number is how many pages of files the process holds."""
PATIENCE = 0.05
"""Seconds between two looks at it."""

if TYPE_CHECKING:
    import pyarrow as pa


class Forgetting:
    """Within this context, what is mapped here is taken out of memory whenever it comes to more than `limit` bytes.

    The system would do so itself when memory runs short, and reads a page again when it is looked at; but pages that
    are mapped count as the process's memory until then.
    """

    active: ClassVar[Forgetting | None] = None

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.maps: list[mmap.mmap] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Forgetting:
        Forgetting.active = self
        if STATM.exists() and hasattr(mmap, "MADV_DONTNEED"):
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        Forgetting.active = None
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.maps.clear()

    def _watch(self) -> None:
        while not self._stop.wait(PATIENCE):
            if int(STATM.read_text().split()[2]) * mmap.PAGESIZE > self.limit:
                for held in list(self.maps):
                    held.madvise(mmap.MADV_DONTNEED)


def mapped(array: np.memmap) -> np.memmap:
    """The same array, to be forgotten when `Forgetting` is at work; it must not be written to."""
    if Forgetting.active is not None:
        Forgetting.active.maps.append(array._mmap)  # type: ignore[attr-defined]
    return array


class Column:
    """Numbers of one type, one behind the other, in a file.

    >>> import tempfile
    >>> column = Column(Path(tempfile.mkdtemp()) / "a.bin", np.int32)
    >>> column.append(np.arange(3))
    >>> column.whole().tolist()
    [0, 1, 2]
    """

    def __init__(self, path: Path, dtype: np.typing.DTypeLike, width: int = 1) -> None:
        self.path, self.dtype, self.width = path, np.dtype(dtype), width
        self._file = path.open("wb")
        self.size = 0

    def append(self, values: np.ndarray) -> None:
        """Add (n,) or (n, width) values."""
        values = np.ascontiguousarray(values, self.dtype)
        self._file.write(values.data.cast("B") if values.size else b"")
        self.size += len(values)

    def whole(self) -> np.ndarray:
        """All values, mapped read-only: (n,), or (n, width) where the width is not 1."""
        self._file.close()
        shape = (self.size,) if self.width == 1 else (self.size, self.width)
        if not self.size:
            return np.empty(shape, self.dtype)
        return mapped(np.memmap(self.path, self.dtype, "r", shape=shape))

    def remove(self) -> None:
        """Delete the file, once nothing of it is needed."""
        self._file.close()
        self.path.unlink()


class TextColumn:
    """Strings, one behind the other, in a file of bytes and one of offsets."""

    def __init__(self, path: Path) -> None:
        self._bytes = Column(path.with_suffix(".bytes"), np.uint8)
        self._ends = Column(path.with_suffix(".ends"), np.int64)
        self._ends.append(np.zeros(1, np.int64))

    @property
    def size(self) -> int:
        return self._ends.size - 1

    def append(self, strings: pa.LargeStringArray) -> None:
        """Add strings."""
        from kg.arrow import bytes_of

        data, starts = bytes_of(strings)
        used = self._bytes.size
        self._bytes.append(data[starts[0] : starts[-1]])
        self._ends.append(starts[1:] - starts[0] + used)

    def whole(self) -> pa.LargeStringArray:
        """All strings, mapped."""
        from kg.arrow import strings_of

        count = self.size
        self._bytes.append(np.zeros(PADDING, np.uint8))
        return strings_of(self._bytes.whole(), self._ends.whole(), count)

    def remove(self) -> None:
        """Delete the files."""
        self._bytes.remove()
        self._ends.remove()


class Ranges:
    """Rows dealt out to files by ranges of a number, so that each range fits in memory.

    Args:
        cuts: (p - 1,) ascending; a row with the number n goes to the range `searchsorted(cuts, n, "right")`.
        make: (range) -> the columns of its rows.
    """

    def __init__(self, cuts: np.ndarray, make: Callable[[int], list[Column | TextColumn]]) -> None:
        self.cuts = cuts
        self.parts = [make(part) for part in range(len(cuts) + 1)]

    def deal(self, numbers: np.ndarray, columns: list[np.ndarray | pa.LargeStringArray]) -> None:
        """Add rows; each column is an array or Arrow strings."""
        from kg.strings import take

        where = np.searchsorted(self.cuts, numbers, "right")
        for part in np.unique(where).tolist():
            rows = np.flatnonzero(where == part)
            for held, values in zip(self.parts[part], columns, strict=True):
                if isinstance(held, TextColumn):
                    held.append(take(values, rows))
                else:
                    held.append(values[rows])


def cuts_of(weights: np.ndarray, count: int, most: int) -> np.ndarray:
    """Where to cut the numbers 0 .. count - 1 so that each range weighs at most about `most`.

    Args:
        weights: (b,) what lies in b equal stretches of the numbers.

    >>> cuts_of(np.array([5, 5, 5, 5]), 8, 10).tolist()
    [4]
    """
    cuts, held = [], 0
    for stretch, weight in enumerate(weights.tolist()):
        if held and held + weight > most:
            cuts.append(-(-stretch * count // len(weights)))
            held = 0
        held += weight
    return np.array(cuts, np.int64)
