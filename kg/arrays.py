"""Triples as arrays: sorted, unique, with offsets in both directions (CSR and its transpose)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kg.loops import Loop

MANY = 1 << 14
"""From here on compiled loops are worth the time that it takes to load them."""
index, pack_edges, unpack_edges = (Loop("kg.linking", name) for name in ("index", "pack", "unpack"))


def id_type(count: int) -> np.dtype:
    """int32 where `count` ids fit, else int64."""
    return np.dtype(np.int32 if count <= np.iinfo(np.int32).max else np.int64)


def sort_triples(triples: np.ndarray, num_entities: int, num_relations: int) -> np.ndarray:
    """Triples (T, 3) in ascending order of (head, relation, tail), duplicates removed.

    >>> sort_triples(np.array([[1, 0, 0], [0, 0, 1], [1, 0, 0]]), 2, 1).tolist()
    [[0, 0, 1], [1, 0, 0]]
    """
    dtype = id_type(max(num_entities, num_relations))
    entity_bits, relation_bits = bits(num_entities), bits(num_relations)
    if fits(num_entities, num_relations):
        # np.unique hashes integers, which takes many times longer than this sort
        packed = pack(triples, entity_bits, relation_bits)
        packed.sort()
        first = np.ones(len(packed), dtype=bool)
        np.not_equal(packed[1:], packed[:-1], out=first[1:])
        return unpack(packed[first], entity_bits, relation_bits, dtype)
    heads, relations, tails = triples.T
    ordered = triples[np.lexsort((tails, relations, heads))]
    first = np.ones(len(ordered), dtype=bool)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return np.ascontiguousarray(ordered[first], dtype=dtype)


def fits(num_entities: int, num_relations: int) -> bool:
    """Whether a triple of ids can be packed into one int64."""
    return 2 * bits(num_entities) + bits(num_relations) <= 63


def renamed(edges: np.ndarray, entities: np.ndarray, relations: np.ndarray) -> np.ndarray:
    """(n, 3) edges over the ids that tables give for their numbers."""
    return np.column_stack((entities[edges[:, 0]], relations[edges[:, 1]], entities[edges[:, 2]]))


def number_triples(
    edges: Sequence[np.ndarray], entities: Sequence[np.ndarray], relations: Sequence[np.ndarray], size: tuple[int, int]
) -> np.ndarray:
    """(T, 3) what `sort_triples` makes of edges over other ids than their own.

    Args:
        edges: of each run, (n, 3) subject, predicate, object in numbers of its own.
        entities, relations: of each run, the ids for its numbers.
        size: how many entities and relations there are.
    """
    if sum(map(len, edges)) < MANY or not fits(*size):
        numbered = [renamed(*one) for one in zip(edges, entities, relations, strict=True)]
        return sort_triples(np.concatenate(numbered), *size)
    entity_bits, relation_bits = map(bits, size)
    packed = np.empty(sum(map(len, edges)), np.int64)
    start = 0
    for rows, ours, theirs in zip(edges, entities, relations, strict=True):
        part = packed[start : start + len(rows)]
        pack_edges(np.ascontiguousarray(rows), ours, theirs, entity_bits, relation_bits, part)
        start += len(rows)
    packed.sort()
    triples = np.empty((len(packed), 3), id_type(max(size)))
    return triples[: unpack_edges(packed, entity_bits, relation_bits, triples)]


def pack(triples: np.ndarray, entity_bits: int, relation_bits: int) -> np.ndarray:
    """One int64 a triple, in which the order of integers is the order of (head, relation, tail)."""
    packed = triples[:, 0].astype(np.int64)
    for column, width in ((1, relation_bits), (2, entity_bits)):
        packed <<= width
        packed |= triples[:, column]
    return packed


def unpack(packed: np.ndarray, entity_bits: int, relation_bits: int, dtype: np.dtype) -> np.ndarray:
    """The inverse of `pack`: (T, 3)."""
    triples = np.empty((len(packed), 3), dtype=dtype)
    triples[:, 0] = packed >> (entity_bits + relation_bits)
    triples[:, 1] = (packed >> entity_bits) & ((1 << relation_bits) - 1)
    triples[:, 2] = packed & ((1 << entity_bits) - 1)
    return triples


def bits(count: int) -> int:
    """How many bits hold the ids 0 .. count - 1."""
    return max(1, (count - 1).bit_length())


def offsets_of(sorted_ids: np.ndarray, count: int) -> np.ndarray:
    """CSR offsets (count + 1,) int64: the rows of id i are `offsets[i] : offsets[i + 1]`."""
    return np.concatenate(([0], np.cumsum(np.bincount(sorted_ids, minlength=count), dtype=np.int64)))


@dataclass(frozen=True)
class Adjacency:
    """Where each entity's triples lie, in both directions.

    Attributes:
        out_offsets: (N + 1,) int64; the rows with head e are `out_offsets[e] : out_offsets[e + 1]`.
        in_offsets: (N + 1,) int64; the rows with tail e are `in_order[in_offsets[e] : in_offsets[e + 1]]`.
        in_order: (T,) rows of the triples by ascending tail, then row.
    """

    out_offsets: np.ndarray
    in_offsets: np.ndarray
    in_order: np.ndarray

    @classmethod
    def of(cls, triples: np.ndarray, num_entities: int) -> Adjacency:
        """Index triples that `sort_triples` ordered."""
        if len(triples) < MANY:
            in_order = np.argsort(triples[:, 2], kind="stable").astype(id_type(len(triples)))
            heads, tails = offsets_of(triples[:, 0], num_entities), offsets_of(triples[:, 2], num_entities)
            return cls(heads, tails, in_order)
        out_offsets, in_offsets = np.empty(num_entities + 1, np.int64), np.empty(num_entities + 1, np.int64)
        in_order = np.empty(len(triples), id_type(len(triples)))
        index(np.ascontiguousarray(triples), out_offsets, in_offsets, in_order)
        return cls(out_offsets, in_offsets, in_order)

    def out_rows(self, entity: int) -> slice:
        return slice(int(self.out_offsets[entity]), int(self.out_offsets[entity + 1]))

    def in_rows(self, entity: int) -> np.ndarray:
        return self.in_order[self.in_offsets[entity] : self.in_offsets[entity + 1]]

    def degree(self, entity: int) -> int:
        """How many triples touch one entity; a loop counts twice."""
        outgoing = self.out_offsets[entity + 1] - self.out_offsets[entity]
        return int(outgoing + self.in_offsets[entity + 1] - self.in_offsets[entity])

    def degrees(self) -> np.ndarray:
        """(N,) `degree` of every entity."""
        return np.diff(self.out_offsets) + np.diff(self.in_offsets)

    def touching(self, entities: np.ndarray) -> np.ndarray:
        """The rows, ascending and unique, of all triples with an end in `entities`."""
        outgoing = ranges(self.out_offsets, entities)
        incoming = self.in_order[ranges(self.in_offsets, entities)]
        return np.unique(np.concatenate((outgoing, incoming.astype(np.int64))))


def ranges(offsets: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """All positions of the ids' slices, joined.

    >>> ranges(np.array([0, 2, 2, 5]), np.array([0, 2])).tolist()
    [0, 1, 2, 3, 4]
    """
    starts, lengths = offsets[ids], offsets[ids + 1] - offsets[ids]
    if not lengths.sum():
        return np.empty(0, dtype=np.int64)
    before = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    return np.arange(lengths.sum(), dtype=np.int64) + np.repeat(starts - before, lengths)
