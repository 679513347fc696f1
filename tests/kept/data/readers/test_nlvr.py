"""NLVR: shapes where the pictures show them."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from kept.data.readers import NLVR
from kept.data.readers.nlvr import moved
from tests.kept.data.readers.contract import ReaderContract

COLOURS = {"Yellow": (255, 255, 0), "Black": (0, 0, 0), "#0099ff": (0, 153, 255)}
BOXES: list[list[dict[str, Any]]] = [
    [{"y_loc": 80, "type": "square", "color": "Yellow", "x_loc": 13, "size": 20},
     {"y_loc": 10, "type": "square", "color": "Black", "x_loc": 70, "size": 30}],
    [{"y_loc": 80, "type": "triangle", "color": "#0099ff", "x_loc": 80, "size": 20}],
    [{"y_loc": 80, "type": "circle", "color": "Black", "x_loc": 80, "size": 10}],
]  # fmt: skip


def nlvr_picture(path: Path, order: tuple[int, ...]) -> None:
    """Three grey boxes with their shapes, as NLVR draws them."""
    image = Image.new("RGB", (400, 100), "white")
    draw = ImageDraw.Draw(image)
    for slot, box in enumerate(order):
        draw.rectangle((150 * slot, 0, 150 * slot + 99, 99), fill=(211, 211, 211))
        for item in BOXES[box]:
            x, y, side = 150 * slot + item["x_loc"], item["y_loc"], item["size"]
            shape, fill = item["type"], COLOURS[item["color"]]
            if shape == "triangle":
                draw.polygon([(x, y + side), (x + side // 2, y), (x + side, y + side)], fill=fill)
            elif shape == "circle":
                draw.ellipse((x, y, x + side, y + side), fill=fill)
            else:
                draw.rectangle((x, y, x + side, y + side), fill=fill)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


class TestNLVR(ReaderContract):
    member = "nlvr"
    reason, place = "malformed", "dev.json:3"

    def lay(self, folder: Path, *, broken: bool = False) -> dict[str, Any]:
        for key in ("1572-0", "1572-1"):
            for number, order in enumerate(permutations(range(3))):
                nlvr_picture(folder / "dev" / "images" / "2" / f"dev-{key}-{number}.png", order)
        lines = [
            {"sentence": "There is a blue triangle .", "label": label, "identifier": key, "directory": "2",
             "evals": {"r1": label, "r6": label}, "structured_rep": BOXES}
            for key, label in (("1572-0", "true"), ("1572-1", "false"))
        ]  # fmt: skip
        lines += [{**lines[0], "identifier": "1572-2", "label": "perhaps"}] * broken
        (folder / "dev" / "dev.json").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
        return {"paths": (str(folder),)}

    def test_six_pictures_an_example_and_their_shapes(self, tmp_path: Path) -> None:
        records = self.records(tmp_path)
        assert [record.id for record in records[:7]] == [f"dev-1572-0-{n}" for n in range(6)] + ["dev-1572-1-0"]
        assert {record.answer for record in records[:6]} == {"true"} and records[6].answer == "false"
        assert records[0].image == "dev/images/2/dev-1572-0-0.png"
        assert records[0].regions[0].label == "square" and records[0].regions[0].attributes == ("yellow",)
        assert records[0].regions[2].box == pytest.approx((230 / 400, 0.8, 250 / 400, 1.0))
        for record, order in zip(records, permutations(range(3)), strict=False):
            expected = [item["type"] for box in order for item in BOXES[box]]
            assert [region.label for region in record.regions] == expected
            lefts = [150 * slot + item["x_loc"] for slot, box in enumerate(order) for item in BOXES[box]]
            assert [region.box[0] * 400 for region in record.regions] == pytest.approx(lefts)

    def test_without_a_picture_an_order_is_not_guessed(self, tmp_path: Path) -> None:
        options = self.lay(tmp_path)
        for path in tmp_path.rglob("*.png"):
            path.unlink()
        found = [bool(record.regions) for record in NLVR(**options).records()]
        assert found == [True, False, False, False, False, False] * 2

    def test_files_without_directories_find_their_pictures(self, tmp_path: Path) -> None:
        expected = self.records(tmp_path)
        path = tmp_path / "dev" / "dev.json"
        path.write_text(path.read_text(encoding="utf-8").replace('"directory": "2", ', ""), encoding="utf-8")
        assert list(NLVR(paths=(str(tmp_path),)).records()) == expected


@pytest.mark.data
def test_nlvr_shapes_are_where_the_pictures_show_them(real_data: Callable[[str], Path]) -> None:
    reader = NLVR(paths=(str(real_data("eval/nlvr")),), permutations=1)
    records = list(reader.records())
    assert len(records) == 2964
    assert {part: sum(record.id.startswith(part) for record in records) for part in ("dev", "hidden", "test")} == {
        "dev": 989, "hidden": 985, "test": 990,
    }  # fmt: skip
    colours = {"yellow": (255, 255, 0), "black": (0, 0, 0), "blue": (0, 153, 255)}
    off = shapes = 0
    for record in records[::20]:
        assert record.image is not None
        with Image.open(reader.root / record.image) as image:
            pixels = image.convert("RGB")
        for region in record.regions:
            left, top, right, bottom = region.box
            found = pixels.getpixel((int((left + right) * 200), int((top + 2 * bottom) / 3 * 100)))
            assert isinstance(found, tuple)
            shapes += 1
            off += sum(abs(a - b) for a, b in zip(found, colours[region.attributes[0]], strict=True)) > 60
    assert shapes > 1000 and off == 0


@pytest.mark.data
def test_the_order_of_real_pictures_is_told(real_data: Callable[[str], Path]) -> None:
    """Picture 0 has the order of its description; boxes dealt in another order are put back."""
    reader = NLVR(paths=(str(real_data("eval/nlvr") / "dev"),), permutations=1)
    seen = 0
    for record in list(reader.records())[::25]:
        assert record.image is not None
        boxes = [[r for r in record.regions if int(r.box[0] * 400) // 150 == slot] for slot in range(3)]
        first = [moved(box, -slot) for slot, box in enumerate(boxes)]
        if all(one != other for one, other in ((first[0], first[1]), (first[0], first[2]), (first[1], first[2]))):
            dealt = [moved(first[box], slot) for slot, box in enumerate((2, 0, 1))]
            assert tuple(reader.order(reader.root / record.image, dealt)) == (1, 2, 0)
            seen += 1
    assert seen > 20


def test_files_in_hidden_folders_are_no_data(tmp_path: Path) -> None:
    """Caches of decoded pictures lie there."""
    (tmp_path / ".pixels-24").mkdir()
    (tmp_path / ".pixels-24" / "pictures.json").write_text("{\n}")
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "dev.json").write_text("")
    assert list(NLVR(paths=(str(tmp_path),)).records()) == []
