"""Answers, found anew from regions, picture and graph by a program that knows nothing of how they were made."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from kept.data.record import Record
from kept.data.scenes.language import plural
from kept.data.scenes.layout import Scene, compose
from kept.data.scenes.questions import KINDS
from kept.data.scenes.records import question_records
from kept.data.scenes.splits import ENTITY
from kept.data.scenes.world import World
from tests.kept.data.scenes.test_colours import name_by_hand
from tests.kept.data.scenes.tiny import LABELS, graph, tiny_world

NAME = "|".join(sorted(LABELS, key=len, reverse=True))
PLACES = {
    "left of": "left", "to the left of": "left", "right of": "right", "to the right of": "right",
    "above": "above", "higher up than": "above", "below": "below", "further down than": "below",
}  # fmt: skip
PLACE = "|".join(sorted(PLACES, key=len, reverse=True))
CATEGORIES = {plural(category): category for category in LABELS.values() if category}
FACT_WORDS = {
    "a kind of": "IsA", "used for this:": "UsedFor", "serves this:": "UsedFor",
    "found here:": "AtLocation", "has this place:": "AtLocation", "has this:": "HasA",
}  # fmt: skip
Asked = list[tuple[Scene, Record]]


@pytest.fixture(scope="module")
def world() -> World:
    return tiny_world(questions=len(KINDS))


@pytest.fixture(scope="module")
def asked(world: World) -> Asked:
    scenes = [compose(world, number) for number in range(150)]
    return [(scene, record) for scene in scenes for record in question_records(world, scene)]


def beside(record: Record, subject: int, other: int, place: str) -> bool:
    """Whether there is a gap of two hundredths between them."""
    a, b = record.regions[subject].box, record.regions[other].box
    first, second, axis = {"left": (a, b, 0), "right": (b, a, 0), "above": (a, b, 1), "below": (b, a, 1)}[place]
    return second[axis] - first[axis + 2] >= 0.02 - 1e-6


def answer(scene: Scene, record: Record) -> str:
    """What a careful reader would answer."""
    question, labels = record.question or "", [region.label for region in record.regions]
    if found := re.match(r"How many (.+?) are", question):
        name = found[1]
        if name in CATEGORIES:
            return str(sum(LABELS[label or ""] == CATEGORIES[name] for label in labels))
        return str(sum(plural(label or "") == name for label in labels))
    if "background" in question:
        return name_by_hand(*np.asarray(scene.render())[0, -1].tolist()) or ""
    if found := re.match(rf"What colour (?:is|are) the ({NAME})\?", question):
        (colour,) = set(record.regions[labels.index(found[1])].attributes) - {"small", "large"}
        return colour
    if found := re.match(rf"(?:Is|Are) the ({NAME}) small or large\?", question):
        return record.regions[labels.index(found[1])].attributes[0]
    if found := re.match(rf"(?:Is|Are) there (?:an?|any) ({NAME})(?: in the picture)?\?", question):
        return "yes" if found[1] in labels else "no"
    if found := re.match(rf"(?:Is|Are) the ({NAME}) ({PLACE}) the ({NAME})\?", question):
        subject, other, place = labels.index(found[1]), labels.index(found[3]), PLACES[found[2]]
        opposite = {"left": "right", "right": "left", "above": "below", "below": "above"}[place]
        assert beside(record, subject, other, place) != beside(record, subject, other, opposite)
        return "yes" if beside(record, subject, other, place) else "no"
    if found := re.match(rf"What is ({PLACE}) the ({NAME})\?", question):
        other = labels.index(found[2])
        fitting = [n for n in range(len(labels)) if n != other and beside(record, n, other, PLACES[found[1]])]
        (only,) = fitting
        return labels[only] or ""
    return by_the_graph(record, question)


def by_the_graph(record: Record, question: str) -> str:
    (words,) = (words for words in FACT_WORDS if words in question)
    tail = question.split(words)[1].strip(" ?")
    triples = {(graph().label(h), graph().relations.key(r), graph().label(t)) for h, r, t in graph().triples.tolist()}
    fitting = {region.label or "" for region in record.regions if (region.label, FACT_WORDS[words], tail) in triples}
    (only,) = fitting
    return only


def test_answers(asked: Asked) -> None:
    kinds: Counter[str] = Counter()
    for scene, record in asked:
        assert record.answer == answer(scene, record), record.question
        assert record.answer in record.choices and len(set(record.choices)) == len(record.choices)
        assert record.regions == scene.regions
        kinds[record.source or ""] += 1
    assert set(kinds) == set(KINDS) and min(kinds.values()) > 5


def test_of_four_things_two_are_drawn_and_two_have_the_fact(asked: Asked) -> None:
    """So neither the picture alone nor the graph alone tells which."""
    seen = 0
    for _, record in asked:
        if record.source != "graph":
            continue
        ((head, relation, tail),) = record.triples
        drawn = {region.label for region in record.regions}
        rows = graph().triples.tolist()
        having = {graph().label(h) for h, r, t in rows if (r, t) == (relation, tail)}
        assert [head, relation, tail] in rows and graph().label(head) == record.answer
        assert len(record.choices) == 4
        assert sum(choice in drawn for choice in record.choices) == 2
        assert sum(choice in having for choice in record.choices) == 2
        assert [c for c in record.choices if c in drawn and c in having] == [record.answer]
        assert graph().label(tail) not in drawn
        seen += 1
    assert seen > 5


def test_yes_and_no_small_and_large_are_even(asked: Asked) -> None:
    for kind in ("exist", "relation", "size"):
        answers = Counter(record.answer for _, record in asked if record.source == kind)
        count = sum(answers.values())
        # Four standard deviations of a fair coin.
        assert abs(max(answers.values()) - count / 2) <= 2 * count**0.5, (kind, answers)


def test_outside_its_split_a_held_out_thing_is_never_offered(world: World, asked: Asked) -> None:
    held = {world.things[thing].label for thing in world.held.entities.nonzero()[0]}
    offered: Counter[bool] = Counter()
    for scene, record in asked:
        named = set(record.choices) | set(re.findall(rf"\b({NAME})\b", record.question or ""))
        offered[scene.split == ENTITY] += bool(held & named)
    assert offered[False] == 0 and offered[True] > 0


def test_without_a_graph_there_is_no_question_of_it() -> None:
    world = tiny_world(kg=False, questions=len(KINDS))
    kinds = {record.source for number in range(20) for record in question_records(world, compose(world, number))}
    assert kinds == set(KINDS) - {"graph"}


def test_as_many_as_wanted_of_different_kinds() -> None:
    world = tiny_world(questions=3)
    for number in range(20):
        records = question_records(world, compose(world, number))
        assert len(records) == 3 == len({record.source for record in records})
    assert question_records(tiny_world(questions=0), compose(world, 0)) == []
