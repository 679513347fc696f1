"""Names that nearly match: Levenshtein distances to a whole index, by a compiled loop."""

from __future__ import annotations

from typing import Any

import numpy as np

from kg.arrow import bytes_of
from kg.loops import Loop
from kg.vocabulary import NameIndex, fold

LONGEST = 64
"""Letters of a pattern that are compared: as many as a word has bits."""
BUCKETS = 256
ONE = np.uint64(1)
measure = Loop("kg.fuzzy", "distances")


def near_names(index: NameIndex, name: str, most: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows, distances) of the names that become `name` with at most so many letters put in, taken out or replaced.

    Only the first 64 letters of `name` are compared.

    >>> import pyarrow as pa
    >>> index = NameIndex(pa.array(["paris", "parish", "rome"], pa.large_string()), np.arange(3))
    >>> near_names(index, "Pariss", 1)[0].tolist()
    [0, 1]
    """
    pattern = np.array([ord(letter) for letter in fold(name)[:LONGEST]], np.int64)
    codes, masks = np.full(BUCKETS, -1, np.int64), np.zeros(BUCKETS, np.uint64)
    for place, code in enumerate(pattern.tolist()):
        bucket = code % BUCKETS
        while codes[bucket] not in (-1, code):
            bucket = (bucket + 1) % BUCKETS
        codes[bucket] = code
        masks[bucket] |= np.uint64(1 << place)
    if not len(pattern) or not len(index.names):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    found = np.empty(len(index.names), np.uint8)
    measure(*bytes_of(index.names), codes, masks, len(pattern), most, found)
    rows = np.flatnonzero(found <= most)
    return rows, found[rows].astype(np.int64)


def distances(data: Any, starts: Any, codes: Any, masks: Any, length: Any, most: Any, found: Any) -> None:
    """The distance of every name to the pattern, or more than `most`, into `found`: (n,) uint8.

    Source: Myers 1999, "A fast bit-vector algorithm for approximate string matching"; Hyyrö 2003 for whole strings.
    """
    count = len(starts) - 1
    top = ONE << np.uint64(length - 1)
    for number in range(count):
        found[number] = 255
        place, stop = starts[number], starts[number + 1]
        if stop - place > 4 * (length + most) or stop - place < length - most:
            continue
        plus, minus = ~np.uint64(0), np.uint64(0)
        score, letters = length, 0
        while place < stop:
            first = np.int64(data[place])
            if first < 0x80:
                code, size = first, 1
            elif first < 0xE0:
                code, size = (first & 31) << 6 | np.int64(data[place + 1] & 63), 2
            elif first < 0xF0:
                code = (first & 15) << 12 | np.int64(data[place + 1] & 63) << 6 | np.int64(data[place + 2] & 63)
                size = 3
            else:
                code = (first & 7) << 18 | np.int64(data[place + 1] & 63) << 12
                code, size = code | np.int64(data[place + 2] & 63) << 6 | np.int64(data[place + 3] & 63), 4
            place += size
            letters += 1
            bucket = code % BUCKETS
            while codes[bucket] != -1 and codes[bucket] != code:
                bucket = (bucket + 1) % BUCKETS
            here = masks[bucket] if codes[bucket] == code else np.uint64(0)
            vertical = here | minus
            horizontal = (((here & plus) + plus) ^ plus) | here
            up = minus | ~(horizontal | plus)
            down = plus & horizontal
            if up & top:
                score += 1
            elif down & top:
                score -= 1
            up = (up << ONE) | ONE
            down = down << ONE
            plus = down | ~(vertical | up)
            minus = up & vertical
            if letters > length + most:
                break
        if score <= most and place >= stop:
            found[number] = score
