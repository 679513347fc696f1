"""Arrays of strings in the order of their code points: few by Python, many by compiled loops."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from kg.arrays import MANY
from kg.arrow import PADDING, bytes_of, of_texts, strings_of
from kg.loops import Loop

if TYPE_CHECKING:
    import pyarrow as pa

    Strings: TypeAlias = pa.LargeStringArray | pa.ChunkedArray

SAMPLES = 1 << 10
"""Strings that are looked at to find one in the middle."""
FEW = 12
"""Compiled loops sort fewer strings than these one by one."""
CASED = 0x20000
"""No character from here on has a case."""
WIDEST = 3
"""How many times longer a name may become when it is folded (U+0390 goes from two bytes to six)."""

sort_some, parted, sort_groups, repeats, settle, search = (
    Loop("kg.sorting", name) for name in ("sort_some", "parted", "sort_groups", "repeats", "settle", "search")
)
offsets_of, gather, merge_two = (Loop("kg.gathering", name) for name in ("offsets_of", "gather", "merge_two"))
fold_all = Loop("kg.folding", "fold_all")


def sort_order(strings: pa.LargeStringArray, threads: int = 1) -> np.ndarray:
    """(n,) int64: the places of the strings in ascending order; equal ones in any order.

    >>> import pyarrow as pa
    >>> sort_order(pa.array(["b", "a"], pa.large_string())).tolist()
    [1, 0]
    """
    if len(strings) < MANY:
        return np.array(sorted(range(len(strings)), key=strings.to_pylist().__getitem__), np.int64)
    data, starts = bytes_of(strings)
    if threads < 2 or not len(strings):
        order = np.arange(len(strings))
        sort_some(data, starts, order, room_to_sort(len(order)))
        return order
    looked_at = np.arange(0, len(strings), max(1, len(strings) // SAMPLES))
    sort_some(data, starts, looked_at, room_to_sort(len(looked_at)))
    order = np.empty(len(strings), np.int64)
    cut = parted(data, starts, int(looked_at[len(looked_at) // 2]), order)
    with ThreadPoolExecutor(2) as pool:
        halves = order[:cut], order[cut:]
        list(pool.map(lambda half: sort_some(data, starts, half, room_to_sort(len(half))), halves))
    return order


def room_to_sort(count: int) -> tuple[np.ndarray, ...]:
    """What compiled loops need to sort so many strings, see `kg.sorting.sort_stretch`."""
    words, spare_words, spare_order = np.empty(count, np.uint64), np.empty(count, np.uint64), np.empty(count, np.int64)
    return words, spare_words, spare_order, np.empty((8, 256), np.int64), np.empty((count // FEW + 1, 4), np.int64)


def take(strings: Strings, places: np.ndarray, threads: int = 1) -> pa.LargeStringArray:
    """The strings at these places of an array, or of chunks one behind the other."""
    import pyarrow as pa

    if len(places) >= MANY:
        return strings_of(*gathered(strings, places, threads), len(places))
    chunks = strings.chunks if isinstance(strings, pa.ChunkedArray) else [strings]
    firsts = np.cumsum([0, *map(len, chunks)])
    inside = np.searchsorted(firsts, places, "right") - 1
    found = zip(inside.tolist(), (places - firsts[inside]).tolist(), strict=True)
    return of_texts([chunks[chunk][row].as_py() for chunk, row in found])


def gathered(strings: Strings, places: np.ndarray, threads: int) -> tuple[np.ndarray, np.ndarray]:
    """`take` of many, as (bytes, offsets) that are nobody else's."""
    import pyarrow as pa

    chunks = strings.chunks if isinstance(strings, pa.ChunkedArray) else [strings]
    parts = [bytes_of(chunk) for chunk in chunks]
    places = np.ascontiguousarray(places)
    offsets = np.empty(len(places) + 1, np.int64)
    used = offsets_of(np.concatenate([np.diff(starts) for _, starts in parts]), places, offsets)
    held = np.empty(used + PADDING, np.uint8)
    held[used:] = 0
    firsts = np.cumsum([0, *map(len, chunks)])
    bounds = np.linspace(0, len(places), threads + 1).astype(np.int64)

    def copy(stretch: int) -> None:
        for (data, starts), first in zip(parts, firsts, strict=False):
            gather(data, starts, first, places, offsets, held, bounds[stretch], bounds[stretch + 1])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(copy, range(threads)))
    return held, offsets


def named_once(
    strings: pa.LargeStringArray, owners: np.ndarray, threads: int = 1
) -> tuple[pa.LargeStringArray, np.ndarray]:
    """Names in ascending order, equal ones by their owners, and each pair once: (names, owners).

    >>> import pyarrow as pa
    >>> names, owners = named_once(pa.array(["b", "a", "b", "b"], pa.large_string()), np.array([7, 5, 6, 7]))
    >>> names.to_pylist(), owners.tolist()
    (['a', 'b', 'b'], [5, 6, 7])
    """
    if len(strings) < MANY:
        pairs = sorted(set(zip(strings.to_pylist(), owners.tolist(), strict=True)))
        return of_texts([name for name, _ in pairs]), np.array([owner for _, owner in pairs], owners.dtype)
    order = sort_order(strings, threads)
    data, starts = gathered(strings, order, threads)
    owners = owners[order]
    del order, strings
    count = settle(data, starts, owners)
    data[starts[count] : starts[count] + PADDING] = 0
    return strings_of(data, starts, count), owners[:count]


def repeated(strings: pa.LargeStringArray, order: np.ndarray) -> np.ndarray:
    """(n,) bool: whether each string of the order equals the one before it."""
    if len(order) < MANY:
        texts = take(strings, order).to_pylist()
        return np.array([place > 0 and text == texts[place - 1] for place, text in enumerate(texts)], np.bool_)
    same = np.empty(len(order), np.bool_)
    repeats(*bytes_of(strings), order, same)
    return same


def sort_within(strings: pa.LargeStringArray, order: np.ndarray, bounds: np.ndarray) -> None:
    """Sort stretches of `order` by their strings, in place: those from start to stop of each row of `bounds` (g, 2)."""
    if len(order) < MANY:
        texts = strings.to_pylist()
        for start, stop in bounds.tolist():
            order[start:stop] = sorted(order[start:stop].tolist(), key=texts.__getitem__)
        return
    sort_groups(*bytes_of(strings), order, bounds, room_to_sort(len(order)))


def merge(lists: Sequence[pa.LargeStringArray], threads: int = 1) -> tuple[pa.LargeStringArray, list[np.ndarray]]:
    """All strings of some lists, each unique, in ascending order; and for every list the places of its strings.

    >>> import pyarrow as pa
    >>> keys, places = merge([pa.array(["b", "a"], pa.large_string()), pa.array(["c", "a"], pa.large_string())])
    >>> keys.to_pylist(), [one.tolist() for one in places]
    (['a', 'b', 'c'], [[1, 0], [2, 0]])
    """

    if len(lists) == 1:
        return _sorted_run(lists[0], threads)
    if sum(map(len, lists)) < MANY:
        texts = [one.to_pylist() for one in lists]
        keys = sorted({text for one in texts for text in one})
        place = {key: number for number, key in enumerate(keys)}
        return of_texts(keys), [np.array([place[text] for text in one], np.int64) for one in texts]
    with ThreadPoolExecutor(threads) as pool:
        merged = list(pool.map(_sorted_run, lists))
        while len(merged) > 1:
            pairs = [merged[place : place + 2] for place in range(0, len(merged), 2)]
            merged = list(pool.map(lambda pair: _joined(*pair) if len(pair) == 2 else pair[0], pairs))
    return merged[0]


Sorted = tuple["pa.LargeStringArray", list[np.ndarray]]


def _sorted_run(strings: pa.LargeStringArray, threads: int = 1) -> Sorted:
    order = sort_order(strings, threads)
    return take(strings, order, threads), [inverse(order)]


def _joined(left: Sorted, right: Sorted) -> Sorted:
    (data, starts), (other, other_starts) = bytes_of(left[0]), bytes_of(right[0])
    held = np.empty(int(starts[-1] + other_starts[-1]) + PADDING, np.uint8)
    offsets = np.empty(len(left[0]) + len(right[0]) + 1, np.int64)
    of_left, of_right = np.empty(len(left[0]), np.int64), np.empty(len(right[0]), np.int64)
    count = merge_two(data, starts, other, other_starts, held, offsets, of_left, of_right)
    held[offsets[count] : offsets[count] + PADDING] = 0
    places = [of_left[ranks] for ranks in left[1]] + [of_right[ranks] for ranks in right[1]]
    return strings_of(held, offsets, count), places


def inverse(order: np.ndarray) -> np.ndarray:
    """The permutation that takes `order` back."""
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places


def folded(*lists: pa.LargeStringArray) -> pa.LargeStringArray:
    """Every string of some lists, one behind the other, case-folded as `str.casefold` does it.

    >>> import pyarrow as pa
    >>> folded(pa.array(["Straße", "Rome"], pa.large_string())).to_pylist()
    ['strasse', 'rome']
    """
    count = sum(map(len, lists))
    if count < MANY:
        return of_texts([text.casefold() for one in lists for text in one.to_pylist()])
    parts = [bytes_of(one) for one in lists]
    held = np.empty(WIDEST * sum(int(starts[-1] - starts[0]) for _, starts in parts) + PADDING, np.uint8)
    ends, used, first = np.zeros(count + 1, np.int64), 0, 0
    for data, starts in parts:
        used = fold_all(data, starts, *fold_table(), held, used, ends[first : first + len(starts)])
        first += len(starts) - 1
    held[used : used + PADDING] = 0
    return strings_of(held, ends, count)


@cache
def fold_table() -> tuple[np.ndarray, np.ndarray]:
    """(bytes, offsets): what `str.casefold` makes of each character below `CASED`; nothing where it stays as it is."""
    letters = np.arange(CASED, dtype="<u4").tobytes().decode("utf-32-le", "surrogatepass")
    lengths, folds = np.zeros(CASED + 1, np.int64), []
    for start in range(0, CASED, 256):
        block = letters[start : start + 256]
        if block.casefold() == block:
            continue
        for code, letter in enumerate(block, start):
            if (fold := letter.casefold()) != letter:
                folds.append(fold.encode())
                lengths[code + 1] = len(folds[-1])
    return np.frombuffer(b"".join(folds) + bytes(PADDING), np.uint8), np.cumsum(lengths)


def found_in(keys: pa.LargeStringArray, wanted: pa.LargeStringArray) -> np.ndarray:
    """(n,) int64: the place of each wanted string among keys in ascending order; -1 where it is none of them.

    >>> import pyarrow as pa
    >>> found_in(pa.array(["a", "c"], pa.large_string()), pa.array(["c", "b"], pa.large_string())).tolist()
    [1, -1]
    """
    if len(keys) < MANY:
        known = {key: place for place, key in enumerate(keys.to_pylist())}
        return np.array([known.get(key, -1) for key in wanted.to_pylist()], np.int64)
    places = np.empty(len(wanted), np.int64)
    search(*bytes_of(keys), *bytes_of(wanted), places)
    return places


def replaced(strings: pa.LargeStringArray, places: np.ndarray, texts: Sequence[str]) -> pa.LargeStringArray:
    """The strings with others at these places."""
    import pyarrow as pa

    if not len(places):
        return strings
    order = np.arange(len(strings))
    order[places] = len(strings) + np.arange(len(places))
    return take(pa.chunked_array([strings, of_texts(texts)]), order)
