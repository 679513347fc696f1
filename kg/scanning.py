"""N-Triples and N-Quads at the speed of memory: one compiled loop over a block of lines.

A line is taken when it is plain: absolute IRIs of well-known form without escapes, simple blank-node labels, literals
in valid UTF-8 with the escapes of N-Triples, blanks between terms. All else is handed back to be parsed in full, so
speed never changes a result.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from kg.interning import Table, add, has_room, lookup
from kg.words import (
    HIGHS,
    SPACES,
    copy_bytes,
    equal_bytes,
    find_byte,
    first_byte,
    hash_bytes,
    low_bytes,
    mixed,
    put_word,
    same_bytes,
    word_at,
)

PAUSE_DONE, PAUSE_OUTPUT, PAUSE_ENTITIES, PAUSE_PREDICATES, PAUSE_KIND, PAUSE_GRAPHS = range(6)
"""Why the loop stopped: at the end of the block, or for want of something, before a line of which nothing was taken."""
EDGES, LITERALS, VALUES, REST, LINES, STATEMENTS, IN_GRAPHS, FOREIGN, UNWANTED, PAUSE, FROM, TO = range(12)
"""What `Output.state` counts."""
PLAIN, ADDRESS = 0, 1
"""Kinds of literals that every table of kinds begins with: without a suffix, and a picture's IRI."""
KIND_KEPT, KIND_FOREIGN, KIND_INVALID = 0, 1, 2
"""What is done with literals of a kind: kept, left out and counted, or left to be refused."""
LONG_LINE = 1 << 20
"""Longer lines are handed back."""
NONE = np.int64(-1)

GREATER, NEWLINE, QUOTE, BACKSLASH = (np.uint64(ord(letter) * 0x0101010101010101) for letter in '>\n"\\')
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


class Output(NamedTuple):
    """What a scan fills.

    Attributes:
        edges: (n, 3) int32, subject, predicate, object.
        literals: (m, 4) int32, subject, predicate, kind, and the length of the value.
        values: uint8, the values one behind the other.
        rest: (k, 3) int64, where lines that were not taken start and stop, and their numbers in the block.
        state: counters, see `EDGES` and the names beside it.
    """

    edges: np.ndarray
    literals: np.ndarray
    values: np.ndarray
    rest: np.ndarray
    state: np.ndarray

    @classmethod
    def of(cls, size: int) -> Output:
        """Room for blocks of so many bytes."""
        rows = size // 64 + 1024
        return cls(
            np.empty((rows, 3), np.int32),
            np.empty((rows, 4), np.int32),
            np.empty(size + 64, np.uint8),
            np.empty((1 << 12, 3), np.int64),
            np.zeros(12, np.int64),
        )


class Tables(NamedTuple):
    """The numbers that a scan gives and looks up.

    Attributes:
        entities, predicates, graphs: IRIs, and blank nodes with `_:` in front.
        kinds: what stands behind a literal's closing quote.
        status: (len of the kinds' starts,) uint8, see `KIND_KEPT`.
        images: predicates below this number lead to pictures.
        wanted: bool for each predicate with a number below its length, whether its literals are kept.
        others: whether those of all other predicates are.
    """

    entities: Table
    predicates: Table
    graphs: Table
    kinds: Table
    status: np.ndarray
    images: int
    wanted: np.ndarray
    others: bool


@njit(inline="always")
def iri_end(data: Any, place: Any) -> Any:
    """(place of the closing bracket, hash) of an IRI; -1 where the line ends before."""
    value = np.uint64(0x9E3779B97F4A7C15)
    begin = place
    while True:
        word = word_at(data, place)
        marks = equal_bytes(word, GREATER) | ((word - SPACES) & ~word & HIGHS)
        if marks:
            count = first_byte(marks)
            stop = place + count
            if data[stop] != MORE:
                return NONE, value
            return stop, mixed(mixed(value, low_bytes(word, count)), np.uint64(stop - begin))
        value = mixed(value, word)
        place += 8


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
        stop, _ = iri_end(data, place + 3)
        return stop + 1 if stop >= 0 else NONE
    return place


@njit(inline="always")
def term_end(data: Any, place: Any) -> Any:
    """(start, stop, hash, place behind) of an IRI or blank node; a place of -1 where there is none."""
    if data[place] == LESS:
        if data[place + 1] == UNDERSCORE:  # no IRI begins so, and what does is taken for a blank node
            return place, place, np.uint64(0), NONE
        stop, value = iri_end(data, place + 1)
        return place + 1, stop, value, stop + 1 if stop >= 0 else NONE
    if data[place] == UNDERSCORE:
        stop = label_end(data, place)
        if stop >= 0:
            return place, stop, hash_bytes(data, place, stop), stop
    return place, place, np.uint64(0), NONE


@njit(inline="always")
def known_or_plain(table: Any, data: Any, start: Any, stop: Any, value: Any) -> Any:
    """The number of a term; -1 for a new one that is plain, -2 for one that is not."""
    number = lookup(table, data, start, stop, value)
    if number < 0 and data[start] != UNDERSCORE and not plain_iri(data, start, stop):
        return -2
    return number


@njit(cache=True, nogil=True)
def scan(data: Any, start: Any, stop: Any, tables: Any, out: Any, quads: Any, drop: Any) -> Any:
    """Take lines from `start` on; returns the place where it paused, the reason is in `out.state[PAUSE]`.

    Args:
        data: uint8, whole lines up to `stop`; behind it at least 16 bytes which begin with '\\n>"'.
        quads: whether a graph may follow the object.
        drop: whether statements in graphs are left out.
    """
    entities, predicates, kinds = tables.entities, tables.predicates, tables.kinds
    state = out.state
    place = start
    before_start = before_stop = before = NONE
    while place < stop:
        line = place
        number = state[LINES]
        if state[EDGES] == len(out.edges) or state[LITERALS] == len(out.literals) or state[REST] == len(out.rest):
            state[PAUSE] = PAUSE_OUTPUT
            return line
        if data[place] == END:
            state[LINES] += 1
            place += 1
            continue
        used = state[VALUES]
        kind = NONE
        object_start = object_stop = object_number = NONE
        object_hash = np.uint64(0)
        graph_start = NONE
        taken = False
        # Statements about one subject mostly follow each other.
        subject, subject_hash = NONE, np.uint64(0)
        subject_start, subject_stop = place + 1, place + 1 + before_stop - before_start
        if (
            before >= 0
            and subject_stop < stop
            and data[place] == LESS
            and data[subject_stop] == MORE
            and same_bytes(data, subject_start, data, before_start, before_stop - before_start)
        ):
            subject, place = before, subject_stop + 1
        else:
            subject_start, subject_stop, subject_hash, place = term_end(data, place)
        while place >= 0:  # left by a break as soon as the line is not plain
            place = blanks_end(data, place)
            if data[place] != LESS:
                break
            predicate_start, predicate_stop, predicate_hash, place = term_end(data, place)
            if place < 0:
                break
            place = blanks_end(data, place)
            if data[place] == QUOTE_MARK:
                place, used = put_literal(data, place + 1, out.values, used)
                if place < 0:
                    break
                suffix = place + 1
                place = suffix_end(data, suffix)
                if place < 0:
                    break
                kind = PLAIN
                if place > suffix:
                    kind = lookup(kinds, data, suffix, place, hash_bytes(data, suffix, place))
                    if kind < 0:
                        state[PAUSE], state[FROM], state[TO] = PAUSE_KIND, suffix, place
                        return line
                    if tables.status[kind] == KIND_INVALID:
                        break
            else:
                object_start, object_stop, object_hash, place = term_end(data, place)
                if place < 0:
                    break
            place = blanks_end(data, place)
            if quads and (data[place] == LESS or data[place] == UNDERSCORE):
                graph_start, graph_stop, graph_hash, place = term_end(data, place)
                if place < 0:
                    break
                place = blanks_end(data, place)
            if data[place] != DOT:
                break
            place = blanks_end(data, place + 1)
            if data[place] == RETURN:
                place += 1
            if data[place] != END or place - line > LONG_LINE:
                break

            if subject < 0:
                subject = known_or_plain(entities, data, subject_start, subject_stop, subject_hash)
            predicate = known_or_plain(predicates, data, predicate_start, predicate_stop, predicate_hash)
            if subject == -2 or predicate == -2:
                break
            image = 0 <= predicate < tables.images
            if kind < 0:
                if image and data[object_start] == UNDERSCORE:
                    break
                object_number = known_or_plain(entities, data, object_start, object_stop, object_hash)
                if object_number == -2:
                    break
            if graph_start >= 0:
                graph = known_or_plain(tables.graphs, data, graph_start, graph_stop, graph_hash)
                if graph == -2:
                    break
                if graph < 0:
                    if not has_room(tables.graphs, 1, graph_stop - graph_start):
                        state[PAUSE] = PAUSE_GRAPHS
                        return line
                    add(tables.graphs, data, graph_start, graph_stop, graph_hash)
            room = (subject_stop - subject_start) + (object_stop - object_start)
            if not has_room(entities, 2, room):
                state[PAUSE] = PAUSE_ENTITIES
                return line
            if not has_room(predicates, 1, predicate_stop - predicate_start):
                state[PAUSE] = PAUSE_PREDICATES
                return line
            taken = True
            state[STATEMENTS] += 1
            if graph_start >= 0:
                state[IN_GRAPHS] += 1
                if drop:
                    break
            if kind >= 0 and tables.status[kind] == KIND_FOREIGN:
                state[FOREIGN] += 1
                break
            if kind >= 0 or image:
                named = 0 <= predicate < len(tables.wanted)
                if not (tables.wanted[predicate] if named else tables.others):
                    state[UNWANTED] += 1
                    break
            if subject < 0:
                subject = add(entities, data, subject_start, subject_stop, subject_hash)
            if predicate < 0:
                predicate = add(predicates, data, predicate_start, predicate_stop, predicate_hash)
            if data[subject_start - 1] == LESS:
                before_start, before_stop, before = subject_start, subject_stop, subject
            if kind < 0 and not image:
                if object_number < 0:
                    object_number = lookup(entities, data, object_start, object_stop, object_hash)
                if object_number < 0:
                    object_number = add(entities, data, object_start, object_stop, object_hash)
                row = out.edges[state[EDGES]]
                row[0], row[1], row[2] = subject, predicate, object_number
                state[EDGES] += 1
                break
            if kind < 0:
                kind = ADDRESS
                copy_bytes(data, object_start, object_stop, out.values, used)
                used += object_stop - object_start
            written = out.literals[state[LITERALS]]
            written[0], written[1], written[2], written[3] = subject, predicate, kind, used - state[VALUES]
            state[LITERALS] += 1
            state[VALUES] = used
            break
        if taken:
            place += 1
        else:
            end = find_byte(data, line, NEWLINE)
            waiting = out.rest[state[REST]]
            waiting[0], waiting[1], waiting[2] = line, end, number
            state[REST] += 1
            place = end + 1
        state[LINES] += 1
    state[PAUSE] = PAUSE_DONE
    return place
