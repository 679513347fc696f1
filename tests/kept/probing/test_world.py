from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kept.probing.tasks import TASKS
from kept.probing.world import World, write_world
from kg.errors import InputError
from tests.kept.probing.worlds import make_world

TEMPLATES = """
relations:
  capital: {subject: this country, train: ["The capital of {head} is {tail}.", "{tail} is the capital of {head}."],
            held_out: ["People govern {head} from {tail}."]}
  region: {subject: this country, train: ["{head} lies in {tail}."]}
  borders: {subject: this country, train: ["{head} borders {tail}."], held_out: ["{tail} is next to {head}."]}
  kind_of: {subject: this thing, train: ["{head} is a kind of {tail}."]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    world = make_world(tmp_path)
    world.graph.save(tmp_path / "world.kg")
    world.split.save(tmp_path / "split.safetensors")
    (tmp_path / "templates.yaml").write_text(TEMPLATES)
    write_world(
        tmp_path / "world.json",
        graph="world.kg",
        split="split.safetensors",
        templates="templates.yaml",
        pictures={key: Path(path).name for key, path in world.pictures.items()},
        group_relation="kind_of",
        swaps=world.swaps,
    )
    return tmp_path


def test_a_world_on_disk_asks_the_same(folder: Path) -> None:
    opened, made = World.open(folder / "world.json"), make_world(folder)
    for name in TASKS:
        assert TASKS[name]().build(opened) == TASKS[name]().build(made)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"graphs": "x"}, r"world\.json: unknown key 'graphs'; did you mean 'graph'"),
        ({"split": None}, r"world\.json: key 'split' is missing"),
        ({"templates": "other.yaml"}, r"other\.yaml: no such file"),
        ({"swaps": [["a", "b"]]}, r"world\.json: swaps\[0\] is not \[subject, relation, old, new\]"),
        ({"pictures": {"country/0": "nowhere.png"}}, r"world\.json: pictures: .*nowhere\.png: no such file"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, change: dict[str, object], message: str) -> None:
    value = json.loads((folder / "world.json").read_text()) | change
    (folder / "world.json").write_text(json.dumps({k: v for k, v in value.items() if v is not None}))
    with pytest.raises(InputError, match=message):
        World.open(folder / "world.json")


def test_a_split_of_another_graph_is_refused(folder: Path) -> None:
    world = make_world()
    world.graph.without(np.array([0])).save(folder / "world.kg")
    with pytest.raises(InputError, match="the split was made for the graph"):
        World.open(folder / "world.json")


def test_draws_depend_on_seed_and_purpose_alone() -> None:
    world, other = make_world(), make_world(seed=1)
    assert world.rng("a").random() == world.rng("a").random()
    assert len({world.rng("a").random(), world.rng("b").random(), other.rng("a").random()}) == 3


def test_picks_depend_on_seed_and_purpose_alone_and_reach_all_options() -> None:
    world = make_world()
    assert world.pick("abc", "x", 1) == world.pick("abc", "x", 1)
    assert {world.pick("abc", "x", n) for n in range(30)} == set("abc")


def test_true_objects_are_all_of_them() -> None:
    world = make_world()
    subject, relation = world.graph.entities.id("country/0"), world.graph.relations.id("borders")
    assert set(world.true_objects(subject, relation)) == {"country/1", "country/2"}
    assert world.true_objects(world.graph.entities.id("city/0"), relation) == ()
