"""Scenes on disk: whole or not at all, resumed, the same for any number of workers."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kept.data.record import Record
from kept.data.scenes import build
from kept.data.scenes.build import build_scenes
from kept.data.scenes.layout import compose
from kept.data.scenes.questions import KINDS
from kept.data.scenes.splits import COMPOSITION, HeldOut
from kept.data.scenes.world import Options, World
from kept.data.shards import read_records
from kg import InputError
from tests.kept.data.scenes.tiny import tiny_world


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def small_world(**options: int) -> World:
    return tiny_world(**{"size": 64, "scenes": 120, **options})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("made") / "scenes"
    build_scenes(small_world(), out)
    return out


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "CHUNK", 30)


def test_what_is_there(made: Path) -> None:
    about = json.loads((made / "about.json").read_text())
    assert {path.name for path in made.iterdir()} == {"pictures", "records", "questions", "about.json", "sheet.png"}
    assert sum(about["scenes"].values()) == 120 == len(list((made / "pictures").rglob("*.png")))
    assert about["nature"].startswith("Synthetic scenes") and about["leaks"] == 0
    world = small_world()
    numbers: list[str] = []
    for split, count in about["scenes"].items():
        captions: list[Record] = list(read_records(made / "records" / split))
        asked = list(read_records(made / "questions" / split))
        assert len(captions) == count
        assert Counter(record.source for record in asked) == about["questions"][split]
        assert {record.image for record in asked} <= {record.image for record in captions}
        for record in captions:
            scene = compose(world, int(record.id.removeprefix("scene-")))
            with Image.open(made / "pictures" / str(record.image)) as picture:
                assert (np.asarray(picture) == np.asarray(scene.render())).all()
            assert scene.split == split and record.relations == scene.relations
            assert [r._replace(box=scene.regions[n].box) for n, r in enumerate(record.regions)] == list(scene.regions)
        numbers += [record.id for record in captions]
        assert [record.id for record in captions] == sorted(record.id for record in captions)
    assert len(set(numbers)) == 120 and set(about["floors"]) <= set(KINDS)


def test_the_same_bytes_for_any_number_of_workers(tmp_path: Path) -> None:
    world = tiny_world(size=64, scenes=260)
    build_scenes(world, tmp_path / "one", workers=1)
    build_scenes(world, tmp_path / "two", workers=2)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_an_interrupted_run_goes_on(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_pieces: None
) -> None:
    whole = build.make_piece
    drawn: list[int] = []

    def broken(world: World, partial: Path, number: int) -> None:
        if number == 2 and len(drawn) == 2:
            raise KeyboardInterrupt
        drawn.append(number)
        whole(world, partial, number)

    monkeypatch.setattr(build, "make_piece", broken)
    out = tmp_path / "scenes"
    with pytest.raises(KeyboardInterrupt):
        build_scenes(small_world(), out)
    assert not out.exists() and drawn == [0, 1]
    with pytest.raises(InputError, match="an interrupted run with other settings"):
        build_scenes(small_world(seed=5), out)
    drawn.append(-1)
    build_scenes(small_world(), out)
    assert drawn == [0, 1, -1, 2, 3]
    assert tree(out) == tree(made) and [path.name for path in tmp_path.iterdir()] == ["scenes"]


def test_what_is_finished_is_kept(made: Path) -> None:
    before = tree(made)
    assert build_scenes(small_world(), made) == json.loads((made / "about.json").read_text())
    with pytest.raises(InputError, match="holds scenes that were made otherwise"):
        build_scenes(small_world(seed=1), made)
    assert tree(made) == before


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("dear")
    with pytest.raises(InputError, match="is there and holds no scenes"):
        build_scenes(small_world(), tmp_path / "letters")
    assert tree(tmp_path) == {"letters/a.txt": b"dear"}


def test_broken_splits_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = small_world()
    everything = HeldOut(world.held.artists, world.held.entities, np.zeros_like(world.held.pairs))
    monkeypatch.setattr(build, "compose", lambda _, number: replace(compose(world, number), split=COMPOSITION))
    with pytest.raises(InputError, match="records break the splits"):
        build_scenes(replace(world, held=everything), tmp_path / "scenes")
    assert not (tmp_path / "scenes").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"least": 5, "most": 3}, "objects 5-3: expected"),
        ({"most": 13}, "objects 3-13: expected"),
        ({"size": 20}, "size 20: expected 64 to 1024"),
        ({"scenes": 0}, "0 scenes"),
        ({"together": 1.5}, "together 1.5: expected a share"),
        ({"held_out_pairs": -0.1}, "held_out_pairs -0.1: expected a share"),
        ({"rotation": 90.0}, "rotation 90.0"),
    ],
)
def test_options_out_of_range(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Options(**options)  # type: ignore[arg-type]


def test_a_world_that_is_too_small() -> None:
    with pytest.raises(InputError, match="artist0 drew 6 of the things that are not held out"):
        tiny_world(things=8, held_out_entities=0.25, most=7)
    with pytest.raises(InputError, match="every artist is held out"):
        tiny_world(held_artists=(0, 1))
