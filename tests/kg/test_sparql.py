"""SPARQL over a graph."""

from __future__ import annotations

import pytest

from kg import InputError, KnowledgeGraph
from kg.sparql import query


def graph() -> KnowledgeGraph:
    return KnowledgeGraph.from_triples(
        [("Paris", "capital of", "France"), ("http://e.org/x", "http://e.org/p", "_:b")],
        labels={"Paris": "Paris"},
        types={"Paris": "City"},
    )


def test_select_with_prefixes_of_the_house() -> None:
    answer = query(graph(), "SELECT ?c ?l ?none { ?c a kept:City ; rdfs:label ?l OPTIONAL { ?c kept:no ?none } }")
    assert answer.variables == ("c", "l", "none")
    assert answer.rows == [("Paris", "Paris", None)]


def test_ask() -> None:
    assert query(graph(), "ASK { kept:Paris kept:capital%20of kept:France }").boolean is True
    assert query(graph(), "ASK { kept:Paris kept:capital%20of kept:Spain }").boolean is False


def test_construct() -> None:
    answer = query(graph(), "CONSTRUCT { ?t <http://e.org/has> ?h } WHERE { ?h kept:capital%20of ?t }")
    assert answer.variables == ("subject", "predicate", "object")
    assert answer.rows == [("France", "http://e.org/has", "Paris")]


def test_the_holdout_is_not_answered() -> None:
    kg = graph()
    held_out = kg.without(kg.rows_of(kg.relations.id("capital of")))
    assert query(held_out, "SELECT * { ?s kept:capital%20of ?o }").rows == []


@pytest.mark.parametrize("text", ["SELEC ?s", "DELETE WHERE { ?s ?p ?o }", ""])
def test_what_is_no_query(text: str) -> None:
    with pytest.raises(InputError, match="not a SPARQL query"):
        query(graph(), text)
