"""Arrays of strings in the order of their code points: few by Arrow, many by the compiled loops of `kg.sorting`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from kg.arrow import of_columns, of_numbers, of_texts, to_numbers

if TYPE_CHECKING:
    import pyarrow as pa

    Strings: TypeAlias = pa.LargeStringArray | pa.ChunkedArray

PADDING = 16
"""Bytes that every buffer of the compiled loops must have behind its end, since they read and write whole words."""
SAMPLES = 1 << 10
"""Strings that are looked at to find one in the middle."""
MANY = 1 << 16
"""From here on compiled loops are worth the quarter of a second that it takes to load them."""


def sort_order(strings: pa.LargeStringArray, threads: int = 1) -> np.ndarray:
    """(n,) int64: the places of the strings in ascending order; equal ones in any order.

    >>> import pyarrow as pa
    >>> sort_order(pa.array(["b", "a"], pa.large_string())).tolist()
    [1, 0]
    """
    if len(strings) < MANY:
        import pyarrow.compute as pc

        return to_numbers(pc.sort_indices(strings)).astype(np.int64)
    from kg.interning import bytes_of
    from kg.sorting import parted, sort_some, sorted_order

    data, starts = bytes_of(strings)
    if threads < 2 or not len(strings):
        return sorted_order(data, starts)
    looked_at = np.arange(0, len(strings), max(1, len(strings) // SAMPLES))
    sort_some(data, starts, looked_at)
    halves = parted(data, starts, looked_at[len(looked_at) // 2])
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda half: sort_some(data, starts, half), halves))
    return np.concatenate(halves)


def take(strings: Strings, places: np.ndarray, threads: int = 1) -> pa.LargeStringArray:
    """The strings at these places of an array, or of chunks one behind the other."""
    import pyarrow as pa

    chunks = strings.chunks if isinstance(strings, pa.ChunkedArray) else [strings]
    if len(places) < MANY:
        whole = chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks or [of_texts([])])
        return whole.take(of_numbers(places))
    from kg.gathering import gather, offsets_of
    from kg.interning import bytes_of, strings_of

    parts = [bytes_of(chunk) for chunk in chunks]
    offsets = offsets_of(np.concatenate([np.diff(starts) for _, starts in parts]), places)
    held = np.empty(offsets[-1] + PADDING, np.uint8)
    held[offsets[-1] :] = 0
    firsts = np.cumsum([0, *map(len, chunks)])
    bounds = np.linspace(0, len(places), threads + 1).astype(np.int64)

    def copy(stretch: int) -> None:
        for (data, starts), first in zip(parts, firsts, strict=False):
            gather(data, starts, first, places, offsets, held, bounds[stretch], bounds[stretch + 1])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(copy, range(threads)))
    return strings_of(held, offsets, len(places))


def repeated(strings: pa.LargeStringArray, order: np.ndarray) -> np.ndarray:
    """(n,) bool: whether each string of the order equals the one before it."""
    if len(order) < MANY:
        import pyarrow.compute as pc

        ordered = take(strings, order)
        same = np.zeros(len(order), dtype=bool)
        same[1:] = np.asarray(pc.equal(ordered[1:], ordered[:-1]))
        return same
    from kg.interning import bytes_of
    from kg.sorting import repeats

    return repeats(*bytes_of(strings), order)


def sort_within(strings: pa.LargeStringArray, order: np.ndarray, bounds: np.ndarray) -> None:
    """Sort stretches of `order` by their strings, in place: those from start to stop of each row of `bounds` (g, 2)."""
    if len(order) < MANY:
        import pyarrow.compute as pc

        sizes = bounds[:, 1] - bounds[:, 0]
        group = np.repeat(np.arange(len(bounds)), sizes)
        places = np.arange(len(group)) + np.repeat(bounds[:, 0] - np.cumsum(sizes) + sizes, sizes)
        table = of_columns({"group": of_numbers(group), "text": take(strings, order[places])})
        inner = pc.sort_indices(table, [("group", "ascending"), ("text", "ascending")])
        order[places] = order[places[to_numbers(inner).astype(np.int64)]]
        return
    from kg.interning import bytes_of
    from kg.sorting import sort_groups

    sort_groups(*bytes_of(strings), order, bounds)


def merge(lists: Sequence[pa.LargeStringArray], threads: int = 1) -> tuple[pa.LargeStringArray, list[np.ndarray]]:
    """All strings of some lists, each unique, in ascending order; and for every list the places of its strings.

    >>> import pyarrow as pa
    >>> keys, places = merge([pa.array(["b", "a"], pa.large_string()), pa.array(["c", "a"], pa.large_string())])
    >>> keys.to_pylist(), [one.tolist() for one in places]
    (['a', 'b', 'c'], [[1, 0], [2, 0]])
    """
    import pyarrow as pa

    if len(lists) == 1:
        keys, places = _sorted_run(lists[0])
        return keys, places
    if sum(map(len, lists)) < MANY:
        encoded = pa.chunked_array(lists, pa.large_string()).dictionary_encode()
        if not encoded.num_chunks:
            return of_texts([]), [np.empty(0, np.int64) for _ in lists]
        keys, (ranks,) = _sorted_run(encoded.chunk(encoded.num_chunks - 1).dictionary)
        codes = np.concatenate([to_numbers(chunk.indices) for chunk in encoded.chunks])
        return keys, np.split(ranks[codes], np.cumsum([len(one) for one in lists])[:-1])
    with ThreadPoolExecutor(threads) as pool:
        merged = list(pool.map(_sorted_run, lists))
        while len(merged) > 1:
            pairs = [merged[place : place + 2] for place in range(0, len(merged), 2)]
            merged = list(pool.map(lambda pair: _joined(*pair) if len(pair) == 2 else pair[0], pairs))
    return merged[0]


Sorted = tuple["pa.LargeStringArray", list[np.ndarray]]


def _sorted_run(strings: pa.LargeStringArray) -> Sorted:
    order = sort_order(strings)
    return take(strings, order), [inverse(order)]


def _joined(left: Sorted, right: Sorted) -> Sorted:
    from kg.gathering import merge_two
    from kg.interning import bytes_of, strings_of

    held, offsets, of_left, of_right = merge_two(*bytes_of(left[0]), *bytes_of(right[0]))
    places = [of_left[ranks] for ranks in left[1]] + [of_right[ranks] for ranks in right[1]]
    return strings_of(held, offsets, len(offsets) - 1), places


def inverse(order: np.ndarray) -> np.ndarray:
    """The permutation that takes `order` back."""
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places


def folded(strings: pa.LargeStringArray) -> pa.LargeStringArray:
    """Every string case-folded as `str.casefold` does it.

    >>> import pyarrow as pa
    >>> folded(pa.array(["Straße", "Rome"], pa.large_string())).to_pylist()
    ['strasse', 'rome']
    """
    if len(strings) < MANY:
        return of_texts([text.casefold() for text in strings.to_pylist()])
    from kg.folding import fold_all, fold_table
    from kg.interning import bytes_of, strings_of

    held, ends = fold_all(*bytes_of(strings), *fold_table())
    return strings_of(held, ends, len(strings))


def replaced(strings: pa.LargeStringArray, places: np.ndarray, texts: Sequence[str]) -> pa.LargeStringArray:
    """The strings with others at these places."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not len(places):
        return strings
    mask = np.zeros(len(strings), dtype=bool)
    mask[places] = True
    return pc.replace_with_mask(strings, pa.array(mask), of_texts(texts))
