"""Files that are either whole or absent: atomic writes, hashes, memory-mapped Arrow tables."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kg.arrow import of_columns
from kg.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 1 << 18


@contextmanager
def atomic_directory(target: Path, *, keep_partial: bool = False) -> Iterator[Path]:
    """Yield a sibling folder to fill; it becomes `target` only when the block ends without an error.

    An older `target` is replaced in one rename, so a reader sees the old folder or the new one, never a mixture. With
    `keep_partial` an interrupted folder stays for a resumable job to find again; otherwise it is removed.

        >>> import tempfile
        >>> place = Path(tempfile.mkdtemp()) / "made"
        >>> with atomic_directory(place) as folder:
        ...     _ = (folder / "a.txt").write_text("whole")
        >>> (place / "a.txt").read_text()
        'whole'
    """
    partial = target.with_name(f".{target.name}.partial")
    if not keep_partial:
        shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
    except BaseException:
        if not keep_partial:
            shutil.rmtree(partial, ignore_errors=True)
        raise
    replace_directory(partial, target)


def replace_directory(source: Path, target: Path) -> None:
    """Move a finished folder over `target`."""
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    source.rename(target)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """Yield a path beside `target` to write; it is renamed over `target` when the block ends without an error."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write JSON that people can read and diff."""
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read JSON; a missing or broken file is an `InputError` that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None


def sha256_file(path: Path) -> str:
    """The hash of a file's bytes, read in blocks."""
    digest = hashlib.sha256()
    view = memoryview(bytearray(CHUNK))
    with path.open("rb", buffering=0) as handle:
        while count := handle.readinto(view):
            digest.update(view[:count])
    return digest.hexdigest()


def write_arrow(path: Path, table: pa.Table) -> None:
    """Write a table as an uncompressed Arrow IPC file, which `read_arrow` maps without copying."""
    import pyarrow as pa

    table = of_columns({name: trimmed(table[name]) for name in table.column_names}) if table.num_rows else table
    with (
        atomic_file(path) as partial,
        pa.OSFile(str(partial), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as writer,
    ):
        writer.write_table(table)


def trimmed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Strings without what their buffers hold behind the last one, so that equal tables make equal files."""
    import pyarrow as pa

    def exact(chunk: pa.LargeStringArray) -> pa.LargeStringArray:
        valid, offsets, data = chunk.buffers()
        if chunk.offset or data is None:
            return chunk
        stop = int.from_bytes(offsets[8 * len(chunk) : 8 * len(chunk) + 8].to_pybytes(), "little")
        return pa.LargeStringArray.from_buffers(len(chunk), offsets, data[:stop], valid)

    if not pa.types.is_large_string(column.type):
        return column
    return pa.chunked_array([exact(chunk) for chunk in column.chunks], column.type)


def read_arrow(path: Path) -> pa.Table:
    """Map an Arrow IPC file; nothing is read until it is used."""
    import pyarrow as pa

    try:
        with pa.memory_map(str(path), "r") as source:
            return pa.ipc.open_file(source).read_all()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: not an Arrow file ({error})") from None
