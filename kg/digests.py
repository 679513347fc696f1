"""The SHA-256 of a dump, worked out while it is read."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import numpy as np

from kg.layout import Hashed
from kg.loops import Loop
from kg.storage import sha256_file

LATER = 10
"""How nice a thread is to others whose work is waited for."""
STEP = 64
"""Bytes that SHA-256 takes at once."""
START = (0x9B05688C, 0x510E527F, 0xBB67AE85, 0x6A09E667, 0x5BE0CD19, 0x1F83D9AB, 0xA54FF53A, 0x3C6EF372)
"""The state before the first byte, in the order of `kg.sha256`. Source: FIPS 180-4, section 5.3.3."""
NOTHING = Hashed(np.zeros(8, np.uint32), np.empty(0, np.uint8), np.zeros(1, np.int64))
update = Loop("kg.sha256", "update")


class HashedBeside:
    """The hash of a plain file of which one thread reads all lines, worked out by the loop that takes them apart.

    Only where the processor `knows_sha256`.

    >>> hashing = HashedBeside(Path("a"))
    >>> with hashing.taking(np.frombuffer(b"a" * 70, np.uint8), 0, 70) as hashed:
    ...     len(hashed.piece), int(hashed.place[0]), hashing.read
    (70, 0, 70)
    """

    def __init__(self, path: Path) -> None:
        self.path, self.read = path, 0
        self._state = np.array(START, np.uint32)
        self._pending = np.empty(STEP, np.uint8)
        self._waiting = 0

    @contextmanager
    def taking(self, data: np.ndarray, start: int, stop: int) -> Iterator[Hashed]:
        """What a scan takes along of the next bytes of the file, `data[start:stop]`; the rest is done at its end."""
        self.read += stop - start
        if self._waiting:
            start = self._fill(data, start, stop)
        hashed = Hashed(self._state, data[:stop], np.array([start], np.int64))
        yield hashed
        self._fill(data, update(self._state, data, int(hashed.place[0]), stop), stop)

    def _fill(self, data: np.ndarray, start: int, stop: int) -> int:
        """Have bytes wait until there are enough for a step; returns the place behind those that do."""
        taken = min(STEP - self._waiting, stop - start)
        self._pending[self._waiting : self._waiting + taken] = data[start : start + taken]
        self._waiting += taken
        if self._waiting == STEP:
            update(self._state, self._pending, 0, STEP)
            self._waiting = 0
        return start + taken

    def result(self) -> str:
        """The hash. Where not all bytes of the file were in its lines (a byte-order mark is not) it is read again."""
        if self.read != self.path.stat().st_size:
            return sha256_file(self.path)
        return finished(self._state, self._pending[: self._waiting].tobytes(), self.read)


class Hashing(Thread):
    """`sha256_file`, while others work: where processors are short, those come first.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a"
    >>> _ = path.write_bytes(b"")
    >>> Hashing(path).result()[:8]
    'e3b0c442'
    """

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._path, self._digest = path, ""
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            if sys.platform == "linux":  # where a thread has a priority of its own
                os.setpriority(os.PRIO_PROCESS, self.native_id or 0, LATER)
            self._digest = sha256_file(self._path)
        except Exception as error:
            self._error = error

    def result(self) -> str:
        """The hash, when it is known; what went wrong on the way is raised here."""
        self.join()
        if self._error is not None:
            raise self._error
        return self._digest


def finished(state: np.ndarray, rest: bytes, size: int) -> str:
    """The hash of so many bytes, of which the last are not in the state yet."""
    padded = rest + b"\x80" + bytes(-(len(rest) + 9) % STEP) + (8 * size).to_bytes(8, "big")
    update(state, np.frombuffer(padded, np.uint8), 0, len(padded))
    f, e, b, a, h, g, d, c = state.tolist()
    return "".join(f"{word:08x}" for word in (a, b, c, d, e, f, g, h))
