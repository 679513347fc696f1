"""Lines of N-Triples and N-Quads taken apart, some at a time: where their terms lie, before anyone asks what they are.

A line that is plain so far is told from one that is not; what its terms hold is not looked at yet.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from kg.grammar import (
    AS_IT_IS,
    DOT,
    END,
    LESS,
    MORE,
    NEWLINE,
    NONE,
    QUOTE_MARK,
    RETURN,
    UNDERSCORE,
    blanks_end,
    literal_end,
    suffix_end,
    term_end,
)
from kg.hashing import lookup, send_for_key, send_for_slot
from kg.layout import (
    BEGIN,
    BETWEEN,
    EMPTY,
    END_OF_LINE,
    FORM,
    GRAPH,
    GRAPH_STOP,
    KIND,
    KIND_INVALID,
    NEW_SUBJECT,
    OBJECT,
    OBJECT_STOP,
    ODD,
    PLAIN,
    PREDICATE,
    PREDICATE_STOP,
    SAME_SUBJECT,
    SUBJECT,
    SUBJECT_NUMBER,
    SUBJECT_STOP,
)
from kg.sha256 import hash_on
from kg.words import find_byte, hash_bytes, same_bytes

LONG_LINE = 1 << 20
"""Longer lines are handed back."""


@njit(inline="always")
def take_apart(
    data: Any, place: Any, stop: Any, kinds: Any, status: Any, rows: Any, quads: Any, hashing: Any, alone: Any
) -> Any:
    """Fill rows from the lines at `place` on: (lines, place behind, where a suffix met first starts, and stops).

    A suffix that is no known kind ends the rows before its line.

    Args:
        kinds, status: see `kg.layout.Tables`.
        alone: whether this is all that is done with the lines now, so that more is left for the hash.
    """
    places, hashes = rows.places, rows.hashes
    count = 0
    before = before_stop = NONE
    while place < stop and count < len(places):
        row = places[count]
        hash_on(hashing)
        row[BEGIN] = place
        if data[place] == END:
            row[FORM], row[END_OF_LINE] = EMPTY, place
            before = NONE
            place += 1
            count += 1
            continue
        line = place
        form = ODD
        while True:  # left by a break as soon as the line is not plain
            # Statements about one subject mostly follow each other.
            length = before_stop - before
            same = (
                before >= 0
                and place + length + 1 < stop
                and data[place] == LESS
                and data[place + 1 + length] == MORE
                and same_bytes(data, place + 1, data, before, length)
            )
            if same:
                start, behind = place + 1, place + 1 + length
                place = behind + 1
                hashes[count, 0] = hashes[count - 1, 0]
            else:
                start, behind, place = term_end(data, place)
                if place < 0:
                    break
                hashes[count, 0] = hash_bytes(data, start, behind)
            row[SUBJECT], row[SUBJECT_STOP] = start, behind
            if alone:
                hash_on(hashing)
            place = blanks_end(data, place)
            if data[place] != LESS:
                break
            row[PREDICATE], row[PREDICATE_STOP], place = term_end(data, place)
            if place < 0:
                break
            hashes[count, 2] = hash_bytes(data, row[PREDICATE], row[PREDICATE_STOP])
            place = blanks_end(data, place)
            if data[place] == QUOTE_MARK:
                row[OBJECT] = place + 1
                place, row[BETWEEN] = literal_end(data, place + 1)
                if place < 0:
                    break
                row[OBJECT_STOP] = place
                suffix = place + 1
                place = suffix_end(data, suffix)
                if place < 0:
                    break
                row[KIND] = PLAIN
                if place > suffix:
                    row[KIND] = lookup(kinds, data, suffix, place, hash_bytes(data, suffix, place))
                    if row[KIND] < 0:
                        return count, line, suffix, place
                    if status[row[KIND]] == KIND_INVALID:
                        break
            else:
                row[OBJECT], row[OBJECT_STOP], place = term_end(data, place)
                if place < 0:
                    break
                row[BETWEEN], row[KIND] = AS_IT_IS, NONE
                hashes[count, 1] = hash_bytes(data, row[OBJECT], row[OBJECT_STOP])
            place = blanks_end(data, place)
            row[GRAPH] = NONE
            if quads and (data[place] == LESS or data[place] == UNDERSCORE):
                row[GRAPH], row[GRAPH_STOP], place = term_end(data, place)
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
            form = SAME_SUBJECT if same else NEW_SUBJECT
            break
        if form == ODD:
            place = find_byte(data, line, NEWLINE)
            before = NONE
        else:
            before, before_stop = (row[SUBJECT], row[SUBJECT_STOP]) if data[line] == LESS else (NONE, NONE)
        row[FORM], row[END_OF_LINE] = form, place
        place += 1
        count += 1
    return count, place, NONE, NONE


@njit(inline="always")
def find(data: Any, table: Any, rows: Any, first: Any, last: Any, terms: Any) -> None:
    """The numbers of those subjects and objects of some rows that a table knows already.

    Where they lie is sent for in steps, each for all, since waiting for memory takes longer than all else.
    """
    places, hashes = rows.places, rows.hashes
    asked = 0
    for line in range(first, last):
        form = places[line, FORM]
        for term in range(2):
            if (term == 0 and form == NEW_SUBJECT) or (term == 1 and form >= NEW_SUBJECT and places[line, KIND] < 0):
                send_for_slot(table, hashes[line, term])
                terms[asked, 0], terms[asked, 1] = line, term
                asked += 1
    for step in range(2):
        for number in range(asked):
            send_for_key(table, hashes[terms[number, 0], terms[number, 1]], step)
    for number in range(asked):
        line, term = terms[number, 0], terms[number, 1]
        start, stop = places[line, SUBJECT + 3 * term], places[line, SUBJECT_STOP + 3 * term]
        places[line, SUBJECT_NUMBER + 3 * term] = lookup(table, data, start, stop, hashes[line, term])
