"""Splits keep what they promise, in any small world; and a broken promise is counted."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kept.data.record import Record, Region
from kept.data.scenes.layout import compose
from kept.data.scenes.records import caption_record, question_records
from kept.data.scenes.splits import SPLITS, Shown, count_leaks, hold_out, refuse, shown
from kept.data.scenes.world import World
from kg import InputError
from tests.kept.data.scenes.tiny import tiny_world

worlds = st.builds(
    tiny_world,
    artists=st.just(3),
    held_artists=st.sampled_from([(), (0,), (1, 2)]),
    things=st.integers(9, 14),
    kg=st.booleans(),
    seed=st.integers(0, 50),
    most=st.integers(3, 5),
    held_out_entities=st.sampled_from([0.0, 0.1, 0.3]),
    held_out_pairs=st.sampled_from([0.0, 0.1, 0.5, 0.9]),
    together=st.sampled_from([0.0, 0.5, 1.0]),
    size=st.just(64),
    questions=st.just(3),
)


def held_names(world: World) -> dict[str, set]:
    labels = [thing.label for thing in world.things]
    pairs = {(labels[a], labels[b]) for a, b in zip(*world.held.pairs.nonzero(), strict=True) if labels[a] < labels[b]}
    return {
        "artists": {world.artists[artist] for artist in world.held.artists},
        "entities": {labels[thing] for thing in world.held.entities.nonzero()[0]},
        "pairs": pairs,
    }


def records(world: World, numbers: range) -> list[Shown]:
    found = []
    for number in numbers:
        scene = compose(world, number)
        for record in (caption_record(world, scene), *question_records(world, scene)):
            found.append(shown(scene.split, record))
    return found


@settings(max_examples=15, deadline=None)
@given(worlds)
def test_no_world_leaks(world: World) -> None:
    assert count_leaks(records(world, range(40)), **held_names(world)) == {}


@settings(max_examples=25, deadline=None)
@given(worlds)
def test_every_split_that_can_be_gets_its_share(world: World) -> None:
    counts = Counter(world.split(number) for number in range(1500))
    assert set(counts) == set(world.able)
    for split, count in counts.items():
        if split != "train":
            assert 25 <= count <= 105
    assert set(world.able) >= {"train", "dev", "test"} and set(world.able) <= set(SPLITS)


def test_what_is_held_out_is_drawn_in_its_own_split() -> None:
    world = tiny_world(held_out_entities=0.2, held_out_pairs=0.2)
    held = held_names(world)
    found = records(world, range(300))
    drawn = {split: [one for one in found if one.split == split] for split in world.able}
    assert all(one.artist == "artist1" for one in drawn["test-artist"])
    assert all(one.drawn & held["entities"] for one in drawn["test-entity"])
    assert all(one.pairs() & held["pairs"] for one in drawn["test-composition"])
    parts = {label for pair in held["pairs"] for label in pair}
    assert parts <= {label for one in drawn["train"] for label in one.drawn}


def test_joined_things_are_drawn_together() -> None:
    """With the graph's say, a pair that it joins is drawn together far more often than without."""

    def share(together: float) -> float:
        world = tiny_world(together=together, repeat=0.0, held_out_entities=0.0, held_out_pairs=0.0)
        rosters = [world.roster(number) for number in range(150)]
        joined = world.knowledge.joined
        return float(np.mean([joined[np.ix_(roster, roster)].any() for roster in rosters]))

    assert share(1.0) > share(0.0) + 0.25


def test_equal_seeds_hold_out_the_same() -> None:
    drawn = np.ones((1, 30), dtype=bool)
    one, same, other = (hold_out(drawn, [], entities=0.2, pairs=0.3, seed=seed) for seed in (1, 1, 2))
    assert (one.entities == same.entities).all() and (one.pairs == same.pairs).all()
    assert (one.entities != other.entities).any() and one.entities.sum() == 6
    assert (one.pairs == one.pairs.T).all() and not one.pairs.diagonal().any()
    assert not one.pairs[one.entities].any()


PLAIN = Shown("train", "noto", frozenset({"cat", "dog"}), frozenset())
HELD = {"artists": {"twemoji"}, "entities": {"owl"}, "pairs": {("cat", "fox")}}


@pytest.mark.parametrize(
    ("leak", "message"),
    [
        (PLAIN._replace(artist="twemoji"), "train has a held-out artist"),
        (PLAIN._replace(drawn=frozenset({"owl"})), "train has a held-out entity"),
        (PLAIN._replace(named=frozenset({"owl"})), "train has a held-out entity"),
        (PLAIN._replace(drawn=frozenset({"cat", "fox"})), "train has a held-out composition"),
        (PLAIN._replace(split="dev", named=frozenset({"owl"})), "dev has a held-out entity"),
        (PLAIN._replace(split="test-artist"), "test-artist has no held-out artist"),
        (PLAIN._replace(split="test-composition"), "test-composition has no held-out composition"),
        (PLAIN._replace(split="test-entity", named=frozenset({"owl"})), "test-entity has no held-out entity"),
        (
            PLAIN._replace(split="test-entity", drawn=frozenset({"owl"}), artist="twemoji"),
            "test-entity has a held-out artist",
        ),
    ],
)
def test_leaks_are_counted_and_refused(leak: Shown, message: str) -> None:
    assert count_leaks([PLAIN], **HELD) == {}
    leaks = count_leaks([PLAIN, leak, leak], **HELD)
    assert leaks[message] == 2
    with pytest.raises(InputError, match="break the splits"):
        refuse(leaks)
    refuse({})


def test_a_test_that_training_has_seen_is_a_leak_whatever_was_meant() -> None:
    """The lists of what was held out are not believed."""
    test = Shown("test-entity", "noto", frozenset({"owl", "dog"}), frozenset())
    trained = PLAIN._replace(drawn=frozenset({"owl", "dog"}))
    assert count_leaks([PLAIN, test], **HELD) == {}
    assert count_leaks([trained, test], **HELD)["test-entity shows what training shows"] == 1


def test_a_record_shows_its_regions_and_names_its_choices() -> None:
    box = (0.0, 0.0, 1.0, 1.0)
    record = Record(id="a", image="noto/00000/0000001.png", regions=(Region(box, "cat"),), choices=("owl",))
    assert shown("dev", record) == Shown("dev", "noto", frozenset({"cat"}), frozenset({"cat", "owl"}))
