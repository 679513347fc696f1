"""Readers of boxes and scene graphs: COCO instances and Visual Genome."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kept.data.readers import READERS, CocoCaptions, CocoInstances, Rejects, VisualGenome
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
