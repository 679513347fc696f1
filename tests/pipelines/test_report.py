from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kept.probing.rows import Figure, write_results
from pipelines.cli import app

ROW = Figure("facts", "B-test", None, "fused", "kept", "p@1", 0.9, 0.85, 0.95, 200, (0, 1, 2))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_results(tmp_path, {"command": "kept demo"}, [ROW])
    return tmp_path


def test_the_page_is_made_anew(folder: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(folder), "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"report": str(folder / "report.html"), "rows": 1}
    first = (folder / "report.html").read_bytes()
    CliRunner().invoke(app, ["report", str(folder)])
    assert (folder / "report.html").read_bytes() == first


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("results.json", "{", "results.json: not valid JSON"),
        ("artefacts/curves.jsonl", '{"arm": "text"}', "curves.jsonl:1: not a line of arm, seed"),
        ("artefacts/pictures.json", '[{"image": "a.png"}]', "pictures.json: [0]: give image, question"),
    ],
)
def test_a_mistake_is_one_line_and_the_old_page_stays(folder: Path, file: str, content: str, message: str) -> None:
    (folder / "report.html").write_text("old")
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text(content)
    result = CliRunner().invoke(app, ["report", str(folder), "--json"])
    assert result.exit_code == 2 and message in json.loads(result.stdout)["error"]
    assert (folder / "report.html").read_text() == "old"


def test_a_folder_without_results_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(tmp_path / "nowhere"), "--json"])
    assert result.exit_code == 2 and "nowhere" in json.loads(result.stdout)["error"]
