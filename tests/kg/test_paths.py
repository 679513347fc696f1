"""Shortest paths against networkx."""

from __future__ import annotations

import networkx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg import KnowledgeGraph
from kg.paths import shortest_path

NODES = "abcdefghij"


@given(st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from("pq"), st.sampled_from(NODES)), max_size=16))
@settings(deadline=None)
def test_as_short_as_networkx(triples: list[tuple[str, str, str]]) -> None:
    kg = KnowledgeGraph.from_triples(triples, entities=NODES)
    graph = networkx.Graph()
    graph.add_nodes_from(NODES)
    graph.add_edges_from((head, tail) for head, _, tail in triples)
    lengths = networkx.single_source_shortest_path_length(graph, "a")
    for key in NODES:
        path = shortest_path(kg, kg.entities.id("a"), kg.entities.id(key), max_hops=len(NODES))
        assert (path is None) == (key not in lengths)
        if path is None:
            continue
        assert len(path) == lengths[key]
        here = kg.entities.id("a")
        for head, _, tail in kg.triples[path].tolist():
            assert here in (head, tail)
            here = tail if here == head else head
        assert here == kg.entities.id(key)


def test_not_further_than_asked() -> None:
    kg = KnowledgeGraph.from_triples([("a", "p", "b"), ("b", "p", "c"), ("c", "p", "d")])
    ends = kg.entities.id("a"), kg.entities.id("d")
    assert shortest_path(kg, *ends, max_hops=2) is None
    assert shortest_path(kg, *ends, max_hops=3) == [0, 1, 2]


@pytest.mark.parametrize(("through_types", "hops"), [(False, 3), (True, 2)])
def test_types_are_no_way_unless_asked(through_types: bool, hops: int) -> None:
    kg = KnowledgeGraph.from_triples(
        [("a", "p", "b"), ("b", "p", "c"), ("c", "p", "d")], types={"a": "Letter", "d": "Letter"}
    )
    path = shortest_path(kg, kg.entities.id("a"), kg.entities.id("d"), through_types=through_types)
    assert path is not None and len(path) == hops
