"""Region features: .tsv with base64, .npz, and records that they are put into."""

from __future__ import annotations

import base64
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kept.data.readers import RegionFeatures, Rejects
from kept.data.record import Record, Region, Relation
from kept.data.shards import write_records
from kg import InputError
from tests.kept.data.readers.contract import ReaderContract, picture

BOXES = np.array([[10, 5, 30, 15], [0, 0, 40.5, 20]], dtype=np.float32)
FEATURES = np.arange(6, dtype=np.float32).reshape(2, 3) / 4


def encoded(array: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(array.tobytes()).decode()


def butd(image: str, boxes: np.ndarray[Any, Any] = BOXES, features: np.ndarray[Any, Any] = FEATURES) -> str:
    """A line of bottom-up attention: image_id, image_w, image_h, num_boxes, boxes, features."""
    return "\t".join([image, "40", "20", str(len(boxes)), encoded(boxes), encoded(features)])


def lxmert(image: str) -> str:
    """A line of LXMERT: its classes are int64, its confidences float32."""
    ids, confidences = np.array([1, 0]), np.array([0.9, 0.8], dtype=np.float32)
    cells = [encoded(ids), encoded(confidences), encoded(ids[::-1].copy()), encoded(confidences)]
    return "\t".join([image, "20", "40", *cells, "2", encoded(BOXES), encoded(FEATURES)])


class TestRegionFeatures(ReaderContract):
    member = "region-features"
    reason, place = "malformed", "features.tsv:3"

    def lay(self, folder: Path, *, broken: bool = False) -> dict[str, Any]:
        for image in ("150367", "150368"):
            picture(folder / f"{image}.jpg")
        lines = [butd("150367"), butd("150368")] + ["\t".join(butd("150369").split("\t")[:5])] * broken
        (folder / "features.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return {"paths": (str(folder),)}

    def test_boxes_and_features(self, tmp_path: Path) -> None:
        record, _ = self.records(tmp_path)
        assert (record.id, record.image) == ("150367", "150367.jpg")
        assert record.regions == (
            Region((0.25, 0.25, 0.75, 0.75), feature=(0.0, 0.25, 0.5)),
            Region((0.0, 0.0, 1.0, 1.0), feature=(0.75, 1.0, 1.25)),
        )

    def test_a_header_may_come_first(self, tmp_path: Path) -> None:
        expected = self.records(tmp_path)
        path = tmp_path / "features.tsv"
        names = "image_id\timage_w\timage_h\tnum_boxes\tboxes\tfeatures\n"
        path.write_text(names + path.read_text(encoding="utf-8"), encoding="utf-8")
        assert list(RegionFeatures(paths=(str(path),)).records()) == expected


class TestFeaturesOfLXMERT(ReaderContract):
    member = "region-features"
    reason, place = "malformed", "val2014.tsv:3"

    def lay(self, folder: Path, *, broken: bool = False) -> dict[str, Any]:
        for image in ("a", "b"):
            picture(folder / "pictures" / f"{image}.png")
        lines = [lxmert("a"), lxmert("b")] + [lxmert("c").replace("=", "!", 1)] * broken
        (folder / "val2014.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / "classes.txt").write_text("cat\ndog,puppy\n", encoding="utf-8")
        (folder / "attributes.txt").write_text("big\nred\n", encoding="utf-8")
        return {
            "paths": (str(folder / "val2014.tsv"),),
            "pictures": str(folder / "pictures"),
            "classes": str(folder / "classes.txt"),
            "attributes": str(folder / "attributes.txt"),
            "suffix": ".png",
        }

    def test_classes_have_their_names(self, tmp_path: Path) -> None:
        record, _ = self.records(tmp_path)
        assert [(region.label, region.attributes) for region in record.regions] == [
            ("dog", ("big",)),
            ("cat", ("red",)),
        ]


class TestFeaturesOfArrays(ReaderContract):
    member = "region-features"
    reason, place = "malformed", "c.npz:c"

    def lay(self, folder: Path, *, broken: bool = False) -> dict[str, Any]:
        folder.mkdir(exist_ok=True)
        for name in ("a", "b"):
            picture(folder / f"{name}.jpg")
            np.savez(folder / f"{name}.npz", features=FEATURES, bbox=BOXES, image_h=20, image_w=40, objects_id=[0, 1])
        if broken:
            np.savez(folder / "c.npz", features=FEATURES, image_h=20, image_w=40)
        return {"paths": (str(folder),)}

    def test_other_names_and_half_precision(self, tmp_path: Path) -> None:
        expected = self.records(tmp_path)[0].regions
        info = np.array({"objects": [1]}, dtype=object)
        path = tmp_path / "x.npz"
        np.savez(path, x=FEATURES.T.astype(np.float16), bbox=BOXES, image_h=[20], image_w=[40], info=info, num_bbox=2)
        assert next(RegionFeatures(paths=(str(path),)).records()).regions == expected


class Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("unpickled",))


@pytest.mark.parametrize("name", ["features", "boxes", "image_w"])
def test_nothing_is_unpickled(tmp_path: Path, name: str) -> None:
    arrays: dict[str, Any] = {"features": FEATURES, "boxes": BOXES, "image_h": 20, "image_w": 40}
    data = io.BytesIO()
    np.save(data, np.zeros(2, dtype=object))
    header = data.getvalue()[:128]
    np.savez(tmp_path / "a.npz", **{key: value for key, value in arrays.items() if key != name})
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr(f"{name}.npy", header + pickle.dumps(Trap()))
    with pytest.raises(InputError, match=r"a\.npz:a: malformed; not an \.npz of numbers"):
        list(RegionFeatures(paths=(str(tmp_path / "a.npz"),)).records())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (butd("a", features=FEATURES[:1]), "malformed"),
        (butd("a", features=np.full((2, 3), np.nan, dtype=np.float32)), "malformed"),
        (butd("a", boxes=BOXES + 5), "box outside the picture"),
        (butd("a", boxes=BOXES[:, [2, 1, 0, 3]]), "box without area"),
        (butd("a").replace("40", "0", 1), "malformed"),
        (butd("a").replace("\t2\t", "\t-2\t"), "malformed"),
        (butd("b"), "said twice"),
        (butd("a")[:-1], "malformed"),
    ],
)
def test_what_is_wrong_is_counted(tmp_path: Path, line: str, reason: str) -> None:
    (tmp_path / "f.tsv").write_text(butd("b") + "\n" + line + "\n", encoding="utf-8")
    rejects = Rejects("skip")
    records = list(RegionFeatures(paths=(str(tmp_path / "f.tsv"),), rejects=rejects).records())
    assert records[0].id == "b" and set(rejects.counts) == {reason}
    with pytest.raises(InputError, match=rf"f\.tsv:.*{reason}"):
        list(RegionFeatures(paths=(str(tmp_path / "f.tsv"),)).records())


def test_arrays_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kept.data.readers.features.MAX_ARRAY", 100)
    np.savez(tmp_path / "a.npz", features=np.zeros((2, 50)), bbox=BOXES, image_h=20, image_w=40)
    with pytest.raises(InputError, match="too large"):
        list(RegionFeatures(paths=(str(tmp_path / "a.npz"),)).records())


@pytest.mark.parametrize("arrays", [False, True])
def test_features_are_put_into_records(tmp_path: Path, arrays: bool) -> None:
    if arrays:
        np.savez(tmp_path / "b.npz", features=FEATURES, bbox=BOXES, image_h=20, image_w=40)
    else:
        (tmp_path / "f.tsv").write_text(butd("a") + "\n" + butd("b") + "\n", encoding="utf-8")
    own = Region((0.0, 0.0, 1.0, 1.0), "cat")
    written = [
        Record(id="1", text="One.", image="val/b.jpg", regions=(own, own), relations=(Relation(0, "on", 1),)),
        Record(id="2", text="Two.", image="val/c.jpg", regions=(own,)),
        Record(id="3", text="Three."),
        Record(id="4", text="Four.", image="b.jpg"),
    ]
    write_records(tmp_path / "records", written)
    path = tmp_path / ("b.npz" if arrays else "f.tsv")
    found = list(RegionFeatures(paths=(str(path),), into=str(tmp_path / "records")).records())
    assert [record.text for record in found] == ["One.", "Two.", "Three.", "Four."]
    assert [len(region.feature or ()) for region in found[0].regions] == [3, 3] and not found[0].relations
    assert found[3].regions == found[0].regions
    assert found[1:3] == written[1:3]
