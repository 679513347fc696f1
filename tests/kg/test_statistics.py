"""Counts of a graph worked out by hand."""

from __future__ import annotations

import json

from kg import KnowledgeGraph
from kg.literals import Literal
from kg.predicates import RDFS_LABEL
from kg.statistics import label_candidates, statistics


def graph() -> KnowledgeGraph:
    return KnowledgeGraph.from_triples(
        [("a", "p", "b"), ("a", "p", "c"), ("b", "q", "c")],
        labels={"a": "Anna", "p": "precedes"},
        types={"a": "Letter", "b": "Letter"},
        entities=["alone"],
        literals=[
            ("a", Literal(RDFS_LABEL, "Anne", None, "fr")),
            ("b", Literal("http://e.org/Full_Name", "Bea")),
            ("b", Literal("http://e.org/weight", "3")),
        ],
    )


def test_counts() -> None:
    counts = statistics(graph())
    assert counts["entities_with_label"] == 1
    assert counts["entities_without_triples"] == 1
    assert counts["relations_without_label"] == 2
    assert counts["degree"] == {"mean": 2.0, "median": 2.0, "most": 3}
    assert [(r["label"], r["triples"], r["heads"], r["tails"]) for r in counts["relations"]] == [
        ("type", 2, 2, 1),
        ("precedes", 2, 1, 2),
        ("q", 1, 1, 1),
    ]
    assert counts["types"] == [{"type": "Letter", "label": "Letter", "entities": 2}]
    assert counts["languages"] == [{"language": None, "literals": 3}, {"language": "fr", "literals": 1}]
    assert counts["literal_predicates"][0] == {"predicate": RDFS_LABEL, "role": "label", "literals": 2}
    json.dumps(counts)


def test_only_the_most_frequent() -> None:
    assert len(statistics(graph(), top=1)["relations"]) == 1


def test_an_empty_graph() -> None:
    counts = statistics(KnowledgeGraph.from_triples([]))
    assert counts["relations"] == [] and counts["degree"]["most"] == 0


def test_what_looks_like_a_label() -> None:
    assert label_candidates(graph()) == ["http://e.org/Full_Name"]
