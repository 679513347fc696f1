"""Pictures of neighbourhoods: what is in them, and that they are the same every time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kg import InputError, KnowledgeGraph
from kg.draw import LONGEST_LABEL, draw, spokes, svg


def hub() -> KnowledgeGraph:
    triples = [("hub", "has part", f"part {n}") for n in range(30)] + [
        ("whole", "has hub", "hub"),
        ("part 3", "near", "x"),
    ]
    return KnowledgeGraph.from_triples(triples, types={"hub": "Wheel", "part 3": "Spoke"}, labels={"x": "$x_1$ & <b>"})


def test_every_relation_has_its_turn() -> None:
    kg = hub()
    subject = kg.resolve("hub")
    shown = spokes(kg, subject, 5)
    assert len(shown) == 5
    assert {(kg.relation_label(s.relation), s.outgoing) for s in shown} == {("has part", True), ("has hub", False)}
    assert kg.resolve("part 3") in {s.neighbour for s in shown}, "well-connected neighbours come first"
    assert kg.resolve("Wheel") not in {s.neighbour for s in spokes(kg, subject, 99)}
    assert len(spokes(kg, subject, 99)) == 31


def test_types_are_shown_where_there_is_nothing_else() -> None:
    kg = KnowledgeGraph.from_triples([], types={"a": "A"})
    assert [s.neighbour for s in spokes(kg, kg.resolve("a"), 9)] == [kg.entities.id("A")]


def test_the_texts_of_a_picture() -> None:
    kg = hub()
    picture = svg(kg, kg.resolve("hub"), limit=6)
    assert picture.startswith("<svg") and picture.rstrip().endswith("</svg>")
    texts = " ".join(re.findall(r">([^<>]+)</text>", picture))
    for text in ("hub", "has part", "has hub", "whole", "part 3", "Spoke", "Wheel", "6 of 32 triples"):
        assert text in texts


def test_markup_in_labels_is_text() -> None:
    kg = hub()
    assert "$x_1$ &amp; &lt;b&gt;" in svg(kg, kg.resolve("part 3"))


def test_long_labels_are_cut() -> None:
    kg = KnowledgeGraph.from_triples([("a", "p", "long " * 40)])
    assert max(map(len, re.findall(r">([^<>]+)</text>", svg(kg, kg.entities.id("a"))))) <= LONGEST_LABEL


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_same_every_time(suffix: str, tmp_path: Path) -> None:
    kg = hub()
    first, second = (draw(kg, kg.resolve("hub"), tmp_path / f"{n}{suffix}", limit=6) for n in range(2))
    assert first.read_bytes() == second.read_bytes()


def test_an_entity_alone_and_a_loop(tmp_path: Path) -> None:
    kg = KnowledgeGraph.from_triples([("self", "loves", "self")], entities=["alone"])
    for entity in range(kg.num_entities):
        assert draw(kg, entity, tmp_path / "a.png").stat().st_size > 1000


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.gif: pictures are written as"):
        draw(hub(), 0, tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())
