"""Views without a copy answer as the copies do."""

from __future__ import annotations

from itertools import product

import networkx as nx
import pytest
import rdflib

from kg import KnowledgeGraph
from kg.backends.store import GraphStore, open_rdflib
from kg.backends.view import view
from tests.kg.test_backends import E, wild


def test_every_pattern_finds_what_a_copy_finds() -> None:
    kg = wild()
    copy, mapped = kg.to_rdflib(), open_rdflib(kg)
    assert set(mapped) == set(copy) and len(mapped) == len(copy)
    absent = rdflib.URIRef(E + "nowhere")
    for subject, predicate, target in [*copy, (absent, absent, absent)]:
        for shown in product((True, False), repeat=3):
            pattern = tuple(
                term if wanted else None for term, wanted in zip((subject, predicate, target), shown, strict=True)
            )
            assert set(mapped.triples(pattern)) == set(copy.triples(pattern)), pattern


@pytest.mark.parametrize(
    "query",
    [
        "SELECT ?s ?o { ?s rdfs:label ?o }",
        f"SELECT ?x {{ <{E}Paris> ?p ?x . ?x ?q ?y }}",
        f"SELECT (COUNT(*) AS ?n) {{ ?s <{E}capitalOf>|^<{E}capitalOf> ?o }}",
        "SELECT DISTINCT ?p { ?s ?p ?o FILTER(isLiteral(?o)) }",
    ],
)
def test_sparql(query: str) -> None:
    kg = wild()
    assert set(open_rdflib(kg).query(query)) == set(kg.to_rdflib().query(query))


def test_the_store_is_read_only() -> None:
    graph = open_rdflib(wild())
    node = rdflib.URIRef(E + "Paris")
    for change in (graph.add, graph.remove):
        with pytest.raises(TypeError, match="not changed in place"):
            change((node, node, node))
    graph.bind("e", E)
    assert dict(graph.namespaces())["e"] == rdflib.URIRef(E) and isinstance(graph.store, GraphStore)


def test_the_view_is_the_copy() -> None:
    kg = wild()
    seen, copy = view(kg), kg.to_networkx()
    assert list(seen) == list(copy) and dict(seen.nodes(data=True)) == dict(copy.nodes(data=True))
    edges = sorted(copy.edges(keys=True, data=True), key=repr)
    assert sorted(seen.edges(keys=True, data=True), key=repr) == edges
    assert (seen.number_of_nodes(), seen.number_of_edges()) == (copy.number_of_nodes(), copy.number_of_edges())
    assert dict(seen.in_degree()) == dict(copy.in_degree()) and dict(seen.out_degree()) == dict(copy.out_degree())
    for node in copy:
        assert set(seen.predecessors(node)) == set(copy.predecessors(node))
        assert nx.single_source_shortest_path_length(seen, node) == nx.single_source_shortest_path_length(copy, node)
    assert nx.utils.graphs_equal(nx.MultiDiGraph(seen), nx.MultiDiGraph(copy))
    assert KnowledgeGraph.from_networkx(seen).hash == kg.hash


def test_the_view_is_frozen_and_knows_what_is_absent() -> None:
    seen = view(wild())
    with pytest.raises(nx.NetworkXError, match="Frozen"):
        seen.add_edge("a", "b")
    assert "nowhere" not in seen and not seen.has_edge(E + "Paris", "nowhere")
    with pytest.raises(KeyError):
        seen["nowhere"]
