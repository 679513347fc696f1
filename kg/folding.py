"""Names by the million: case-folded, and read off keys, by compiled loops that do what Python's own methods do."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from kg.strings import CASED
from kg.words import HIGHS, borrowed, copy_bytes, put_word, word_at

SLASH, HASH, COLON, UNDERSCORE, PERCENT, SPACE = (ord(letter) for letter in "/#:_% ")
A = np.uint64(0x4141414141414141)
Z = np.uint64(0x5A5A5A5A5A5A5A5A)
LOW = np.uint64(0x7F7F7F7F7F7F7F7F)
TO_LOWER = np.uint64(2)


@njit(inline="always")
def _lower_ascii(word: Any) -> Any:
    """Eight ASCII bytes in lower case."""
    from_a = (word | HIGHS) - A
    up_to_z = (Z | HIGHS) - word
    upper = from_a & up_to_z & HIGHS
    return word | (upper >> TO_LOWER)


def fold_all(data: Any, starts: Any, table: Any, offsets: Any, held: Any, used: Any, ends: Any) -> Any:
    """Fold all strings character by character, into `held` from `used` on, and `ends`; returns where they end."""
    data, starts, table, offsets, held, ends = borrowed((data, starts, table, offsets, held, ends))
    ends[0] = used
    for number in range(len(starts) - 1):
        place, stop = starts[number], starts[number + 1]
        while place < stop:
            word = word_at(data, place)
            if word & HIGHS == 0:
                put_word(held, used, _lower_ascii(word))
                step = min(8, stop - place)
                place += step
                used += step
                continue
            first = np.int64(data[place])
            if first < 0x80:
                code, size = first, 1
            elif first < 0xE0:
                code, size = (first & 31) << 6 | data[place + 1] & 63, 2
            elif first < 0xF0:
                code, size = (first & 15) << 12 | np.int64(data[place + 1] & 63) << 6 | data[place + 2] & 63, 3
            else:
                code = (first & 7) << 18 | np.int64(data[place + 1] & 63) << 12
                code, size = code | np.int64(data[place + 2] & 63) << 6 | data[place + 3] & 63, 4
            if code < CASED and offsets[code] < offsets[code + 1]:
                copy_bytes(table, offsets[code], offsets[code + 1], held, used)
                used += offsets[code + 1] - offsets[code]
            else:
                put_word(held, used, word)
                used += size
            place += size
        ends[number + 1] = used
    return used


@njit(inline="always")
def may_be_space(data: Any, place: Any, stop: Any) -> Any:
    """Whether a white space of Unicode may begin at this byte, which `str.strip` would take off."""
    letter = data[place]
    if letter == 0xE3:
        return place + 2 < stop and data[place + 1] == 0x80 and data[place + 2] == 0x80
    return letter == 0xC2 or letter == 0xE1 or letter == 0xE2


def local_names(data: Any, starts: Any, held: Any, ends: Any, hard: Any) -> Any:
    """The local name of every key, into `held` and `ends`; returns how many bytes they are.

    Where `hard` is set it takes more than this, see `kg.vocabulary.local_name`.
    """
    data, starts, held, ends, hard = borrowed((data, starts, held, ends, hard))
    count = len(starts) - 1
    used = 0
    ends[0] = 0
    for number in range(count):
        start, stop = starts[number], starts[number + 1]
        key_start, key_stop = start, stop
        is_iri = False
        hard[number] = False
        for place in range(start, stop):
            letter = data[place]
            if letter == PERCENT or letter < SPACE or (letter >= 0x80 and may_be_space(data, place, stop)):
                hard[number] = True
                break
            if letter == COLON and place + 2 < stop and data[place + 1] == SLASH and data[place + 2] == SLASH:
                is_iri = True
        if stop - start > 3 and data[start] == 117 and data[start + 1] == 114 and data[start + 2] == 110:
            is_iri = is_iri or data[start + 3] == COLON
        if not hard[number]:
            if is_iri:
                while stop > start and (data[stop - 1] == SLASH or data[stop - 1] == HASH or data[stop - 1] == COLON):
                    stop -= 1
                place = stop
                while place > start and not (
                    data[place - 1] == SLASH or data[place - 1] == HASH or data[place - 1] == COLON
                ):
                    place -= 1
                start = place
                while start < stop and (data[start] == UNDERSCORE or data[start] == SPACE):
                    start += 1
                while stop > start and (data[stop - 1] == UNDERSCORE or data[stop - 1] == SPACE):
                    stop -= 1
            if start == stop:
                start, stop = key_start, key_stop
                copy_bytes(data, start, stop, held, used)
            else:
                for place in range(start, stop):
                    letter = data[place]
                    held[used + place - start] = SPACE if is_iri and letter == UNDERSCORE else letter
            used += stop - start
        ends[number + 1] = used
    return used
