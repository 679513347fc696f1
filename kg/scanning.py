"""N-Triples and N-Quads at the speed of memory: one compiled loop over a block of lines.

A line is taken when it is plain: absolute IRIs of well-known form without escapes, simple blank-node labels, literals
in valid UTF-8 with the escapes of N-Triples, blanks between terms. All else is handed back to be parsed in full, so
speed never changes a result.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from kg.grammar import AS_IT_IS, NONE, UNDERSCORE, UNSURE, plain_iri, put_literal
from kg.hashing import add, has_room, lookup
from kg.layout import (
    ADDRESS,
    BATCH,
    BEGIN,
    BETWEEN,
    EDGES,
    EMPTY,
    END_OF_LINE,
    FOREIGN,
    FORM,
    FROM,
    GRAPH,
    GRAPH_STOP,
    IN_GRAPHS,
    KIND,
    KIND_FOREIGN,
    LINES,
    LITERALS,
    NOT_PLAIN,
    OBJECT,
    OBJECT_NUMBER,
    OBJECT_STOP,
    ODD,
    PAUSE,
    PAUSE_DONE,
    PAUSE_ENTITIES,
    PAUSE_GRAPHS,
    PAUSE_KIND,
    PAUSE_OUTPUT,
    PAUSE_PREDICATES,
    PREDICATE,
    PREDICATE_STOP,
    REST,
    SAME_SUBJECT,
    STATEMENTS,
    SUBJECT,
    SUBJECT_NUMBER,
    SUBJECT_STOP,
    TAKEN,
    TO,
    UNWANTED,
    VALUES,
)
from kg.sha256 import hash_on
from kg.tokens import find, take_apart
from kg.words import borrowed, copy_bytes, hash_bytes


@njit
def known_or_plain(table: Any, data: Any, start: Any, stop: Any, value: Any) -> Any:
    """The number of a term; -1 for a new one that is plain, -2 for one that is not."""
    number = lookup(table, data, start, stop, value)
    if number < 0 and data[start] != UNDERSCORE and not plain_iri(data, start, stop):
        return -2
    return number


@njit
def added(table: Any, data: Any, start: Any, stop: Any, value: Any) -> Any:
    """The number of a term that is plain, which is given it if it is new; there must be room."""
    number = lookup(table, data, start, stop, value)
    return add(table, data, start, stop, value) if number < 0 else number


@njit(inline="always")
def take(data: Any, row: Any, subject: Any, hashes: Any, tables: Any, out: Any, drop: Any) -> Any:
    """Take one line that is plain so far: (what became of it, the number of its subject, -1 where it has none).

    The first is `TAKEN`, `NOT_PLAIN`, or why it has to wait, when nothing of it was taken.
    """
    entities, predicates, state = tables.entities, tables.predicates, out.state
    kind = row[KIND]
    if subject < 0:
        subject = known_or_plain(entities, data, row[SUBJECT], row[SUBJECT_STOP], hashes[0])
    predicate_hash = hashes[2]
    predicate = lookup(predicates, data, row[PREDICATE], row[PREDICATE_STOP], predicate_hash)
    if predicate < 0:
        predicate = known_or_plain(predicates, data, row[PREDICATE], row[PREDICATE_STOP], predicate_hash)
    if subject == -2 or predicate == -2:
        return NOT_PLAIN, NONE
    image = 0 <= predicate < tables.images
    target = NONE
    if kind < 0:
        if image and data[row[OBJECT]] == UNDERSCORE:
            return NOT_PLAIN, NONE
        target = row[OBJECT_NUMBER]
        if target < 0:
            target = known_or_plain(entities, data, row[OBJECT], row[OBJECT_STOP], hashes[1])
        if target == -2:
            return NOT_PLAIN, NONE
    used = state[VALUES]
    named = 0 <= predicate < len(tables.wanted)
    wanted = tables.wanted[predicate] if named else tables.others
    if kind >= 0:
        if row[BETWEEN] == UNSURE or (wanted and row[BETWEEN] != AS_IT_IS):
            place, used = put_literal(data, row[OBJECT], out.values, used)
            if place < 0:
                return NOT_PLAIN, NONE
        elif wanted:
            copy_bytes(data, row[OBJECT], row[OBJECT_STOP], out.values, used)
            used += row[OBJECT_STOP] - row[OBJECT]
    if row[GRAPH] >= 0:
        graph_hash = hash_bytes(data, row[GRAPH], row[GRAPH_STOP])
        graph = known_or_plain(tables.graphs, data, row[GRAPH], row[GRAPH_STOP], graph_hash)
        if graph == -2:
            return NOT_PLAIN, NONE
        if graph < 0:
            if not has_room(tables.graphs, 1, row[GRAPH_STOP] - row[GRAPH]):
                return PAUSE_GRAPHS, NONE
            added(tables.graphs, data, row[GRAPH], row[GRAPH_STOP], graph_hash)
    room = row[SUBJECT_STOP] - row[SUBJECT] + (row[OBJECT_STOP] - row[OBJECT] if kind < 0 else 0)
    if not has_room(entities, 2, room):
        return PAUSE_ENTITIES, NONE
    if not has_room(predicates, 1, row[PREDICATE_STOP] - row[PREDICATE]):
        return PAUSE_PREDICATES, NONE
    state[STATEMENTS] += 1
    if row[GRAPH] >= 0:
        state[IN_GRAPHS] += 1
        if drop:
            return TAKEN, subject
    if kind >= 0 and tables.status[kind] == KIND_FOREIGN:
        state[FOREIGN] += 1
        return TAKEN, subject
    if (kind >= 0 or image) and not wanted:
        state[UNWANTED] += 1
        return TAKEN, subject
    if subject < 0:
        subject = added(entities, data, row[SUBJECT], row[SUBJECT_STOP], hashes[0])
    if predicate < 0:
        predicate = added(predicates, data, row[PREDICATE], row[PREDICATE_STOP], predicate_hash)
    if kind < 0 and not image:
        if target < 0:
            target = added(entities, data, row[OBJECT], row[OBJECT_STOP], hashes[1])
        edge = out.edges[state[EDGES]]
        edge[0], edge[1], edge[2] = subject, predicate, target
        state[EDGES] += 1
        return TAKEN, subject
    if kind < 0:
        kind = ADDRESS
        copy_bytes(data, row[OBJECT], row[OBJECT_STOP], out.values, used)
        used += row[OBJECT_STOP] - row[OBJECT]
    written = out.literals[state[LITERALS]]
    written[0], written[1], written[2], written[3] = subject, predicate, kind, used - state[VALUES]
    state[LITERALS] += 1
    state[VALUES] = used
    return TAKEN, subject


@njit(inline="always")
def take_rows(
    data: Any, rows: Any, first: Any, last: Any, subject: Any, tables: Any, out: Any, drop: Any, hashing: Any
) -> Any:
    """Take some lines: (the first that has to wait, or `last`; the number of the last subject).

    Why it has to wait is in `out.state[PAUSE]`.
    """
    state = out.state
    find(data, tables.entities, rows, first, last, out.terms)
    for number in range(first, last):
        row = rows.places[number]
        hash_on(hashing)
        if state[EDGES] == len(out.edges) or state[LITERALS] == len(out.literals) or state[REST] == len(out.rest):
            state[PAUSE] = PAUSE_OUTPUT
            return number, subject
        form = row[FORM]
        if form != EMPTY:
            what = NOT_PLAIN
            if form != ODD:
                known = subject if form == SAME_SUBJECT else row[SUBJECT_NUMBER]
                what, subject = take(data, row, known, rows.hashes[number], tables, out, drop)
            if what > NOT_PLAIN:
                state[PAUSE] = what
                return number, subject
            if what == NOT_PLAIN:
                waiting = out.rest[state[REST]]
                waiting[0], waiting[1], waiting[2] = row[BEGIN], row[END_OF_LINE], state[LINES]
                state[REST] += 1
        state[LINES] += 1
    return last, subject


def scan(
    data: Any, start: Any, stop: Any, tables: Any, rows: Any, out: Any, quads: Any, drop: Any, hashing: Any
) -> Any:
    """Take lines from `start` on; returns the place where it paused, the reason is in `out.state[PAUSE]`.

    Args:
        data: uint8, whole lines up to `stop`; behind it at least 64 bytes which begin with '\\n>"'.
        rows: room for `BATCH` lines.
        quads: whether a graph may follow the object.
        drop: whether statements in graphs are left out.
        hashing: a hash that is worked out beside.
    """
    data, tables, rows, out, hashing = borrowed((data, tables, rows, out, hashing))
    state = out.state
    place = start
    while place < stop:
        count, place, met, met_stop = take_apart(
            data, place, stop, tables.kinds, tables.status, rows, quads, hashing, False
        )
        taken, _ = take_rows(data, rows, 0, count, NONE, tables, out, drop, hashing)
        if taken < count:
            return rows.places[taken, BEGIN]
        if met >= 0:
            state[PAUSE], state[FROM], state[TO] = PAUSE_KIND, met, met_stop
            return place
    state[PAUSE] = PAUSE_DONE
    return place


def tokenise(
    data: Any, start: Any, stop: Any, kinds: Any, status: Any, rows: Any, quads: Any, hashing: Any, state: Any
) -> Any:
    """The first half of a scan: take lines apart until there is no room for more; returns the place behind them.

    How many they are is in `state[LINES]`, and what they stopped for in `state[PAUSE]`.
    """
    data, kinds, status, rows, hashing, state = borrowed((data, kinds, status, rows, hashing, state))
    count, place, met, met_stop = take_apart(data, start, stop, kinds, status, rows, quads, hashing, True)
    state[LINES], state[PAUSE] = count, PAUSE_DONE
    if met >= 0:
        state[PAUSE], state[FROM], state[TO] = PAUSE_KIND, met, met_stop
    return place


def number_rows(data: Any, rows: Any, first: Any, last: Any, tables: Any, out: Any, drop: Any, hashing: Any) -> Any:
    """The second half: give numbers to the lines of rows; returns the first that has to wait, or `last`."""
    data, rows, tables, out, hashing = borrowed((data, rows, tables, out, hashing))
    out.state[PAUSE] = PAUSE_DONE
    subject = NONE
    while first < last:
        upto = min(first + BATCH, last)
        first, subject = take_rows(data, rows, first, upto, subject, tables, out, drop, hashing)
        if first < upto:
            return first
    return first
