"""Triples and literals numbered by compiled loops: what numpy makes of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg import arrays, assemble, shards
from kg.arrays import Adjacency, number_triples, renamed, sort_triples
from kg.arrow import bytes_of
from kg.assemble import Joined, Run, marked
from kg.shards import Part

ENTITY, PREDICATE, KIND = st.integers(0, 8), st.integers(0, 3), st.integers(0, 2)
EDGES = st.lists(st.tuples(ENTITY, PREDICATE, ENTITY), max_size=60)
LITERALS = st.lists(st.tuples(ENTITY, PREDICATE, KIND, st.text(max_size=5)), max_size=60)
Edges = list[tuple[int, int, int]]
Literals = list[tuple[int, int, int, str]]


@pytest.fixture(scope="module", autouse=True)
def many() -> Iterator[None]:
    """All are many."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (arrays, assemble, shards):
            patch.setattr(module, "MANY", 0)
        yield


@given(parts=st.lists(EDGES, min_size=1, max_size=3), seed=st.integers(0, 99), huge=st.booleans())
@settings(max_examples=80, deadline=None)
def test_triples(parts: list[Edges], seed: int, huge: bool) -> None:
    rng = np.random.default_rng(seed)
    size = (1 << 31, 1 << 10) if huge else (9, 4)
    edges = [np.array(part, np.int32).reshape(-1, 3) for part in parts]
    edges[0] = np.asfortranarray(edges[0])  # in whatever way they lie
    entities = [rng.permutation(9) for _ in parts]
    relations = [rng.permutation(4) for _ in parts]
    found = number_triples(edges, entities, relations, size)
    numbered = np.concatenate([renamed(*one) for one in zip(edges, entities, relations, strict=True)])
    expected = sort_triples(numbered, *size)
    assert found.dtype == expected.dtype
    assert found.tolist() == expected.tolist() == [list(row) for row in sorted(set(map(tuple, numbered.tolist())))]


@given(edges=EDGES)
@settings(max_examples=80, deadline=None)
def test_adjacency(edges: Edges) -> None:
    triples = sort_triples(np.array(edges, np.int64).reshape(-1, 3), 9, 4)
    found = Adjacency.of(triples, 9)
    assert found.in_order.tolist() == np.argsort(triples[:, 2], kind="stable").tolist()
    for entity in range(9):
        assert (triples[found.out_rows(entity), 0] == entity).all()
        assert (triples[found.in_rows(entity), 2] == entity).all()
    assert found.degrees().sum() == 2 * len(triples)


@given(parts=st.lists(st.tuples(EDGES, LITERALS), min_size=1, max_size=3), threads=st.sampled_from([1, 3]))
@settings(max_examples=80, deadline=None)
def test_literals(parts: list[tuple[Edges, Literals]], threads: int) -> None:
    kinds = [(None, None), ("urn:t", None), (None, "en")]
    runs = [run_of(edges, literals, kinds) for edges, literals in parts]
    joined = Joined.of(runs)
    rows = joined.literals(threads)
    expected = [(f"e{s}", (f"p{p}", *kinds[k]), text) for _, literals in parts for s, p, k, text in literals]
    keys, said = joined.keys.to_pylist(), rows.values.to_pylist()
    found = [
        (keys[subject], tuple(rows.legend[meaning]), value)
        for subject, meaning, value in zip(rows.subjects.tolist(), rows.meanings.tolist(), said, strict=True)
    ]
    assert found == expected and len(set(rows.legend)) == len(rows.legend)
    for run, (edges, _) in zip(runs, parts, strict=True):
        ends, between = marked(run)
        assert set(np.flatnonzero(ends).tolist()) == {end for s, _, o in edges for end in (s, o)}
        assert set(np.flatnonzero(between).tolist()) == {p for _, p, _ in edges}


def run_of(edges: Edges, literals: Literals, kinds: list) -> Run:
    part = Part()
    part.edges(np.array(edges, np.int32).reshape(-1, 3))
    rows = [(subject, predicate, kind, len(text.encode())) for subject, predicate, kind, text in literals]
    part.literals(np.array(rows, np.int32).reshape(-1, 4), "".join(row[3] for row in literals).encode())
    names = [
        pa.array([f"{letter}{number}" for number in range(count)], pa.large_string())
        for letter, count in (("e", 9), ("p", 4))
    ]
    return part.finish(*(bytes_of(one) for one in names), kinds).run()
