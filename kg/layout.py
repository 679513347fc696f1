"""What the compiled loop over lines is given and fills, and the numbers that stand for something in it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kg.interning import Table

PAUSE_DONE, NOT_PLAIN, PAUSE_OUTPUT, PAUSE_ENTITIES, PAUSE_PREDICATES, PAUSE_KIND, PAUSE_GRAPHS = range(7)
"""Why the loop stopped: at the end of the block, or for want of something, before a line of which nothing was taken."""
TAKEN = PAUSE_DONE
EDGES, LITERALS, VALUES, REST, LINES, STATEMENTS, IN_GRAPHS, FOREIGN, UNWANTED, PAUSE, FROM, TO = range(12)
"""What `Output.state` counts."""
ADDRESS = 1
"""The kind of a picture's IRI; every table of kinds begins with that of literals without a suffix, and this."""
BATCH = 64
"""So many lines are taken apart before the first of them is looked at; their text stays in the nearest cache."""
FIELDS = 15
(BEGIN, END_OF_LINE, FORM, KIND, BETWEEN, PREDICATE, PREDICATE_STOP, GRAPH, GRAPH_STOP) = range(9)
SUBJECT, SUBJECT_STOP, SUBJECT_NUMBER = range(9, 12)
OBJECT, OBJECT_STOP, OBJECT_NUMBER = range(12, 15)
"""What a row of places holds; a kind of -1 is no literal, a graph of -1 none, a number of -1 that of no known key."""
EMPTY, ODD, NEW_SUBJECT, SAME_SUBJECT = range(4)
"""Forms of a line: with nothing in it, not plain, and plain, with a subject of its own or that of the line before."""
KIND_KEPT, KIND_FOREIGN, KIND_INVALID = 0, 1, 2
"""What is done with literals of a kind: kept, left out and counted, or left to be refused."""
PLAIN = 0
"""The kind of literals without a suffix."""


class Hashed(NamedTuple):
    """A hash that is worked out beside a scan.

    Attributes:
        state: (8,) uint32, see `kg.sha256`.
        piece: uint8, what is hashed.
        place: (1,) int64, how much of it is.
    """

    state: np.ndarray
    piece: np.ndarray
    place: np.ndarray


class Rows(NamedTuple):
    """Lines taken apart, see `kg.tokens`.

    Attributes:
        places: (n, FIELDS) int, a row for each line: what of it lies where, see `BEGIN` and the names beside it.
        hashes: (n, 3) uint64, of its subject, its object and its predicate.
    """

    places: np.ndarray
    hashes: np.ndarray

    @classmethod
    def of(cls, lines: int, dtype: type = np.int64) -> Rows:
        """Room for so many lines."""
        return cls(np.empty((lines, FIELDS), dtype), np.empty((lines, 3), np.uint64))


class Output(NamedTuple):
    """What a scan fills.

    Attributes:
        edges: (n, 3) int32, subject, predicate, object.
        literals: (m, 4) int32, subject, predicate, kind, and the length of the value.
        values: uint8, the values one behind the other.
        rest: (k, 3) int64, where lines that were not taken start and stop, and their numbers in the block.
        state: counters, see `EDGES` and the names beside it.
        terms: (2 * BATCH, 2) int64, those of some lines that are to be looked up.
    """

    edges: np.ndarray
    literals: np.ndarray
    values: np.ndarray
    rest: np.ndarray
    state: np.ndarray
    terms: np.ndarray

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
            np.empty((2 * BATCH, 2), np.int64),
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
