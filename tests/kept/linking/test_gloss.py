from __future__ import annotations

import math

import pytest

from kept.linking.gloss import Glosses, stem
from kept.linking.mention import belief
from kg import KnowledgeGraph
from tests.worlds import toy_graph


def test_overlap_is_weighed_by_rarity_and_distance() -> None:
    """Two types, worked by hand: "tongue" is in one gloss of two, "thing" in both."""
    kg = KnowledgeGraph.from_triples(
        [], labels={"L": "tongue thing", "C": "money thing"}, types={"french": "L", "euro": "C"}
    )
    glosses = Glosses(kg, stop_words=set())
    french, euro = kg.entities.id("french"), kg.entities.id("euro")
    context = {"tongue": 0.5, "thing": 1.0, "absent": 1.0}
    assert glosses.overlap(context, french) == pytest.approx(0.5 * math.log(3) + math.log(2))
    assert glosses.overlap(context, euro) == pytest.approx(math.log(2))
    assert glosses.overlap(context, kg.entities.id("L")) == 0.0


def test_relations_speak_for_the_type_of_their_tails() -> None:
    kg = toy_graph()
    glosses = Glosses(kg, stop_words=set())
    assert "capital" in glosses.words[kg.entities.id("City")]
    assert "capital" not in glosses.words[kg.entities.id("Country")]


def test_stems_keep_three_letters() -> None:
    assert [stem(word) for word in ("speaking", "called", "countries", "red", "us", "bees")] == [
        "speak",
        "call",
        "countrie",
        "red",
        "us",
        "bee",
    ]


def test_belief_sums_to_one_and_survives_large_scores() -> None:
    shares = belief({1: 1000.0, 2: 1000.0 + math.log(3)})
    assert [entity for entity, _ in shares] == [2, 1]
    assert [share for _, share in shares] == pytest.approx([0.75, 0.25])
