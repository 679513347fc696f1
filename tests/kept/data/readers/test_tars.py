"""WebDataset shards."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kept.data.readers import READERS, Rejects, WebDataset
from kg import InputError
from tests.kept.data.readers.contract import ReaderContract


def image(colour: int = 0) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 8), (colour, 0, 0)).save(data, "PNG")
    return data.getvalue()


def pack(path: Path, members: list[tuple[str, bytes]], mode: str = "w") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


class TestWebDataset(ReaderContract):
    member = "webdataset"
    place = "train-001.tar:s3"

    def lay(self, folder: Path, *, broken: bool = False, cut: int | None = None) -> dict[str, Any]:
        first = [("s1.png", image()[:cut]), ("s1.txt", b"A cat."), ("s2.json", b'{"caption": "Two.", "width": 8}')]
        last = [("s1.cls", b"3"), ("s1.JSON", json.dumps({"question": "Which?", "answer": "a cat"}).encode())]
        last += [("s1.seg.png", b"no picture"), ("s1.png", image(9))] + [("s3.txt", b" \n")] * broken
        pack(folder / "train-000.tar", first)
        pack(folder / "train-001.tar", last)
        return {"paths": (f"{folder}/train-{{000..001}}.tar",), "pictures": str(folder / "pictures")}

    def spoil(self, folder: Path, image: str) -> None:
        self.options = self.lay(folder, cut=-30)

    def test_members_of_one_name_are_one_record(self, tmp_path: Path) -> None:
        one, two, three = self.records(tmp_path)
        assert (one.id, one.text, one.image) == ("train-000/s1", "A cat.", "train-000/s1.png")
        assert (two.text, two.image) == ("Two.", None)
        assert (three.question, three.answer, three.image) == ("Which?", "a cat", "train-001/s1.png")
        assert (tmp_path / "pictures" / "train-001" / "s1.png").read_bytes() == image(9)

    def test_folders_and_compressed_shards(self, tmp_path: Path) -> None:
        expected = self.records(tmp_path / "plain")
        self.lay(tmp_path / "other")
        for path in (tmp_path / "other").glob("*.tar"):
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
        reader = WebDataset(paths=(str(tmp_path / "other"),), pictures=str(tmp_path / "pictures"))
        assert list(reader.records()) == expected

    def test_pictures_need_a_place(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="pictures: name a folder"):
            list(WebDataset(paths=self.lay(tmp_path)["paths"]).records())


@pytest.mark.parametrize("name", ["../../evil.png", "/evil.png", "a/../../evil.png", "..\\x/evil.png", "c:/evil.png"])
def test_no_member_leaves_the_folder_of_pictures(tmp_path: Path, name: str) -> None:
    pack(tmp_path / "in" / "a.tar", [("good.png", image()), (name, image())])
    rejects = Rejects("skip")
    reader = WebDataset(paths=(str(tmp_path / "in" / "a.tar"),), pictures=str(tmp_path / "out"), rejects=rejects)
    assert [record.id for record in reader.records()] == ["a/good"]
    assert rejects.counts == {"picture outside its root": 1}
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"in/a.tar", "out/a/good.png"}


def test_links_and_folders_are_passed_over(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo("x.png")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        info = tarfile.TarInfo("x.txt")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"A cat"))
    (record,) = WebDataset(paths=(str(tmp_path / "a.tar"),), pictures=str(tmp_path / "out")).records()
    assert (record.text, record.image) == ("A cat", None)
    assert not (tmp_path / "out").exists()


def test_samples_that_are_unfit_cost_no_others(tmp_path: Path) -> None:
    members = [
        ("a.txt", b"One."), ("b.txt", b"\xff"), ("c.json", b"{"), ("d.json", b"[]"), ("e.txt", b"x" * 200),
        ("e.json", b"{}"), ("f.txt", b"Two."), ("a.json", b"{}"), ("g.json", b"{}"), ("h.txt", b"1"), ("h.txt", b"2"),
        ("i.txt", b"Three."),
    ]  # fmt: skip
    pack(tmp_path / "a.tar", members)
    rejects = Rejects("skip")
    records = list(WebDataset(paths=(str(tmp_path / "a.tar"),), max_member=100, rejects=rejects).records())
    assert [record.text for record in records] == ["One.", "Two.", "Three."]
    assert rejects.counts == {
        "not UTF-8": 1, "not JSON": 1, "malformed": 1, "too large": 1, "said twice": 2, "neither picture nor text": 1,
    }  # fmt: skip


@pytest.mark.parametrize("cut", [0, 100, 512, 700, 2560, 3000])
def test_a_shard_that_is_cut_off_is_named(tmp_path: Path, cut: int) -> None:
    pack(tmp_path / "a.tar", [("a.txt", b"x" * 2000), ("b.txt", b"x" * 2000)])
    data = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(data[:cut])
    with pytest.raises(InputError, match=r"a\.tar: not a tar file that can be read"):
        list(WebDataset(paths=(str(tmp_path / "a.tar"),)).records())


def test_a_damaged_header_is_not_the_end(tmp_path: Path) -> None:
    pack(tmp_path / "a.tar", [("a.txt", b"One."), ("b.txt", b"Two.")])
    data = bytearray((tmp_path / "a.tar").read_bytes())
    data[1024 + 124] = ord("x")
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.tar: not a tar file that can be read"):
        list(WebDataset(paths=(str(tmp_path / "a.tar"),)).records())


def test_headers_are_bounded(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a.txt")
    info.pax_headers = {"comment": "x" * 100_000}
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info)
    with pytest.raises(InputError, match=r"a\.tar: .*a header of 100,"):
        list(READERS["webdataset"](paths=(str(tmp_path / "a.tar"),)).records())  # type: ignore[call-arg]
