"""Readers of boxes and scene graphs: COCO instances, Visual Genome, NLVR."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from kept.data.readers import NLVR, READERS, CocoCaptions, CocoInstances, Rejects, VisualGenome
from kept.data.readers.nlvr import moved
from kept.data.record import Region, Relation
from kg import InputError
from tests.kept.data.readers.contract import ReaderContract, picture


def instances_of_coco(broken: bool) -> dict[str, Any]:
    def annotation(key: int, image: int, category: int, bbox: list[float], crowd: int = 0) -> dict[str, Any]:
        return {
            "segmentation": [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]],
            "area": 12.5,
            "iscrowd": crowd,
            "image_id": image,
            "bbox": bbox,
            "category_id": category,
            "id": key,
        }

    images = [{"file_name": f"{image:012d}.png", "height": 20, "width": 40, "id": image} for image in (4, 9)]
    last: dict[str, Any] = {"file_name": " ", "height": 20, "width": 40, "id": 11}
    return {
        "info": {},
        "licenses": [],
        "images": images + [last] * broken,
        "annotations": [
            annotation(1, 9, 44, [10.0, 5.0, 20.0, 10.0]),
            annotation(2, 4, 1, [0.0, 0.0, 40.5, 20.9]),
            annotation(3, 9, 1, [0.0, 0.0, 4.0, 4.0]),
            annotation(4, 9, 1, [0.0, 0.0, 40.0, 4.0], crowd=1),
        ],
        "categories": [
            {"supercategory": "person", "id": 1, "name": "person"},
            {"supercategory": "kitchen", "id": 44, "name": "bottle"},
        ],
    }


class TestCocoInstances(ReaderContract):
    member = "coco-instances"
    place = "instances_val2017.json:images[2]"

    def lay(self, folder: Path, *, broken: bool = False) -> dict[str, Any]:
        for image in (4, 9):
            picture(folder / f"{image:012d}.png")
        path = folder / "instances_val2017.json"
        path.write_text(json.dumps(instances_of_coco(broken)), encoding="utf-8")
        return {"paths": (str(path),), "pictures": str(folder)}

    def test_boxes_become_regions_with_their_categories(self, tmp_path: Path) -> None:
        first, second = self.records(tmp_path)
        assert first.regions == (Region((0.0, 0.0, 1.0, 1.0), "person"),)
        assert [region.label for region in second.regions] == ["bottle", "person"]
        assert second.regions[0].box == (0.25, 0.25, 0.75, 0.75)
        assert second.id == "instances_val2017/9"

    def test_crowds_are_kept_when_asked(self, tmp_path: Path) -> None:
        assert len(self.records(tmp_path, crowds=True)[1].regions) == 3

    @pytest.mark.parametrize(
        ("bbox", "reason"),
        [
            ([0.0, 0.0, 41.0, 5.0], "box outside the picture"),
            ([-1.0, 0.0, 5.0, 5.0], "box outside the picture"),
            ([0.0, 16.0, 5.0, 5.0], "box outside the picture"),
            ([5.0, 5.0, 0.0, 5.0], "box without area"),
            ([5.0, 5.0, -2.0, 5.0], "box without area"),
            ([39.9, 5.0, 1e-9, 5.0], "box without area"),
            ([5.0, 5.0, float("nan"), 5.0], "malformed"),
            ([5.0, 5.0, 5.0], "malformed"),
            (None, "malformed"),
        ],
    )
    def test_boxes_that_are_none_cost_no_others(self, tmp_path: Path, bbox: Any, reason: str) -> None:
        whole = instances_of_coco(False)
        whole["annotations"][0]["bbox"] = bbox
        path = tmp_path / "instances.json"
        path.write_text(json.dumps(whole), encoding="utf-8")
        rejects = Rejects("skip")
        records = list(CocoInstances(paths=(str(path),), rejects=rejects).records())
        assert [len(record.regions) for record in records] == [1, 1]
        assert rejects.counts == {reason: 1}
        with pytest.raises(InputError, match=rf"instances\.json:annotations?.*{reason}"):
            list(CocoInstances(paths=(str(path),)).records())


def genome(broken: bool) -> dict[str, Any]:
    def thing(key: int, name: str, box: tuple[int, int, int, int], **more: Any) -> dict[str, Any]:
        return {
            "synsets": [f"{name}.n.01"],
            "object_id": key,
            "names": [name],
            **dict(zip("xywh", box, strict=True)),
            **more,
        }

    clock = (10, 5, 20, 10)
    boy = {key: value for key, value in thing(23, "boy", (2, 2, 4, 8)).items() if key != "names"}
    return {
        "image_data.json": [
            {"width": 40, "url": "https://cs.stanford.edu/people/rak248/VG_100K_2/1.png", "height": 20,
             "image_id": 1, "coco_id": None, "flickr_id": None},
            {"width": 40, "url": "https://cs.stanford.edu/people/rak248/VG_100K/2.png", "height": 20,
             "image_id": 2, "coco_id": None, "flickr_id": None},
        ],
        "objects.json": [
            {"image_id": 1, "image_url": "...", "objects": [
                thing(20, "clock", clock, merged_object_ids=[21]), thing(22, "street", (0, 15, 40, 5)),
            ]},
            {"image_id": 2, "image_url": "...", "objects": [thing(30, "road", (0, 10, 40, 10), merged_object_ids=[])]},
        ],
        "attributes.json": [
            {"image_id": 1, "attributes": [
                thing(20, "clock", clock, attributes=["green", "tall", "green"]), thing(22, "street", (0, 15, 40, 5)),
            ]},
        ],
        "relationships.json": [
            {"image_id": 1, "relationships": [
                {"predicate": "ON", "relationship_id": 15927, "synsets": ["along.r.01"],
                 "subject": thing(21, "clock", clock), "object": thing(22, "street", (0, 15, 40, 5))},
                {"predicate": "next to", "relationship_id": 15928, "synsets": [],
                 "subject": {**boy, "name": "boy"}, "object": thing(20, "clock", clock)},
            ]},
            {"image_id": 2, "relationships": []},
        ],
        "region_descriptions.json": [
            {"id": 2, "regions": [{"region_id": 1390, "width": 40, "height": 10, "image_id": 2, "phrase": "a grey road",
                                   "x": 0, "y": 10}]},
            {"id": 1, "regions": [{"region_id": 1382, "width": 20, "height": 10, "image_id": 1,
                                   "phrase": "the clock is green in colour", "x": 10, "y": 5}]},
        ] + [{"id": 7, "regions": []}] * broken,
    }  # fmt: skip


class TestVisualGenome(ReaderContract):
    member = "visual-genome"
    reason, place = "picture unknown or out of order", "region_descriptions.json:7"

    def lay(self, folder: Path, *, broken: bool = False) -> dict[str, Any]:
        for name in ("VG_100K_2/1.png", "VG_100K/2.png"):
            picture(folder / name)
        for name, value in genome(broken).items():
            (folder / name).write_text(json.dumps(value), encoding="utf-8")
        return {"paths": (str(folder),)}

    def test_the_scene_graph_of_a_picture(self, tmp_path: Path) -> None:
        record = self.records(tmp_path)[0]
        assert (record.id, record.image, record.text) == ("1", "VG_100K_2/1.png", None)
        assert [(region.label, region.attributes) for region in record.regions] == [
            ("clock", ("green", "tall")), ("street", ()), ("boy", ()),
        ]  # fmt: skip
        assert record.regions[0].box == (0.25, 0.25, 0.75, 0.75)
        assert record.relations == (Relation(0, "ON", 1), Relation(2, "next to", 0))

    def test_a_description_has_the_part_that_it_describes(self, tmp_path: Path) -> None:
        record = self.records(tmp_path)[1]
        assert (record.id, record.text) == ("1/1382", "the clock is green in colour")
        assert record.regions == (Region((0.25, 0.25, 0.75, 0.75)),)
        assert [record.id for record in self.records(tmp_path)] == ["1", "1/1382", "2", "2/1390"]

    @pytest.mark.parametrize("missing", ["objects.json", "attributes.json", "relationships.json"])
    def test_files_may_be_missing(self, tmp_path: Path, missing: str) -> None:
        options = self.lay(tmp_path)
        (tmp_path / missing).unlink()
        records = list(READERS["visual-genome"](**options).records())
        assert "1/1382" in [record.id for record in records]

    def test_the_sizes_of_pictures_may_not(self, tmp_path: Path) -> None:
        options = self.lay(tmp_path)
        (tmp_path / "image_data.json").unlink()
        with pytest.raises(InputError, match=r"image_data\.json is missing"):
            list(VisualGenome(**options).records())

    def test_a_relation_of_a_region_that_was_refused_is_refused(self, tmp_path: Path) -> None:
        options = self.lay(tmp_path)
        objects = genome(False)["objects.json"]
        objects[0]["objects"][1]["w"] = 100
        relations = genome(False)["relationships.json"]
        relations[0]["relationships"][0]["object"]["w"] = 100
        attributes = genome(False)["attributes.json"]
        attributes[0]["attributes"].pop()
        for name, value in (("objects", objects), ("relationships", relations), ("attributes", attributes)):
            (tmp_path / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
        rejects = Rejects("skip")
        record = next(VisualGenome(**options, rejects=rejects).records())
        assert [region.label for region in record.regions] == ["clock", "boy"]
        assert record.relations == (Relation(1, "next to", 0),)
        assert rejects.counts == {"box outside the picture": 2, "relation without its region": 1}


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
def test_coco_as_it_is(real_data: Callable[[str], Path]) -> None:
    """The counts of the files, by a plain look into them."""
    folder = real_data("mm/coco-clean")
    paths = (str(folder / "annotations"),)
    captions = list(CocoCaptions(paths=paths).records())
    instances = list(CocoInstances(paths=paths, crowds=True).records())
    whole = [json.loads(path.read_text()) for path in sorted((folder / "annotations").iterdir())]
    assert len(captions) == sum(len(part["annotations"]) for part in whole if "categories" not in part) == 255
    boxes = [part["annotations"] for part in whole if "categories" in part]
    assert sum(len(record.regions) for record in instances) == sum(map(len, boxes)) == 546
    assert {record.image for record in captions} == {record.image for record in instances}


@pytest.mark.data
def test_coco_pictures_as_they_are(real_data: Callable[[str], Path]) -> None:
    folder = real_data("mm/coco-clean")
    path = folder / "annotations" / "instances_val2017.json"
    reader = CocoInstances(paths=(str(path),), pictures=str(folder), folder="val2017", check_pictures=True)
    assert len(list(reader.records())) == 25


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
