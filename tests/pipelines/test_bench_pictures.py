"""The sets of `kept bench pictures`: what is prepared is true of what it was made from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kept.data.readers.nlvr import HEIGHT, STEP, WIDTH, feature_of, slot_of
from kept.data.record import Record, Region
from kept.data.shards import read_records
from pipelines.bench.nlvr_guises import guises, mirrored, misspelt
from pipelines.bench.pictures_data import easy_vqa
from pipelines.cli import app
from tests.kept.data.scenes.tiny import write_artwork, write_names
from tests.pipelines.chain import answer


def shape(slot: int, x: float, y: float, side: float, label: str = "square", colour: str = "blue") -> Region:
    left, right = (STEP * slot + x) / WIDTH, (STEP * slot + x + side) / WIDTH
    return Region((left, y / HEIGHT, right, (y + side) / HEIGHT), label, (colour,))


RECORD = Record(
    id="nlvr",
    text="There is a blue square touching the wall of a box with a yellow circle.",
    regions=(shape(0, 0, 80, 20), shape(0, 40, 40, 10, "circle", "yellow"), shape(2, 50, 10, 30, "triangle", "black")),
    answer="true",
)


def touches_a_wall(region: Region) -> bool:
    left, top, right, bottom = (value * length for value, length in zip(region.box, (WIDTH, HEIGHT) * 2, strict=True))
    left, right = left - STEP * slot_of(region), right - STEP * slot_of(region)
    return min(left, top) < 0.5 or max(right, bottom) > HEIGHT - 0.5


def holds(record: Record) -> bool:
    """Whether RECORD's sentence, in the colours that it has now, is true of the shapes."""
    words = (record.text or "").split()
    square, circle = words[3], words[words.index("circle.") - 1]
    boxes = {slot: [r for r in record.regions if slot_of(r) == slot] for slot in range(3)}
    return any(
        any(r.label == "square" and r.attributes == (square,) and touches_a_wall(r) for r in box)
        and any(r.label == "circle" and r.attributes == (circle,) for r in box)
        for box in boxes.values()
    )


def test_a_guise_is_true_for_the_same_reason() -> None:
    made = [guise.told(RECORD) for guise in guises(RECORD, 40)]
    assert len({record.id for record in made}) == 40
    assert all(holds(record) for record in made)
    assert len({record.text for record in made}) == 6, "three colours in all their orders"
    circles = [region for record in made for region in record.regions if region.label == "circle"]
    assert {slot_of(region) for region in circles} == {0, 1, 2}


def test_what_speaks_of_sides_is_not_mirrored_and_misspelt_colours_stay() -> None:
    sided = replace(RECORD, text="On the left.")
    circles = [
        region for guise in guises(sided, 30) for region in guise.told(sided).regions if region.label == "circle"
    ]
    assert {round(region.box[0] * WIDTH) % STEP for region in circles} == {40}
    assert misspelt("a yelow circle") and not misspelt("a yellow circle near the wall")
    wrong = replace(RECORD, text="a yelow circle")
    assert {guise.told(wrong).text for guise in guises(wrong, 10)} == {"a yelow circle"}


def test_a_mirror_is_its_own_inverse() -> None:
    for region in RECORD.regions:
        assert mirrored(mirrored(region)).box == pytest.approx(region.box)
        assert slot_of(mirrored(region)) == slot_of(region)


def test_a_shape_is_told_in_numbers() -> None:
    numbers = feature_of(shape(2, 80, 0, 20, "circle", "black"))
    kinds, colours, boxes, sides, walls = numbers[:3], numbers[3:6], numbers[6:9], numbers[9:12], numbers[12:16]
    assert (kinds, boxes, sides) == ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 0.0))
    assert sum(colours) == 1.0
    assert walls == (0.0, 1.0, 1.0, 0.0)
    assert numbers[16:] == pytest.approx((0.8, 0.0, 1.0, 0.2))


def test_easy_vqa_is_read_from_a_folder(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / part).mkdir()
        rows = [["what shape is there?", "circle", 7], ["is it red?", "no", 7]]
        (tmp_path / part / "questions.json").write_text(json.dumps(rows))
    train, _, pictures = easy_vqa(tmp_path, tmp_path / "records")
    assert pictures == tmp_path
    records = list(read_records(train))
    assert [(r.question, r.answer, r.image, r.source) for r in records] == [
        ("what shape is there?", "circle", "train/images/7.png", "what"),
        ("is it red?", "no", "train/images/7.png", "yes-no"),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "nlvrr"], "--task nlvrr: no such set; did you mean 'nlvr'"),
        (["--task", "scenes"], "--data: name the folder that kept scenes made"),
        (["--task", "nlvr", "--data", "nowhere"], "dev.json: no such file; name NLVR's folder by --data"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["bench", "pictures", *arguments, "--work", str(tmp_path)])
    assert found.exit_code == 2
    assert message in " ".join(found.stderr.split())


def test_scenes_are_trained_on_and_measured_on_every_held_out_split(tmp_path: Path) -> None:
    write_artwork(tmp_path / "one", 0)
    write_artwork(tmp_path / "two", 1)
    write_names(tmp_path / "names.tsv")
    art = [f"--artist={name}={tmp_path / name}" for name in ("one", "two")]
    art += ["--names", str(tmp_path / "names.tsv"), "--hold-out-artist=two", "--size=64", "--workers=1"]
    for name, objects, number in (("scenes", "2-3", 80), ("things", "1", 60)):
        answer("scenes", "--out", tmp_path / name, "--objects", objects, "--scenes", number, *art)
    small = ["model.image={size: 48, patch: 12, layers: 1, stem: convolution}", "model.width=16", "model.hidden=16"]
    small += [f"stages.{stage}.objectives.detection.queries=16" for stage in (0, 1)]
    small += ["stages.0.steps=2", "stages.1.steps=2"]
    place = ["--data", tmp_path / "scenes", "--things", tmp_path / "things", "--work", tmp_path / "work"]
    told = answer("bench", "pictures", "--task=scenes", "--threads=1", *place, *(f"--set={each}" for each in small))
    splits = {row["split"] for row in told["rows"]}
    assert {"test", "test-artist", "single things, test", "single things, test-artist"} <= splits
    assert {row["task"] for row in told["rows"]} == {"retrieval", "alignment", "detection", "captions", "answers"}
    assert not any("composition" in split for split in splits if split.startswith("single"))
    again = answer("bench", "pictures", "--task=scenes", "--threads=1", *place, *(f"--set={each}" for each in small))
    assert again["core_minutes"] == told["core_minutes"] and again["rows"] == told["rows"]
