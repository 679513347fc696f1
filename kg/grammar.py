"""The terms of N-Triples as compiled functions over bytes: each takes what is plain, and gives up on all else."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from kg.words import HIGHS, SPACES, WIDE, equal_bytes, first_bit, first_byte, marks_of, put_word, word_at

NONE = np.int64(-1)
AS_IT_IS, ESCAPES, UNSURE = range(3)
"""What `literal_end` says of a literal."""

NEWLINE, QUOTE, BACKSLASH = (np.uint64(ord(letter) * 0x0101010101010101) for letter in '\n"\\')
SPACE, TAB, RETURN, END = ord(" "), ord("\t"), ord("\r"), ord("\n")
DOT, COLON, SLASH, LESS, MORE, UNDERSCORE, AT, HAT = (ord(letter) for letter in ".:/<>_@^")
PERCENT, HASH, QUESTION, QUOTE_MARK, ESCAPE, U_SHORT, U_LONG = (ord(letter) for letter in '%#?"\\uU')


def _flags(letters: str) -> np.ndarray:
    table = np.zeros(256, np.bool_)
    table[[ord(letter) for letter in letters]] = True
    return table


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
LETTER = _flags(_LETTERS)
ALPHANUMERIC = _flags(_LETTERS + "0123456789")
IS_DIGIT = _flags("0123456789")
IN_LABEL = _flags(_LETTERS + "0123456789_")
IN_TAG = _flags(_LETTERS + "0123456789-")
IN_HOST = _flags(_LETTERS + "0123456789.-_~")
IN_PATH = _flags(_LETTERS + "0123456789.-_~!$&'()*+,;=:@/")
HEX = np.full(256, 255, np.uint8)
HEX[[ord(letter) for letter in "0123456789abcdefABCDEF"]] = [*range(16), *range(10, 16)]
ESCAPED = np.zeros(256, np.uint8)
ESCAPED[[ord(letter) for letter in "tbnrf\"'\\"]] = [ord(letter) for letter in "\t\b\n\r\f\"'\\"]


iri_marks = marks_of(("==", MORE), ("<", SPACE))
text_marks = marks_of(("==", QUOTE_MARK), ("==", ESCAPE), ("<", SPACE))
high_marks = marks_of(("<", 0), signed=True)


@njit(inline="always")
def iri_end(data: Any, place: Any) -> Any:
    """The place of an IRI's closing bracket; -1 where the line ends before."""
    while True:
        marks = iri_marks(data, place)
        if marks:
            stop = place + first_bit(marks)
            if data[stop] != MORE:
                return NONE
            return stop
        place += WIDE


@njit(inline="always")
def label_end(data: Any, place: Any) -> Any:
    """The end of a blank node `_:label` of letters, digits and `_`; -1 for any other."""
    if data[place + 1] != COLON or not IN_LABEL[data[place + 2]]:
        return NONE
    place += 3
    while IN_LABEL[data[place]]:
        place += 1
    return place if data[place] == SPACE or data[place] == TAB else NONE


@njit(inline="always")
def blanks_end(data: Any, place: Any) -> Any:
    while data[place] == SPACE or data[place] == TAB:
        place += 1
    return place


@njit
def utf8_length(data: Any, place: Any) -> Any:
    """How many bytes the non-ASCII character at `place` has; 0 where it is not valid UTF-8 (RFC 3629, section 4)."""
    first, second, third = data[place], data[place + 1], data[place + 2]
    if first < 0xC2 or first > 0xF4 or second & 0xC0 != 0x80:
        return 0
    if first < 0xE0:
        return 2
    if third & 0xC0 != 0x80:
        return 0
    if first < 0xF0:
        return 0 if (first == 0xE0 and second < 0xA0) or (first == 0xED and second > 0x9F) else 3
    if data[place + 3] & 0xC0 != 0x80 or (first == 0xF0 and second < 0x90) or (first == 0xF4 and second > 0x8F):
        return 0
    return 4


@njit
def plain_iri(data: Any, place: Any, stop: Any) -> Any:
    """Whether this is an absolute IRI of a form that needs no second look (a part of RFC 3987's)."""
    if place == stop or not LETTER[data[place]]:
        return False
    while place < stop and ALPHANUMERIC[data[place]]:
        place += 1
    if place == stop or data[place] != COLON:
        return False
    place += 1
    if place + 1 < stop and data[place] == SLASH and data[place + 1] == SLASH:
        place += 2
        begin = place
        while place < stop and IN_HOST[data[place]]:
            place += 1
        if place == begin:
            return False
        if place < stop and data[place] == COLON:
            place += 1
            while place < stop and IS_DIGIT[data[place]]:
                place += 1
        if place < stop and data[place] != SLASH:
            return False
    fragment = False
    while place < stop:
        letter = data[place]
        if letter >= 0x80:
            length = utf8_length(data, place)
            if length == 0 or length == 4 or place + length > stop:
                return False
            if length == 2 and letter == 0xC2 and data[place + 1] < 0xA0:
                return False
            if length == 3 and letter >= 0xEE:
                return False
            place += length
            continue
        if letter == PERCENT:
            if place + 2 >= stop or HEX[data[place + 1]] > 15 or HEX[data[place + 2]] > 15:
                return False
            place += 3
            continue
        if letter == HASH and not fragment:
            fragment = True
        elif letter != QUESTION and not IN_PATH[letter]:
            return False
        place += 1
    return True


@njit
def put_escape(data: Any, place: Any, values: Any, used: Any) -> Any:
    """Decode the escape at `place`: (place behind it or -1 where it is wrong, end of the values)."""
    letter = data[place + 1]
    if letter != U_SHORT and letter != U_LONG:
        if ESCAPED[letter] == 0:
            return NONE, used
        values[used] = ESCAPED[letter]
        return place + 2, used + 1
    digits = 4 if letter == U_SHORT else 8
    code = np.int64(0)
    for step in range(digits):
        digit = HEX[data[place + 2 + step]]
        if digit > 15 or code > 0x10FFFF:
            return NONE, used
        code = code * 16 + digit
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        return NONE, used
    place += 2 + digits
    if code < 0x80:
        values[used] = code
        return place, used + 1
    if code < 0x800:
        values[used] = 0xC0 | code >> 6
        values[used + 1] = 0x80 | code & 63
        return place, used + 2
    if code < 0x10000:
        values[used] = 0xE0 | code >> 12
        values[used + 1] = 0x80 | code >> 6 & 63
        values[used + 2] = 0x80 | code & 63
        return place, used + 3
    values[used] = 0xF0 | code >> 18
    values[used + 1] = 0x80 | code >> 12 & 63
    values[used + 2] = 0x80 | code >> 6 & 63
    values[used + 3] = 0x80 | code & 63
    return place, used + 4


@njit(inline="always")
def put_literal(data: Any, place: Any, values: Any, used: Any) -> Any:
    """Decode a literal from behind its opening quote: (place of the closing one or -1, end of the values)."""
    while True:
        word = word_at(data, place)
        put_word(values, used, word)
        marks = (
            equal_bytes(word, QUOTE) | equal_bytes(word, BACKSLASH) | ((word - SPACES) & ~word & HIGHS) | (word & HIGHS)
        )
        if not marks:
            place += 8
            used += 8
            continue
        count = first_byte(marks)
        place += count
        used += count
        letter = data[place]
        if letter == QUOTE_MARK:
            return place, used
        if letter == END or letter == RETURN:  # noqa: SIM109 (compiled)
            return NONE, used
        if letter == ESCAPE:
            place, used = put_escape(data, place, values, used)
            if place < 0:
                return NONE, used
            continue
        if letter < 0x80:
            place += 1
            used += 1
            continue
        while data[place] >= 0x80:
            length = utf8_length(data, place)
            if length == 0:
                return NONE, used
            for step in range(length):
                values[used + step] = data[place + step]
            place += length
            used += length


@njit(inline="always")
def literal_end(data: Any, place: Any) -> Any:
    """(place of the closing quote or -1, what is between) of a literal, from behind its opening quote.

    What is between is `AS_IT_IS`, `ESCAPES`, all of them right, or `UNSURE`: more may be wrong with it.
    """
    between = AS_IT_IS
    while True:
        marks, highs = text_marks(data, place), high_marks(data, place)
        if not marks:
            if highs:
                between = UNSURE
            place += WIDE
            continue
        count = first_bit(marks)
        if highs & ((np.uint32(1) << np.uint32(count)) - np.uint32(1)):
            between = UNSURE
        place += count
        letter = data[place]
        if letter == QUOTE_MARK:
            return place, between
        if letter == END or letter == RETURN:  # noqa: SIM109 (compiled)
            return NONE, between
        if letter != ESCAPE:
            place += 1
            continue
        between = max(between, ESCAPES)
        letter = data[place + 1]
        if letter == U_SHORT and plain_code(data, place + 2):
            place += 6
        elif ESCAPED[letter]:
            place += 2
        else:
            between = UNSURE
            place += 1 if letter < SPACE else 2


@njit(inline="always")
def plain_code(data: Any, place: Any) -> Any:
    """Whether these are four hexadecimal digits of a character below the surrogates."""
    a, b, c, d = HEX[data[place]], HEX[data[place + 1]], HEX[data[place + 2]], HEX[data[place + 3]]
    return (a | b | c | d) < 16 and a < 13


@njit(inline="always")
def suffix_end(data: Any, place: Any) -> Any:
    """The end of what may stand behind a closing quote: a language tag or a datatype; -1 where it is neither."""
    if data[place] == AT:
        stop = place + 1
        while IN_TAG[data[stop]]:
            stop += 1
        return stop if stop > place + 1 else NONE
    if data[place] == HAT:
        if data[place + 1] != HAT or data[place + 2] != LESS:
            return NONE
        stop = iri_end(data, place + 3)
        return stop + 1 if stop >= 0 else NONE
    return place


@njit(inline="always")
def term_end(data: Any, place: Any) -> Any:
    """(start, stop, place behind) of an IRI or blank node; a place of -1 where there is none."""
    if data[place] == LESS:
        if data[place + 1] == UNDERSCORE:  # no IRI begins so, and what does is taken for a blank node
            return place, place, NONE
        stop = iri_end(data, place + 1)
        return place + 1, stop, stop + 1 if stop >= 0 else NONE
    if data[place] == UNDERSCORE:
        stop = label_end(data, place)
        return place, stop, stop
    return place, place, NONE
