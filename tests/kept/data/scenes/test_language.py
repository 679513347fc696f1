"""What captions say, checked against regions by a reader of English as simple as their writer."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from kept.data.record import Record
from kept.data.scenes.colours import BACKGROUNDS
from kept.data.scenes.language import NUMBERS, WORDINGS, article, number_of, plural
from kept.data.scenes.layout import compose
from kept.data.scenes.records import caption_record
from kept.data.scenes.world import World
from tests.kept.data.scenes.tiny import LABELS, graph, tiny_world

SENTENCE = re.compile(rf"The ({'|'.join(LABELS)}) (is|are) (.+?) the ({'|'.join(LABELS)})\.")


@pytest.fixture(scope="module")
def world() -> World:
    return tiny_world()


@pytest.fixture(scope="module")
def captions(world: World) -> list[Record]:
    return [caption_record(world, compose(world, number)) for number in range(120)]


def spans(record: Record) -> dict[tuple[int, int], list[int]]:
    """The regions of each span that names any."""
    found: dict[tuple[int, int], list[int]] = {}
    for one in record.grounding:
        found.setdefault((one.start, one.end), []).append(one.region)
    return found


def test_spans_name_what_they_say(captions: list[Record]) -> None:
    for record in captions:
        assert record.text
        for (start, end), regions in spans(record).items():
            words, (label,) = record.text[start:end], {record.regions[region].label for region in regions}
            noun = label if words.endswith(label) else plural(label)
            assert words.endswith(noun)
            said = words.removesuffix(noun).split()
            if said and said[0].lower() in NUMBERS:
                assert [word.lower() for word in said] == [NUMBERS[len(regions)]] and len(regions) > 1
            else:
                assert set(said) <= set(record.regions[regions[0]].attributes)
            assert record.text[end] in " ,."


def test_every_region_is_named_and_things_of_a_name_together(captions: list[Record]) -> None:
    for record in captions:
        assert {one.region for one in record.grounding} == set(range(len(record.regions)))
        first = {regions[0]: regions for regions in spans(record).values()}
        for regions in first.values():
            label = record.regions[regions[0]].label
            assert regions == [n for n, region in enumerate(record.regions) if region.label == label]


def test_mentions_are_the_graphs_entities_of_these_names(captions: list[Record]) -> None:
    for record in captions:
        assert record.text
        assert len(record.mentions) == len(spans(record))
        for mention, ((start, end), regions) in zip(record.mentions, spans(record).items(), strict=True):
            label = record.regions[regions[0]].label
            assert label and graph().find(label).tolist() == [mention.entity]
            assert start <= mention.start and mention.end == end
            assert record.text[mention.start : mention.end] in (label, plural(label))


def test_said_relations_hold(captions: list[Record]) -> None:
    said: Counter[str] = Counter()
    for record in captions:
        assert record.text
        labels = [region.label for region in record.regions]
        for subject, verb, words, other in SENTENCE.findall(record.text):
            assert labels.count(subject) == labels.count(other) == 1
            assert verb == ("are" if subject in ("jeans", "grapes") else "is")
            (predicate,) = (name for name, wordings in WORDINGS.items() if words in wordings)
            a, b = (record.regions[labels.index(label)].box for label in (subject, other))
            gaps = {"left of": b[0] - a[2], "right of": a[0] - b[2], "above": b[1] - a[3], "below": a[1] - b[3]}
            assert gaps[predicate] >= 0.02 - 1e-6
            said[predicate] += 1
    assert min(said[predicate] for predicate in WORDINGS) > 5


def test_a_said_background_is_the_pictures(world: World) -> None:
    told = 0
    for number in range(60):
        scene = compose(world, number)
        text = caption_record(world, scene).text or ""
        ground = re.search(rf"(?:on|is|an?|An?) ({'|'.join(BACKGROUNDS)})(?: background|\.$|\. The)", text)
        if ground:
            assert ground[1] == scene.background
            told += 1
        assert not re.search(r"\b[Aa] [aeiou]|\b[Aa]n [^aeiou]", text)
    assert told > 20


def test_captions_differ_in_wording(captions: list[Record]) -> None:
    assert len({(record.text or "").split(" ")[0] for record in captions}) >= 5


def test_without_a_graph_nothing_is_mentioned() -> None:
    world = tiny_world(kg=False)
    record = caption_record(world, compose(world, 0))
    assert record.grounding and not record.mentions


@pytest.mark.parametrize(
    ("label", "number", "many", "one"),
    [
        ("owl", "singular", "owls", "an owl"),
        ("unicorn", "singular", "unicorns", "a unicorn"),
        ("umbrella", "singular", "umbrellas", "an umbrella"),
        ("kitchen knife", "singular", "kitchen knives", "a kitchen knife"),
        ("wolf", "singular", "wolves", "a wolf"),
        ("cherry", "singular", "cherries", "a cherry"),
        ("taxi", "singular", "taxis", "a taxi"),
        ("fox", "singular", "foxes", "a fox"),
        ("church", "singular", "churches", "a church"),
        ("blowfish", "singular", "blowfish", "a blowfish"),
        ("potato", "singular", "potatoes", "a potato"),
        ("bus", "singular", "buses", "a bus"),
        ("cactus", "singular", "cactuses", "a cactus"),
        ("wine glass", "singular", "wine glasses", "a wine glass"),
        ("scissors", "plural", "scissors", "some scissors"),
        ("bread", "mass", "breads", "some bread"),
    ],
)
def test_nouns(label: str, number: str, many: str, one: str) -> None:
    assert (number_of(label), plural(label), f"{article(label, label)} {label}") == (number, many, one)
