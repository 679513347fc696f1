"""Bytes out of plain, gzip, bzip2, xz and Zstandard files, whole or refused.

Each format is known by its first bytes. Members and frames that follow each other are read to the end, a file that
stops in the middle is an error, and so is one that grows beyond all reason.
"""

from __future__ import annotations

import bz2
import hashlib
import io
import lzma
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from kg.bzip2 import Bzip2Blocks
from kg.errors import InputError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

STDIN = "-"
CHUNK = 1 << 18
STEP = {"gzip": 1 << 16, "bzip2": CHUNK, "xz": CHUNK, "zstd": 1 << 12}
"""Stored bytes decoded at once: zlib and zstandard objects cannot be told to stop, and a bomb must stay small."""
MAX_PIECE = 1 << 22
MAX_EXPANSION = 3000
"""How many times larger than its file a dump may be; gzip cannot exceed 1,032, honest RDF stays far below."""
MIN_BOUNDED = 1 << 28
"""Below this size the expansion is not looked at."""

SUFFIXES = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}
PADDED = ("gzip", "xz")
"""Formats whose members may be followed by zero bytes."""


class Dump(io.RawIOBase):
    """The decompressed bytes of one dump, while its stored bytes are hashed and counted.

    Args:
        path: a file, or "-" for standard input.
        on_bytes: told how many stored bytes each read took, for progress.
        hashes: whether `sha256` is wanted.

    Raises:
        InputError: from any read, naming the file, when it is truncated, corrupt, or expands more than
            `MAX_EXPANSION` times; at once when it is absent or not what its suffix says.

    >>> import gzip, tempfile
    >>> path = Path(tempfile.mkdtemp()) / "two.nt.gz"
    >>> _ = path.write_bytes(gzip.compress(b"one ") + gzip.compress(b"two"))
    >>> Dump(path).readall()
    b'one two'
    """

    def __init__(self, path: str | Path, on_bytes: Callable[[int], None] | None = None, *, hashes: bool = True) -> None:
        self.path = str(path)
        self._on_bytes, self._hashes = on_bytes, hashes
        self.size = 0
        self.produced = 0
        self._digest = hashlib.sha256()
        self._source = _open(self.path)
        self._pending = self._take()
        self._ready = memoryview(b"")
        self._ended = False
        self.compression = compression_of(self._pending)
        expected = SUFFIXES.get(Path(self.path).suffix.lower())
        if expected is not None and self.compression is None:
            raise InputError(f"{self.path}: not {expected} data, although its name ends in {Path(self.path).suffix}")
        self._decoder: Any = DECODERS[self.compression]() if self.compression else None

    @property
    def sha256(self) -> str:
        """The hash of the stored bytes read so far; of the whole file after the last read."""
        return self._digest.hexdigest()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")
        if self._decoder is None and not self._ready and not self._pending and self.path != STDIN:
            count = self._source.readinto(view) or 0  # type: ignore[attr-defined]
            self._told(view[:count])
            return count
        while not self._ready and not self._ended:
            self._ready = memoryview(self._next())
        count = min(len(view), len(self._ready))
        view[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def close(self) -> None:
        if not self.closed and self.path != STDIN:
            self._source.close()
        super().close()

    def _take(self) -> bytes:
        block = self._source.read(CHUNK)
        self._told(block)
        return block

    def _told(self, block: bytes | memoryview) -> None:
        if self._hashes:
            self._digest.update(block)
        self.size += len(block)
        if self._on_bytes:
            self._on_bytes(len(block))

    def _next(self) -> bytes:
        """The next decompressed bytes; may be empty before the end."""
        if self._decoder is None:
            block, self._pending = self._pending or self._take(), b""
            self._ended = not block
            return block
        if not getattr(self._decoder, "needs_input", True) and not self._decoder.eof:
            return self._decode(b"")
        block = self._pending or self._take()
        step = STEP[str(self.compression)]
        block, self._pending = block[:step], block[step:]
        if block:
            return self._decode(block)
        if not self._decoder.eof:
            raise InputError(f"{self.path}: truncated ({self.compression} data ends in the middle)")
        self._ended = True
        return b""

    def _decode(self, block: bytes) -> bytes:
        if self._decoder.eof:
            if self.compression in PADDED and not block.strip(b"\x00"):
                return b""
            self._decoder = DECODERS[str(self.compression)]()
        limit = (MAX_PIECE,) if hasattr(self._decoder, "needs_input") else ()
        try:
            data = self._decoder.decompress(block, *limit)
        except Exception as error:
            raise InputError(f"{self.path}: corrupt {self.compression} data ({error})") from None
        if self._decoder.eof:
            self._pending = self._decoder.unused_data + self._pending
        self.produced += len(data)
        if self.produced > max(MIN_BOUNDED, MAX_EXPANSION * self.size):
            raise InputError(f"{self.path}: grows more than {MAX_EXPANSION}-fold when decompressed; refused as a bomb")
        return data


def compression_of(head: bytes) -> str | None:
    """The compression that the first bytes of a file tell of; None for plain data.

    >>> compression_of(b"BZh91AY"), compression_of(b"<http://")
    ('bzip2', None)
    """
    if head[:2] == b"\x1f\x8b":
        return "gzip"
    if head[:3] == b"BZh":
        return "bzip2"
    if head[:6] == b"\xfd7zXZ\x00":
        return "xz"
    skippable = head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50
    return "zstd" if skippable or head[:4] == b"\x28\xb5\x2f\xfd" else None


def open_dump(
    path: str, on_bytes: Callable[[int], None] | None, threads: int, *, hashes: bool = False
) -> Dump | Bzip2Blocks:
    """The decompressed bytes of a dump, by several threads where that can be; one thread may hash them as well."""
    if threads > 1 and path != STDIN and compression_of_file(path) == "bzip2":
        most = max(MIN_BOUNDED, MAX_EXPANSION * Path(path).stat().st_size)
        return Bzip2Blocks(path, threads, most, on_bytes)
    return Dump(path, on_bytes, hashes=hashes or path == STDIN)


def compression_of_file(path: str) -> str | None:
    """`compression_of` a file's first bytes."""
    with _open(path) as file:
        return compression_of(file.read(8))


def is_remote(path: str) -> bool:
    """Whether a dump lies elsewhere, such as `s3://bucket/dump.nt`."""
    return "://" in path


def open_remote(path: str) -> Any:
    """A file that lies elsewhere, by pyarrow; it can be sought in, and has a `size()`.

    Raises:
        InputError: when it is not there.
    """
    from pyarrow import fs

    try:
        system, inside = fs.FileSystem.from_uri(path)
        return system.open_input_file(inside)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: {' '.join(str(error).split())}") from None


def _open(path: str) -> BinaryIO:
    if path == STDIN:
        return sys.stdin.buffer
    if is_remote(path):
        return cast(BinaryIO, open_remote(path))
    try:
        return Path(path).open("rb", buffering=0)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def _gzip() -> Any:
    try:
        from isal import isal_zlib
    except ImportError:  # there is no build of it for every machine
        return zlib.decompressobj(wbits=31)
    return isal_zlib.decompressobj(wbits=31)


def _zstd() -> Any:
    import zstandard

    return zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()


DECODERS: dict[str, Callable[[], Any]] = {
    "gzip": _gzip,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lzma.LZMADecompressor,
    "zstd": _zstd,
}
