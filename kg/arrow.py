"""Between numpy and Arrow without a copy.

Arrow's own conversions do the same, and first load pandas wherever it is installed, in case they are given some of its.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa

PADDING = 16
"""Bytes that every buffer of the compiled loops must have behind its end, since they read and write whole words."""


def of_numbers(values: np.ndarray, missing: np.ndarray | None = None) -> pa.Array:
    """(n,) numbers as an Arrow array; null where `missing` is set.

    >>> of_numbers(np.array([1, 2, 3])).to_pylist(), of_numbers(np.array([1, 2]), np.array([True, False])).to_pylist()
    ([1, 2, 3], [None, 2])
    """
    import pyarrow as pa

    held = np.ascontiguousarray(values)
    valid = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return pa.Array.from_buffers(pa.from_numpy_dtype(held.dtype), len(held), [valid, pa.py_buffer(held)])


def to_numbers(array: pa.Array | pa.ChunkedArray, missing: int = -1) -> np.ndarray:
    """(n,) the numbers of an Arrow array, read-only; a copy with `missing` for null where there is some.

    >>> to_numbers(of_numbers(np.array([1, 2, 3]))[1:]).tolist()
    [2, 3]
    >>> to_numbers(of_numbers(np.array([1, 2, 3]), np.array([True, False, True]))[1:]).tolist()
    [2, -1]
    """
    import pyarrow as pa

    if isinstance(array, pa.ChunkedArray):
        chunks = [to_numbers(chunk, missing) for chunk in array.chunks]
        return chunks[0] if len(chunks) == 1 else np.concatenate([np.empty(0, number_type(array)), *chunks])
    valid, data = array.buffers()
    rows = slice(array.offset, array.offset + len(array))
    if data is None or not len(array):
        return np.empty(0, number_type(array))
    numbers = np.frombuffer(data, number_type(array))[rows]
    if not array.null_count:
        return numbers
    known = np.unpackbits(np.frombuffer(valid, np.uint8), count=rows.stop, bitorder="little")[rows]
    return np.where(known, numbers, numbers.dtype.type(missing))


def number_type(array: Any) -> np.dtype:
    return np.dtype(array.type.to_pandas_dtype())


def of_texts(texts: Sequence[str]) -> pa.LargeStringArray:
    """Strings as Arrow large strings.

    >>> of_texts(["a", "é", ""]).to_pylist()
    ['a', 'é', '']
    """
    import pyarrow as pa

    encoded = [text.encode() for text in texts]
    starts = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(text) for text in encoded], out=starts[1:])
    return pa.LargeStringArray.from_buffers(len(encoded), pa.py_buffer(starts), pa.py_buffer(b"".join(encoded)))


def strings_of(data: np.ndarray, starts: np.ndarray, count: int) -> pa.LargeStringArray:
    """Bytes and offsets as an Arrow array of strings, without a copy."""
    import pyarrow as pa

    return pa.LargeStringArray.from_buffers(count, pa.py_buffer(starts[: count + 1]), pa.py_buffer(data))


def bytes_of(strings: pa.LargeStringArray, padding: int = PADDING) -> tuple[np.ndarray, np.ndarray]:
    """(bytes, offsets) of an Arrow array of strings, without a copy where the bytes are padded already."""
    _, offsets, data = strings.buffers()
    starts = np.frombuffer(offsets, np.int64)[strings.offset : strings.offset + len(strings) + 1]
    held = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    if len(held) < (starts[-1] if len(starts) else 0) + padding:
        held = np.concatenate((held, np.zeros(padding, np.uint8)))
    return held, starts


def of_columns(columns: Mapping[str, pa.Array | pa.ChunkedArray]) -> pa.Table:
    """A table of named columns."""
    import pyarrow as pa

    return pa.Table.from_arrays(list(columns.values()), names=list(columns))
