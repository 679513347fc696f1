"""N-Triples and N-Quads at the speed of memory: one compiled loop over a block of lines.

A line is taken when it is plain: absolute IRIs of well-known form without escapes, simple blank-node labels, literals
in valid UTF-8 with the escapes of N-Triples, blanks between terms. All else is handed back to be parsed in full, so
speed never changes a result.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from kg.grammar import (
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
    plain_iri,
    put_literal,
    suffix_end,
    term_end,
)
from kg.interning import Table, add, has_room, lookup
from kg.words import copy_bytes, find_byte, hash_bytes, same_bytes

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
