from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kept.data.shards import read_records
from pipelines.cli import app
from tests.kept.data.readers.contract import picture
from tests.kept.data.readers.test_captions import TestCocoCaptions as Captions
from tests.kept.data.readers.test_regions import instances_of_coco
from tests.kept.data.readers.test_tars import image, pack

runner = CliRunner()


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two pairs, and a line between them without a text."""
    picture(tmp_path / "a.png")
    (tmp_path / "pairs.tsv").write_text("a.png\tA cat.\nb.png\t\na.png\tA small cat.\n", encoding="utf-8")
    return tmp_path / "pairs.tsv"


def test_what_was_read_is_counted(tmp_path: Path) -> None:
    options = Captions().lay(tmp_path)
    out = tmp_path / "records"
    result = runner.invoke(app, ["read", "coco-captions", options["paths"][0], "--out", str(out), "--json"])
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    expected = {"records": 3, "pictures": 2, "captions": 3, "questions": 0, "regions": 0, "relations": 0, "skipped": {}}
    assert found == {"out": str(out), "pictures_root": str(tmp_path / "annotations"), **expected}
    assert "3 records (2 pictures, 3 captions)" in result.stderr and "next: name" in result.stderr
    assert len(list(read_records(out))) == 3 and not (out / "rejected.tsv").exists()


def test_settings_reach_the_reader(tmp_path: Path) -> None:
    (tmp_path / "instances.json").write_text(json.dumps(instances_of_coco(False)))
    arguments = ["read", "coco-instances", str(tmp_path / "instances.json"), "--out", str(tmp_path / "records")]
    result = runner.invoke(app, [*arguments, "--set", "crowds=true", "--set", "folder=2017", "--json"])
    assert json.loads(result.stdout)["regions"] == 4
    assert next(read_records(tmp_path / "records")).image == "2017/000000000004.png"


def test_bad_lines_stop_or_are_listed(pairs: Path) -> None:
    arguments = ["read", "pairs", str(pairs), "--out", str(pairs.parent / "records")]
    result = runner.invoke(app, arguments)
    assert result.exit_code == 2
    assert result.stderr == f"kept: {pairs}:2: empty text; 'text'\n"
    assert not (pairs.parent / "records").exists()
    result = runner.invoke(app, [*arguments, "--on-error", "skip", "--json"])
    assert json.loads(result.stdout)["skipped"] == {"empty text": 1}
    listed = (pairs.parent / "records" / "rejected.tsv").read_text(encoding="utf-8")
    assert listed == f"file\tkey\treason\tdetail\n{pairs}\t2\tempty text\t'text'\n"
    assert "skipped: 1 empty text; each is listed in" in result.stderr
    result = runner.invoke(app, [*arguments, "--on-error", "skip", "--max-errors", "0"])
    assert result.exit_code == 2 and "more than 0 errors" in result.stderr


def test_shards_are_unpacked(tmp_path: Path) -> None:
    for number in range(2):
        pack(tmp_path / f"a-{number}.tar", [("x.png", image()), ("x.txt", b"A cat.")])
    arguments = ["read", "webdataset", f"{tmp_path}/a-{{0..1}}.tar", "--out", str(tmp_path / "records")]
    result = runner.invoke(app, [*arguments, "--pictures", str(tmp_path / "pictures"), "--json"])
    assert json.loads(result.stdout)["records"] == 2
    for record in read_records(tmp_path / "records"):
        assert record.image is not None and (tmp_path / "pictures" / record.image).read_bytes() == image()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pears", "{pairs}"], "no media reader is called 'pears'; did you mean 'pairs'?"),
        (["pairs", "{pairs}x"], "pairs.tsvx: no such file"),
        (["pairs", "{pairs}", "--set", "imgae=a"], "--set imgae=a: no such setting; did you mean 'image'?"),
        (["pairs", "{pairs}", "--set", "image"], "--set image: expected KEY=VALUE"),
        (["pairs", "{pairs}", "--set", "check_pictures=3"], "--set check_pictures=3: expected true or false"),
        (["pairs", "{pairs}", "--set", "max_pixels=a"], "--set max_pixels=a: expected a whole number"),
        (["pairs", "{pairs}", "--on-error", "skp"], "on_error: 'skp' is no choice; did you mean 'skip'?"),
        (["webdataset", "{pairs}"], "not a tar file that can be read"),
        (["vqa", "{folder}"], "no *questions.json or *annotations.json here"),
    ],
)
def test_mistakes_leave_one_line_and_nothing_else(pairs: Path, arguments: list[str], message: str) -> None:
    out = pairs.parent / "records"
    given = [argument.format(pairs=pairs, folder=pairs.parent) for argument in arguments]
    result = runner.invoke(app, ["read", *given, "--out", str(out)])
    assert result.exit_code == 2
    assert message in result.stderr and result.stderr.count("\n") == 1
    assert sorted(path.name for path in pairs.parent.iterdir()) == ["a.png", "pairs.tsv"]


def test_only_records_are_replaced(pairs: Path) -> None:
    result = runner.invoke(app, ["read", "pairs", str(pairs), "--out", str(pairs.parent), "--on-error", "skip"])
    assert result.exit_code == 2 and "already there and no records" in result.stderr
    assert pairs.is_file()
    arguments = ["read", "pairs", str(pairs), "--out", str(pairs.parent / "records"), "--on-error", "skip"]
    assert [runner.invoke(app, arguments).exit_code for _ in range(2)] == [0, 0]
