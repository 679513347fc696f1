"""bzip2 by several threads: its blocks are independent, and one core decodes a few dozen megabytes of them a second."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kg.errors import InputError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class Bzip2Blocks(io.RawIOBase):
    """The decompressed bytes of a bzip2 file; refuses what `kg.compression.Dump` refuses.

    Args:
        path: a file.
        threads: how many blocks are decoded at once.
        most: with more bytes than these it is refused as a bomb.
        on_bytes: told how many stored bytes have been used up, at the end of the file.

    Raises:
        InputError: from any read, naming the file, when it is truncated, corrupt or a bomb.

    >>> import bz2, tempfile
    >>> path = Path(tempfile.mkdtemp()) / "two.bz2"
    >>> _ = path.write_bytes(bz2.compress(b"one ") + bz2.compress(b"two"))
    >>> Bzip2Blocks(path, 2, most=100).readall()
    b'one two'
    """

    def __init__(
        self, path: str | Path, threads: int, most: int, on_bytes: Callable[[int], None] | None = None
    ) -> None:
        import indexed_bzip2

        self.path = str(path)
        self.size = Path(path).stat().st_size
        self._on_bytes, self._most = on_bytes, most
        self._file = indexed_bzip2.open(self.path, parallelization=threads)
        self._produced = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        try:
            count = int(self._file.readinto(memoryview(buffer).cast("B")))
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{self.path}: truncated or corrupt bzip2 data ({error})") from None
        if count:
            self._produced += count
            if self._produced > self._most:
                raise InputError(f"{self.path}: grows to more than {self._most} bytes; refused as a bomb")
            return count
        # The library passes over what follows the last stream; it may be the beginning of one more.
        if self._produced and max(self._file.block_offsets()) != 8 * self.size:
            raise InputError(f"{self.path}: truncated or corrupt bzip2 data (its last stream is not whole)")
        if self._on_bytes:
            self._on_bytes(self.size)
            self._on_bytes = None
        return 0

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
