from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kept.data.scenes.artwork import Artwork, Thing, find_drawings, normal_code, read_names, unambiguous
from kept.data.scenes.emoji import CATEGORIES, category_of
from kg import InputError
from tests.kept.data.scenes.tiny import THINGS, write_artwork, write_names


def test_drawings_of_several_artists_are_views_of_the_same_things(tmp_path: Path) -> None:
    folders = {"one": write_artwork(tmp_path / "one", 0), "two": write_artwork(tmp_path / "two", 1, things=9)}
    art = Artwork.load(folders, THINGS, size=32)
    assert [thing.label for thing in art.things] == sorted(thing.label for thing in THINGS)
    assert art.drawn.sum(axis=1).tolist() == [len(THINGS), 9] and art.drawn.shape == (2, len(THINGS))
    assert [pixels.shape for pixels in art.pixels] == [(len(THINGS), 32, 32, 4)] * 2
    shown = np.stack([pixels[..., 3].any(axis=(1, 2)) for pixels in art.pixels])
    assert (shown == art.drawn).all()
    assert art.about["two"]["drawings"] == 9 and "not stated" in art.about["two"]["licence"]


def test_the_licence_is_what_lies_beside_the_drawings(tmp_path: Path) -> None:
    folder = write_artwork(tmp_path / "art" / "png", 0)
    (tmp_path / "art" / "SOURCE.txt").write_text("CC-BY-4.0,\nby Someone\n")
    about = Artwork.load({"one": folder}, THINGS, size=32).about["one"]
    assert about["licence"] == "CC-BY-4.0, by Someone" and about["licence_file"].endswith("SOURCE.txt")


def test_names_of_codes(tmp_path: Path) -> None:
    codes = ("emoji_u1f468_200d_1f33e.png", "1F468-200D-1F33E", "2764-fe0f", "sheet", "1f4a")
    assert [normal_code(Path(name).stem) for name in codes] == [
        "1F468-200D-1F33E",
        "1F468-200D-1F33E",
        "2764",
        None,
        "1F4A",
    ]
    (tmp_path / "a.tsv").write_text("code\tlabel\n1F436\tdog\tanimal\n2600-FE0F\tsun\n", encoding="utf-8")
    assert read_names(tmp_path / "a.tsv") == [Thing("1F436", "dog", "animal"), Thing("2600", "sun")]
    rows = [
        {"hexcode": "1F415", "annotation": "dog", "subgroups": "animal-mammal", "skintone": ""},
        {"hexcode": "1F600", "annotation": "grinning face", "subgroups": "face-smiling", "skintone": ""},
        {"hexcode": "1F415-1", "annotation": "dog", "subgroups": "animal-mammal", "skintone": 2},
    ]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    assert read_names(tmp_path / "a.json") == [Thing("1F415", "dog", "animal")]
    assert read_names(write_names(tmp_path / "tiny.tsv")) == THINGS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "1F436\tdog\nnonsense\tcat\n", "a.tsv:2: expected code TAB label"),
        ("a.tsv", "1F436\n", "a.tsv:1: expected code TAB label"),
        ("a.tsv", "1F436\t" + "x" * 99, "a.tsv:1: expected"),
        ("a.tsv", "", "names nothing that can be drawn"),
        ("a.json", "[", "not valid JSON"),
        ("a.json", "{}", "expected a list of objects with 'hexcode'"),
        ("a.json", '[{"hexcode": "1F436", "label": "dog"}]', "no 'subgroups'"),
    ],
)
def test_broken_names(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message) as raised:
        read_names(tmp_path / name)
    assert "\n" not in str(raised.value) and name in str(raised.value)


def test_names_that_would_be_true_of_another_are_left_out() -> None:
    names = [
        Thing("1", "dog"),
        Thing("2", "guide dog"),
        Thing("3", "Dog"),
        Thing("4", "dog house"),
        Thing("5", "hotdog"),
    ]
    kept, dropped = unambiguous(names)
    assert [thing.label for thing in kept] == ["dog", "dog house", "hotdog"]
    assert dropped == {"names that another bears": 1, "names that end in another's": 1}


def test_broken_artwork(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no artwork"):
        Artwork.load({}, THINGS, size=32)
    with pytest.raises(InputError, match=r"--artist one=.*absent: no such folder"):
        find_drawings("one", tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="0 PNGs named by code points"):
        find_drawings("one", tmp_path / "empty")
    folder = write_artwork(tmp_path / "art", 0)
    with pytest.raises(InputError, match="a drawing of nothing that is named"):
        Artwork.load({"one": folder}, [Thing("2600", "sun")], size=32)
    (folder / f"{THINGS[3].code.lower()}.png").write_text("no picture")
    with pytest.raises(InputError, match=rf"{THINGS[3].code.lower()}\.png: not a picture"):
        Artwork.load({"one": folder}, THINGS, size=32)


def test_an_empty_drawing_is_none(tmp_path: Path) -> None:
    folder = write_artwork(tmp_path / "art", 0)
    Image.new("RGBA", (20, 20), (255, 0, 0, 9)).save(folder / f"{THINGS[2].code.lower()}.png")
    art = Artwork.load({"one": folder}, THINGS, size=32)
    assert art.drawn[0].tolist() == [place != 2 for place in range(len(THINGS))]
    assert art.about["one"]["drawings"] == len(THINGS) - 1


@pytest.mark.parametrize(
    ("label", "subgroup"),
    [
        ("green apple", "food-fruit"),
        ("dog face", "animal-mammal"),
        ("spider web", "animal-bug"),
        ("Santa Claus", "event"),
        ("twelve-thirty", "time"),
        ("leaf fluttering in wind", "plant-other"),
    ],
)
def test_emoji_that_are_no_thing(label: str, subgroup: str) -> None:
    assert subgroup in CATEGORIES
    assert category_of(label, subgroup) == (False, None)
