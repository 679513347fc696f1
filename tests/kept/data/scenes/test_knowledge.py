from __future__ import annotations

import numpy as np

from kept.data.scenes.artwork import Thing
from kept.data.scenes.knowledge import know, no_knowledge
from kg import KnowledgeGraph
from tests.kept.data.scenes.tiny import FACTS, THINGS, graph


def test_pairs_and_facts_are_the_graphs() -> None:
    known = know(graph(), THINGS)
    labels = [thing.label for thing in THINGS]
    triples = {tuple(line.split()) for line in FACTS.replace("kitchen-knife", "kitchen_knife").strip().splitlines()}
    triples = {(h.replace("_", " "), r, t) for h, r, t in triples}
    joined = {frozenset((labels[a], labels[b])) for a, b in zip(*known.joined.nonzero(), strict=True)}
    assert joined == {frozenset((h, t)) for h, _, t in triples if h in labels and t in labels}
    assert known.by == "edges" and known.pairs == len(joined)
    facts = {(labels[head], fact.relation_label, fact.tail_label) for fact in known.facts for head in fact.heads}
    assert facts == {(h, r, t) for h, r, t in triples if h in labels and r != "NotIsA"}
    for thing, rows in known.of.items():
        assert all(thing in known.facts[row].heads for row in rows)
    assert [graph().label(entity) for entity in known.entities if entity >= 0] == labels


def test_where_no_two_things_share_an_edge_those_that_share_a_fact_are_joined() -> None:
    kg = KnowledgeGraph.from_triples(
        [("cat", "kind of", "mammal"), ("dog", "kind of", "mammal"), ("owl", "kind of", "bird")]
    )
    things = [Thing("1", "cat"), Thing("2", "dog"), Thing("3", "owl"), Thing("4", "bus")]
    known = know(kg, things)
    assert known.by == "siblings" and np.argwhere(known.joined).tolist() == [[0, 1], [1, 0]]
    assert known.entities[3] == -1


def test_kin_could_be_called_by_one_anothers_names() -> None:
    kg = KnowledgeGraph.from_triples([("eagle", "IsA", "bird"), ("eagle", "AtLocation", "tree")])
    things = [Thing("1", "bird"), Thing("2", "eagle"), Thing("3", "tree")]
    known = know(kg, things)
    assert np.argwhere(known.kin).tolist() == [[0, 1], [1, 0]] and known.pairs == 2


def test_of_several_entities_of_a_name_the_best_known_is_taken() -> None:
    kg = KnowledgeGraph.from_triples(
        [("bat/club", "UsedFor", "hitting"), ("bat/animal", "IsA", "mammal"), ("bat/animal", "HasA", "wing")],
        labels={"bat/club": "bat", "bat/animal": "bat"},
    )
    known = know(kg, [Thing("1", "bat"), Thing("2", "cup")])
    assert kg.entities.key(known.entities[0]) == "bat/animal"


def test_colours_types_and_what_all_have_are_not_asked() -> None:
    kg = KnowledgeGraph.from_triples(
        [("sun", "HasProperty", "yellow"), ("sun", "IsA", "thing"), ("cup", "IsA", "thing"), ("cup", "MadeOf", "clay")],
        types={"cup": "Object"},
    )
    known = know(kg, [Thing("1", "cup"), Thing("2", "sun")])
    assert [fact.tail_label for fact in known.facts] == ["clay"]


def test_nothing_is_known_without_a_graph() -> None:
    known = no_knowledge(THINGS)
    assert known.by == "nothing" and not known.joined.any() and known.pairs == 0 and not known.facts
