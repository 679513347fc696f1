"""Readers of questions about pictures: VQA and GQA."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kept.data.readers import GQA, VQA, Rejects
from kept.data.readers.joining import Joined
from kept.data.readers.vqa import majority
from kept.data.record import Region, Relation
from kg import InputError
from tests.kept.data.readers.contract import ReaderContract, picture

QUESTIONS = "v2_OpenEnded_mscoco_val2014_questions.json"
ANNOTATIONS = "v2_mscoco_val2014_annotations.json"


def annotation(question: int, image: int, answers: list[str], chosen: str) -> dict[str, Any]:
    return {
        "question_type": "what is",
        "multiple_choice_answer": chosen,
        "answers": [{"answer": a, "answer_confidence": "yes", "answer_id": n} for n, a in enumerate(answers, start=1)],
        "image_id": image,
        "answer_type": "other",
        "question_id": question,
    }


class TestVQA(ReaderContract):
    member = "vqa"
    place = f"{QUESTIONS}:questions[3]"

    def lay(self, folder: Path, *, broken: bool = False) -> dict[str, Any]:
        for image in (42, 73):
            picture(folder / "val2014" / f"COCO_val2014_{image:012d}.jpg")
        questions = [
            {"image_id": 42, "question": "What color are the gym shoes?", "question_id": 42000},
            {"image_id": 42, "question": "Is there a red sandal here?", "question_id": 42001},
            {"image_id": 73, "question": "How many?", "question_id": 73000},
        ] + [{"image_id": 73, "question": "", "question_id": 73001}] * broken
        annotations = [
            annotation(42000, 42, ["white"] * 6 + ["gray"] * 4, "white"),
            annotation(73000, 73, ["2"] * 5 + ["1"] * 5, "1"),
            annotation(42001, 42, ["no"] * 9 + ["yes"], "no"),
        ] + [annotation(73001, 73, ["no"], "no")] * broken
        about = {"info": {"year": 2017}, "license": {"name": "CC"}, "data_subtype": "val2014"}
        whole = {"task_type": "Open-Ended", "data_type": "mscoco", **about}
        (folder / QUESTIONS).write_text(json.dumps({**whole, "questions": questions}), encoding="utf-8")
        (folder / ANNOTATIONS).write_text(
            json.dumps({**about, "annotations": annotations, "data_type": "mscoco"}), encoding="utf-8"
        )
        return {"paths": (str(folder),), "pictures": str(folder), "file_name": "{part}/COCO_{part}_{image:012d}.jpg"}

    def test_questions_meet_their_answers(self, tmp_path: Path) -> None:
        records = self.records(tmp_path)
        assert [(record.question, record.answer) for record in records] == [
            ("What color are the gym shoes?", "white"),
            ("Is there a red sandal here?", "no"),
            ("How many?", "1"),
        ]
        assert records[0].image == "val2014/COCO_val2014_000000000042.jpg"
        assert records[0].id.endswith("questions/42000")

    def test_a_part_without_annotations_has_no_answers(self, tmp_path: Path) -> None:
        options = self.lay(tmp_path)
        (tmp_path / ANNOTATIONS).unlink()
        assert {record.answer for record in VQA(**options).records()} == {None}

    def test_what_lacks_its_other_half_is_named(self, tmp_path: Path) -> None:
        options = self.lay(tmp_path)
        whole = json.loads((tmp_path / ANNOTATIONS).read_text())
        lost = whole["annotations"].pop(0)
        (tmp_path / ANNOTATIONS).write_text(json.dumps(whole))
        with pytest.raises(InputError, match=r"questions\[0\]: answer missing; question_id 42000"):
            list(VQA(**options).records())
        whole["annotations"] += [lost, annotation(5, 42, ["no"], "no")]
        (tmp_path / ANNOTATIONS).write_text(json.dumps(whole))
        with pytest.raises(InputError, match=r"annotations\.json:5: question unknown"):
            list(VQA(**options).records())
        (tmp_path / QUESTIONS).unlink()
        with pytest.raises(InputError, match="its questions are missing"):
            list(VQA(**options).records())

    def test_names_of_pictures_and_parts_are_asked_for(self, tmp_path: Path) -> None:
        options = {**self.lay(tmp_path), "file_name": "{split}.jpg"}
        with pytest.raises(InputError, match=r"file_name: '\{split\}\.jpg' takes \{part\} and \{image\}"):
            list(VQA(**options).records())
        (tmp_path / "questions.json").write_text("{}")
        with pytest.raises(InputError, match="tells no part of COCO"):
            list(VQA(paths=(str(tmp_path / "questions.json"),)).records())


def test_the_majority_of_answers() -> None:
    assert majority(annotation(1, 1, ["b", "a", "a"], "b")) == "a"
    assert majority(annotation(1, 1, ["b", "a", "a", "b"], "a")) == "a"
    assert majority(annotation(1, 1, ["b", "a", "a", "b"], "c")) == "b"
    assert majority({"multiple_choice_answer": "net"}) == "net"


def test_files_may_differ_in_their_order_by_the_window() -> None:
    keys = [str(number) for number in range(50)]
    rejects = Rejects("skip")
    joined = Joined(Path("a"), iter([(key, int(key)) for key in reversed(keys)]), rejects, window=50)
    assert [joined.take(key) for key in keys] == list(range(50))
    joined.refuse_rest("left")
    assert not rejects.counts
    joined = Joined(Path("a"), iter([(key, int(key)) for key in reversed(keys)]), rejects, window=5)
    assert [joined.take(key) for key in keys[:10]] == [None] * 10
    joined.refuse_rest("left")
    assert rejects.counts == {"left": 50}


GRAPHS = {
    "2407890": {
        "width": 40,
        "height": 20,
        "location": "living room",
        "weather": "none",
        "objects": {
            "271881": {
                "name": "chair", "h": 10, "w": 20, "x": 10, "y": 5, "attributes": ["brown", "wooden"],
                "relations": [{"object": "32452", "name": "on"}],
            },
            "32452": {
                "name": "floor", "h": 5, "w": 40, "x": 0, "y": 15, "attributes": [],
                "relations": [{"object": "271881", "name": "under"}],
            },
        },
    },
    "n161313": {"width": 40, "height": 20, "objects": {}},
}  # fmt: skip


def question(image: str, text: str, answer: str) -> dict[str, Any]:
    return {
        "semantic": [{"operation": "select", "dependencies": [], "argument": "chair (271881)"}],
        "entailed": ["02930160"],
        "equal": ["02930152"],
        "question": text,
        "imageId": image,
        "isBalanced": True,
        "groups": {"global": "", "local": "06-furniture_on"},
        "answer": answer,
        "semanticStr": "select: chair (271881)",
        "annotations": {"answer": {"0": "271881"}, "question": {}, "fullAnswer": {}},
        "types": {"detailed": "relS", "semantic": "rel", "structural": "query"},
        "fullAnswer": "The chair is on the floor.",
    }


class TestGQA(ReaderContract):
    member = "gqa"
    place = "val_balanced_questions.json:02930154"

    def lay(self, folder: Path, *, broken: bool = False) -> dict[str, Any]:
        for image in GRAPHS:
            picture(folder / f"{image}.jpg")
        questions = {
            "02930152": question("2407890", "What is on the floor?", "chair"),
            "02930153": question("n161313", "Is it sunny?", "no"),
        }
        if broken:
            questions["02930154"] = question("2407890", "", "yes")
        for name, value in (("val_balanced_questions", questions), ("val_sceneGraphs", GRAPHS)):
            (folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
        return {"paths": (str(folder),)}

    def test_questions_carry_the_scene_graph(self, tmp_path: Path) -> None:
        record, other = self.records(tmp_path)
        assert (record.question, record.answer, record.image) == ("What is on the floor?", "chair", "2407890.jpg")
        assert record.regions[0] == Region((0.25, 0.25, 0.75, 0.75), "chair", ("brown", "wooden"))
        assert record.relations == (Relation(0, "on", 1), Relation(1, "under", 0))
        assert other.regions == ()

    def test_questions_alone(self, tmp_path: Path) -> None:
        path = self.lay(tmp_path)["paths"][0] + "/val_balanced_questions.json"
        assert [record.regions for record in GQA(paths=(path,)).records()] == [(), ()]

    def test_a_picture_without_its_graph_is_named(self, tmp_path: Path) -> None:
        options = self.lay(tmp_path)
        (tmp_path / "val_sceneGraphs.json").write_text(json.dumps({"n161313": GRAPHS["n161313"]}))
        with pytest.raises(InputError, match="02930152: picture unknown; no scene graph of 2407890"):
            list(GQA(**options).records())


class TestSceneGraphsOfGQA(ReaderContract):
    member = "gqa"
    reason, place = "box outside the picture", "val_sceneGraphs.json:n161313/1"

    def lay(self, folder: Path, *, broken: bool = False) -> dict[str, Any]:
        for image in GRAPHS:
            picture(folder / f"{image}.jpg")
        far = {"name": "sun", "h": 1, "w": 1, "x": 80, "y": 0, "attributes": [], "relations": []}
        graphs = {**GRAPHS, "n161313": {**GRAPHS["n161313"], "objects": {"1": far}}} if broken else GRAPHS
        (folder / "val_sceneGraphs.json").write_text(json.dumps(graphs), encoding="utf-8")
        return {"paths": (str(folder / "val_sceneGraphs.json"),)}

    def test_one_record_a_picture(self, tmp_path: Path) -> None:
        assert [record.id for record in self.records(tmp_path)] == [
            "val_sceneGraphs/2407890",
            "val_sceneGraphs/n161313",
        ]


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "questions.json").write_text('{"a": {"b": 1}}')
    with pytest.raises(InputError, match=r"questions\.json: neither questions nor scene graphs"):
        list(GQA(paths=(str(tmp_path / "questions.json"),)).records())
