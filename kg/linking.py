"""Statements by the million: numbered, packed and indexed by compiled loops."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from kg.words import borrowed


def ends(literals: Any, starts: Any) -> None:
    """Where the values of literals begin, one behind the other, and the last one's end.

    Args:
        literals: (n, 4) whose last column are the lengths.
    """
    literals, starts = borrowed((literals, starts))
    starts[0] = 0
    for row in range(len(literals)):
        starts[row + 1] = starts[row] + literals[row, 3]


def mark(edges: Any, entities: Any, predicates: Any) -> None:
    """Set what is an end of an edge, and what is the predicate of one."""
    edges, entities, predicates = borrowed((edges, entities, predicates))
    for row in range(len(edges)):
        entities[edges[row, 0]] = entities[edges[row, 2]] = True
        predicates[edges[row, 1]] = True


def mark_pairs(literals: Any, kinds: Any, pairs: Any) -> None:
    """Set the pairs of predicate and kind, of which there are `kinds`, that literals have."""
    literals, pairs = borrowed((literals, pairs))
    for row in range(len(literals)):
        pairs[literals[row, 1] * kinds + literals[row, 2]] = True


def resolve(literals: Any, entities: Any, kinds: Any, pairs: Any, subjects: Any, meanings: Any) -> None:
    """The subject of each literal over other ids, and what its pair of predicate and kind means."""
    literals, entities, pairs, subjects, meanings = borrowed((literals, entities, pairs, subjects, meanings))
    for row in range(len(literals)):
        subjects[row] = entities[literals[row, 0]]
        meanings[row] = pairs[literals[row, 1] * kinds + literals[row, 2]]


def pack(edges: Any, entities: Any, relations: Any, entity_bits: Any, relation_bits: Any, packed: Any) -> None:
    """Each edge in one number, whose order is that of (head, relation, tail), over other ids than its own.

    Args:
        edges: (n, 3) subject, predicate, object.
        entities, relations: the ids for those numbers.
    """
    edges, entities, relations, packed = borrowed((edges, entities, relations, packed))
    for row in range(len(edges)):
        head, relation, tail = entities[edges[row, 0]], relations[edges[row, 1]], entities[edges[row, 2]]
        packed[row] = (head << (entity_bits + relation_bits)) | (relation << entity_bits) | tail


def unpack(packed: Any, entity_bits: Any, relation_bits: Any, triples: Any) -> Any:
    """Ascending numbers of `pack`, each once, as (n, 3) triples; returns how many they are."""
    packed, triples = borrowed((packed, triples))
    entity, relation = (np.int64(1) << entity_bits) - 1, (np.int64(1) << relation_bits) - 1
    count = 0
    for place in range(len(packed)):
        value = packed[place]
        if place and value == packed[place - 1]:
            continue
        triples[count, 0] = value >> (entity_bits + relation_bits)
        triples[count, 1] = (value >> entity_bits) & relation
        triples[count, 2] = value & entity
        count += 1
    return count


def index(triples: Any, out_offsets: Any, in_offsets: Any, in_order: Any) -> None:
    """Fill the arrays of `kg.arrays.Adjacency` for ascending triples: rows by their tails, by counting."""
    triples, out_offsets, in_offsets, in_order = borrowed((triples, out_offsets, in_offsets, in_order))
    count = len(out_offsets) - 1
    for entity in range(count + 1):
        out_offsets[entity] = in_offsets[entity] = 0
    for row in range(len(triples)):
        out_offsets[triples[row, 0] + 1] += 1
        in_offsets[triples[row, 2] + 1] += 1
    add_up(out_offsets)
    add_up(in_offsets)
    for row in range(len(triples)):
        tail = triples[row, 2]
        in_order[in_offsets[tail]] = row
        in_offsets[tail] += 1
    for entity in range(count, 0, -1):
        in_offsets[entity] = in_offsets[entity - 1]
    in_offsets[0] = 0


@njit
def add_up(numbers: Any) -> None:
    """Each number with all before it."""
    for place in range(1, len(numbers)):
        numbers[place] += numbers[place - 1]
