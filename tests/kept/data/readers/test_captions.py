"""Readers of pictures with texts: pairs, COCO captions, Flickr30k."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kept.data.readers import CocoCaptions, Flickr30k, Pairs, Rejects
from kg import InputError
from tests.kept.data.readers.contract import ReaderContract, picture


class TestPairs(ReaderContract):
    member = "pairs"
    place = "pairs.tsv:3"

    def lay(self, folder: Path, *, broken: bool = False) -> dict[str, Any]:
        for name in ("a.png", "b.png"):
            picture(folder / "pictures" / name)
        rows = ["a.png\tA cat.", 'b.png\tA "big" dog.'] + ["b.png\t "] * broken
        (folder / "pairs.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        return {"paths": (str(folder / "pairs.tsv"),), "pictures": str(folder / "pictures")}

    def test_quotes_are_letters_in_tab_separated_values(self, tmp_path: Path) -> None:
        assert [record.text for record in self.records(tmp_path)] == ["A cat.", 'A "big" dog.']
        assert [record.id for record in self.records(tmp_path)] == ["pairs:1", "pairs:2"]


class TestPairsOfAFolder(ReaderContract):
    member = "pairs"
    reason, place = "text missing", "c.png:c.png"

    def lay(self, folder: Path, *, broken: bool = False) -> dict[str, Any]:
        for name in ("a.png", "sub/b.jpg", *["sub/c.png"] * broken):
            picture(folder / name)
        (folder / "a.txt").write_text("A cat.\n\nA small cat.\n", encoding="utf-8")
        (folder / "sub" / "b.txt").write_text("A dog.", encoding="utf-8")
        return {"paths": (str(folder),)}

    def test_each_line_is_a_text_of_its_own(self, tmp_path: Path) -> None:
        found = [(record.id, record.image, record.text) for record in self.records(tmp_path)]
        assert found == [
            ("a.png:1", "a.png", "A cat."),
            ("a.png:3", "a.png", "A small cat."),
            ("sub/b.jpg:1", "sub/b.jpg", "A dog."),
        ]


class TestPairsOfObjects(ReaderContract):
    member = "pairs"
    reason, place = "not JSON", "pairs.jsonl:4"

    def lay(self, folder: Path, *, broken: bool = False) -> dict[str, Any]:
        for name in ("a.png", "b.png"):
            picture(folder / name)
        items: list[dict[str, Any]] = [
            {"image": "a.png", "text": "A cat."},
            {"image": "b.png", "question": "Which?", "answer": "dog", "choices": ["cat", "dog"]},
        ]
        lines = [json.dumps(items[0]), "", json.dumps(items[1])] + ['{"image": "b.png"'] * broken
        (folder / "pairs.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return {"paths": (str(folder / "pairs.jsonl"),)}

    def test_questions_are_taken_too(self, tmp_path: Path) -> None:
        record = self.records(tmp_path)[1]
        assert (record.text, record.question, record.answer, record.choices) == (None, "Which?", "dog", ("cat", "dog"))


@pytest.mark.parametrize("compressed", [False, True])
def test_columns_by_their_names_and_quoted_line_ends(tmp_path: Path, compressed: bool) -> None:
    path = tmp_path / f"pairs.csv{'.gz' if compressed else ''}"
    data = 'caption,id,file\r\n"One,\nand ""two"".",1,a.png\r\n'.encode("utf-8-sig")
    path.write_bytes(gzip.compress(data) if compressed else data)
    (record,) = Pairs(paths=(str(path),), image="file", text="caption").records()
    assert (record.text, record.image, record.id) == ('One, and "two".', "a.png", "pairs:3")
    with pytest.raises(InputError, match=r"pairs\.csv.*:1: no column is called 'fiel'; did you mean 'file'"):
        list(Pairs(paths=(str(path),), image="fiel", text="caption").records())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"a.png\n", "malformed"),
        (b"\tA cat.\n", "empty text"),
        (b"a.png\t\xff\n", "not UTF-8"),
        (b"a.png\t" + b"x" * (1 << 20) + b"\n", "line too long"),
        (b"../a.png\tA cat.\n", "picture outside its root"),
        (b"/a.png\tA cat.\n", "picture outside its root"),
        (b"a.png\tA\x00cat.\n", "malformed"),
    ],
)
def test_lines_that_are_unfit_do_not_take_others_with_them(tmp_path: Path, line: bytes, reason: str) -> None:
    (tmp_path / "pairs.tsv").write_bytes(b"b.png\tOne.\n" + line + b"c.png\tTwo.\n")
    rejects = Rejects("skip")
    records = list(Pairs(paths=(str(tmp_path / "pairs.tsv"),), rejects=rejects).records())
    assert [record.text for record in records] == ["One.", "Two."]
    assert rejects.counts == {reason: 1}
    with pytest.raises(InputError, match=rf"pairs\.tsv:2: {reason}"):
        list(Pairs(paths=(str(tmp_path / "pairs.tsv"),)).records())


def test_an_open_quote_is_refused_and_what_follows_it_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "pairs.csv").write_text('a.png,One.\nb.png,"Two.\n' + "c.png,Three.\n" * 20_000, encoding="utf-8")
    rejects = Rejects("skip")
    records = list(Pairs(paths=(str(tmp_path / "pairs.csv"),), rejects=rejects).records())
    assert records[0].text == "One." and records[-1].text == "Three." and len(records) > 1000
    assert rejects.counts == {"malformed": 1}


def test_pictures_of_one_name_and_tables_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg"):
        picture(tmp_path / name)
    (tmp_path / "a.txt").write_text("A cat.", encoding="utf-8")
    with pytest.raises(InputError, match=r"a\.png: said twice; a\.jpg has the same name"):
        list(Pairs(paths=(str(tmp_path),)).records())
    (tmp_path / "t.tsv").write_text("a.png\tA cat.\n", encoding="utf-8")
    (tmp_path / "t.jsonl").write_text('{"image": "a", "text": "b"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="the same name, so ids would be equal"):
        list(Pairs(paths=(str(tmp_path / "t.tsv"), str(tmp_path / "t.jsonl"))).records())
    with pytest.raises(InputError, match=r"a\.txt: neither a folder nor"):
        list(Pairs(paths=(str(tmp_path / "a.txt"),)).records())


def captions_of_coco(broken: bool) -> dict[str, Any]:
    annotations = [
        {"image_id": 9, "id": 38, "caption": "A man  is holding a dog.\n"},
        {"image_id": 4, "id": 40, "caption": "Two cats."},
        {"image_id": 9, "id": 41, "caption": "A man."},
    ]
    licence = {"license": 4, "coco_url": "http://images.cocodataset.org/a.jpg", "date_captured": "2013-11-14 17:02:52"}
    return {
        "info": {"description": "COCO 2017 Dataset", "year": 2017},
        "licenses": [{"url": "http://creativecommons.org/licenses/by/2.0/", "id": 4, "name": "Attribution License"}],
        "images": [
            {**licence, "file_name": f"{image:012d}.png", "height": 20, "width": 40, "id": image} for image in (4, 9)
        ],
        "annotations": annotations + [{"image_id": 4, "id": 42, "caption": " \n"}] * broken,
    }


class TestCocoCaptions(ReaderContract):
    member = "coco-captions"
    place = "captions_val2017.json:annotations[3]"

    def lay(self, folder: Path, *, broken: bool = False) -> dict[str, Any]:
        for image in (4, 9):
            picture(folder / "val2017" / f"{image:012d}.png")
        (folder / "annotations").mkdir(exist_ok=True)
        path = folder / "annotations" / "captions_val2017.json"
        path.write_text(json.dumps(captions_of_coco(broken)), encoding="utf-8")
        return {"paths": (str(folder / "annotations"),), "pictures": str(folder), "folder": "val2017"}

    def test_one_record_a_caption(self, tmp_path: Path) -> None:
        found = [(record.id, record.image, record.text) for record in self.records(tmp_path)]
        assert found[0] == ("captions_val2017/38", "val2017/000000000009.png", "A man is holding a dog.")
        assert [key for key, _, _ in found] == [f"captions_val2017/{key}" for key in (38, 40, 41)]

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"image_id": 5}, r"annotations\[0\]: picture unknown; image_id 5"),
            ({"id": 40}, r"annotations\[1\]: said twice; id 40"),
            ({"id": "x"}, r"annotations\[0\]: malformed; 'id' is no whole number: x"),
            ({"id": True}, r"annotations\[0\]: malformed; 'id' names nothing: True"),
            ({"caption": 3}, r"annotations\[0\]: malformed; 'caption' is no text but 3"),
        ],
    )
    def test_what_is_wrong_is_named(self, tmp_path: Path, change: dict[str, Any], message: str) -> None:
        whole = captions_of_coco(False)
        whole["annotations"][0].update(change)
        (tmp_path / "captions.json").write_text(json.dumps(whole), encoding="utf-8")
        with pytest.raises(InputError, match=message):
            list(CocoCaptions(paths=(str(tmp_path / "captions.json"),)).records())

    def test_the_order_of_the_parts_does_not_matter(self, tmp_path: Path) -> None:
        options, path = self.lay(tmp_path), tmp_path / "annotations" / "captions_val2017.json"
        expected = list(CocoCaptions(**options).records())
        path.write_text(json.dumps(dict(reversed(captions_of_coco(False).items()))), encoding="utf-8")
        assert list(CocoCaptions(**options).records()) == expected


TOKENS = ["1.jpg#0\tTwo young guys .", "1.jpg#1\tTwo men , outside .", "2.jpg#0\tA dog | a cat ."]


class TestFlickr30k(ReaderContract):
    member = "flickr30k"
    reason, place = "malformed", "results_20130124.token:4"

    def lay(self, folder: Path, *, broken: bool = False) -> dict[str, Any]:
        for name in ("1.jpg", "2.jpg"):
            picture(folder / "flickr30k-images" / name)
        lines = TOKENS + ["2.jpg#1 A dog ."] * broken
        (folder / "results_20130124.token").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return {"paths": (str(folder),), "pictures": str(folder / "flickr30k-images")}

    @pytest.mark.parametrize("form", ["bars", "pairs", "lists"])
    def test_tables_say_the_same(self, tmp_path: Path, form: str) -> None:
        expected = [(record.image, record.text) for record in self.records(tmp_path)]
        path = tmp_path / "results.csv"
        path.write_text(TABLES[form](), encoding="utf-8")
        records = list(Flickr30k(paths=(str(path),)).records())
        assert [(record.image, record.text) for record in records] == expected
        assert len({record.id for record in records}) == len(expected)

    def test_the_known_slip_of_the_table_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "results.csv"
        slip = "2199200615.jpg| 4   A dog runs across the grass .\n"
        path.write_text(bars() + slip, encoding="utf-8")
        with pytest.raises(InputError, match=r"results\.csv:5: malformed; expected NAME\| NUMBER\| caption"):
            list(Flickr30k(paths=(str(path),)).records())

    def test_another_table_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "results.csv").write_text("a,b\n1,2\n", encoding="utf-8")
        with pytest.raises(InputError, match=r"results\.csv:1: not the columns of Flickr30k: a,b"):
            list(Flickr30k(paths=(str(tmp_path / "results.csv"),)).records())


def bars() -> str:
    rows = (line.replace("#", "| ").replace("\t", "| ") for line in TOKENS)
    return "image_name| comment_number| comment\n" + "\n".join(rows) + "\n"


def pairs() -> str:
    rows = (line.split("\t") for line in TOKENS)
    return written([["image", "caption"], *([name.split("#")[0], caption] for name, caption in rows)])


def lists() -> str:
    captions = [line.split("\t")[1] for line in TOKENS]
    header = ["raw", "sentids", "split", "filename", "img_id"]
    first = [json.dumps(captions[:2]), "[0, 1]", "train", "1.jpg", "0"]
    return written([header, first, [json.dumps(captions[2:]), "[2]", "train", "2.jpg", "1"]])


def written(rows: list[list[str]]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue()


TABLES: dict[str, Callable[[], str]] = {"bars": bars, "pairs": pairs, "lists": lists}
