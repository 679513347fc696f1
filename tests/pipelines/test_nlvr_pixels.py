"""NLVR's pictures in guises: what the pixels show is what the shapes say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice, permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

from kept.data.readers.nlvr import GROUND, RGB, drawing, moved, slot_of
from kept.data.record import Region
from kept.data.shards import read_records
from kg.errors import InputError
from pipelines.bench.nlvr_guises import NAMES, Guise, examples, guises, recoloured
from pipelines.bench.nlvr_pixels import GAP, boxes_in, in_a_square
from pipelines.bench.pictures_data import nlvr_pixels
from pipelines.cli import app
from tests.pipelines.test_bench_pictures import RECORD, shape

BLUE, YELLOW, BLACK = RGB["blue"], RGB["yellow"], RGB["black"]
THING = {"y_loc": 70, "type": "square", "color": "#0099ff", "x_loc": 10, "size": 30}


def drawn(regions: Sequence[Region]) -> NDArray[np.int16]:
    """(3, 100, 100, 3): the three boxes, drawn from their shapes."""
    boxes = [[region for region in regions if slot_of(region) == slot] for slot in range(3)]
    return np.stack([drawing(moved(box, -slot)) for slot, box in enumerate(boxes)])


def strip(path: Path, boxes: NDArray[np.int16]) -> None:
    """Three boxes as one of NLVR's pictures."""
    picture = np.full((100, 400, 3), GAP, dtype=np.uint8)
    for slot, box in enumerate(boxes):
        picture[:, 150 * slot : 150 * slot + 100] = box
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def apart(shown: NDArray[np.uint8], regions: Sequence[Region]) -> float:
    """The mean difference of the box that is furthest from a drawing of what it should hold."""
    return float(np.abs(shown.astype(np.int16) - drawn(regions)).mean(axis=(1, 2, 3)).max())


def test_boxes_of_a_strip_become_cells_of_a_square(tmp_path: Path) -> None:
    regions = (shape(0, 10, 10, 20), shape(1, 40, 60, 20, colour="yellow"), shape(2, 70, 0, 30, colour="black"))
    strip(tmp_path / "strip.png", drawn(regions))
    square = in_a_square(boxes_in(tmp_path / "strip.png"))
    assert square.shape == (200, 200, 3)
    centres = {(20, 20): BLUE, (70, 150): YELLOW, (115, 85): BLACK, (90, 90): GROUND, (150, 150): (GAP,) * 3}
    assert {place: tuple(square[place].tolist()) for place in centres} == centres


def test_a_guise_shows_what_it_tells() -> None:
    boxes = drawn(RECORD.regions).astype(np.uint8)
    made = list(guises(RECORD, 40))
    assert {guise.order for guise in made} == set(permutations(range(3)))
    assert {guise.mirror for guise in made} == {True, False} and len({guise.colours for guise in made}) == 7
    for guise in made:
        shown = guise.shown(boxes)
        told = guise.told(RECORD).regions
        assert apart(shown, told) < 2
        assert [apart(shown, other.told(RECORD).regions) < 2 for other in made].count(True) < 10


def test_one_guise_pixel_by_pixel() -> None:
    boxes = np.zeros((3, 100, 100, 3), dtype=np.uint8) + np.array(GROUND, dtype=np.uint8)
    boxes[0, 5, 3], boxes[2, 7, 50] = BLUE, YELLOW
    shown = Guise(1, (2, 0, 1), True, ("black", "blue", "yellow")).shown(boxes)
    found = {(s, y, x): tuple(shown[s, y, x].tolist()) for s, y, x in np.argwhere((shown != GROUND).any(-1)).tolist()}
    assert NAMES == ("yellow", "black", "blue")
    assert found == {(0, 7, 49): BLACK, (1, 5, 96): YELLOW}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=4, max_size=4).filter(any), st.permutations(NAMES))
def test_mixtures_exchange_their_colours(parts: list[int], colours: list[str]) -> None:
    weights = np.array(parts) / sum(parts)
    before, after = (weights @ np.array([*(RGB[name] for name in names), GROUND]) for names in (NAMES, colours))
    exact = recoloured(before.round().astype(np.uint8), colours)
    assert exact == pytest.approx(after, abs=4)


def lay(root: Path, pictures: bool = True) -> None:
    """A folder of NLVR's with one example a part."""
    for part in ("dev", "test", "hidden"):
        item = {"sentence": "There is a blue square.", "label": "true", "identifier": "7-0", "directory": "2",
                "structured_rep": [[THING], [], [{**THING, "type": "circle", "color": "Black"}]]}  # fmt: skip
        (root / part).mkdir(parents=True)
        (root / part / f"{part}.json").write_text(json.dumps(item))
        if pictures:
            regions = (shape(0, 10, 70, 30), shape(2, 10, 70, 30, "circle", "black"))
            strip(root / part / "images" / "2" / f"{part}-7-0-0.png", drawn(regions))


def test_records_have_a_picture_and_no_regions(tmp_path: Path) -> None:
    lay(tmp_path / "nlvr")
    train, test, pictures = nlvr_pixels(tmp_path / "nlvr", tmp_path / "records")
    assert pictures == tmp_path / "pictures"
    parts = {part: list(read_records(tmp_path / "records" / part)) for part in ("train", "statements", "test")}
    assert (train.name, test.name) == ("train", "test")
    assert {part: len(records) for part, records in parts.items()} == {"train": 24, "statements": 72, "test": 1}
    for records in parts.values():
        assert all(record.regions == () and (pictures / str(record.image)).is_file() for record in records)
    assert {record.image for record in parts["train"]} == {record.image for record in parts["statements"]}
    assert len({record.image for records in parts.values() for record in records}) == 25
    for record in parts["train"]:
        with Image.open(pictures / str(record.image)) as image:
            shown = np.asarray(image)
        colour = (record.text or "").split()[3]
        assert (shown == RGB[colour]).all(-1).sum() == pytest.approx(30 * 30, abs=70)


def test_pictures_that_are_missing_or_others_are_told(tmp_path: Path) -> None:
    lay(tmp_path / "nlvr", pictures=False)
    with pytest.raises(InputError, match=r"test-7-0-0\.png: not a picture that can be read"):
        nlvr_pixels(tmp_path / "nlvr", tmp_path / "records")
    assert not (tmp_path / "pictures").exists()
    Image.new("RGB", (50, 50)).save(tmp_path / "small.png")
    with pytest.raises(InputError, match=r"small\.png: a picture of 50 x 50 pixels; NLVR's have 400 x 100"):
        boxes_in(tmp_path / "small.png")


def test_the_command_trains_and_answers_from_pixels(tmp_path: Path) -> None:
    lay(tmp_path / "nlvr")
    small = ("stages.0.steps=2", "stages.1.steps=1", "model.width=16", "model.layers=1", "tokenizer.vocabulary=60")
    arguments = ["--task", "nlvr-pixels", "--data", str(tmp_path / "nlvr"), "--work", str(tmp_path / "work"), "--json"]
    asked = [*arguments, "--threads", "1", *(word for setting in small for word in ("--set", setting))]
    done = CliRunner().invoke(app, ["bench", "pictures", *asked])
    assert done.exit_code == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert [(row["arm"], row["n"]) for row in rows] == [("model", 1), ("majority", 1), ("question-only", 1)]
    config = json.loads((tmp_path / "work" / "run" / "model" / "config.json").read_text())
    assert config["regions"] is None and config["image"]["size"] == 72


@pytest.mark.data
def test_guises_of_real_pictures_show_what_they_tell() -> None:
    root = Path(".data/eval/nlvr")
    if not (root / "test" / "test.json").is_file():
        pytest.skip("NLVR is not here; unpack eval/nlvr")
    for record in islice(examples(root, "test"), 0, 900, 90):
        boxes = boxes_in(root / str(record.image))
        assert all(apart(guise.shown(boxes), guise.told(record).regions) < 8 for guise in guises(record))
