"""`kept evaluate` on a model of the tests, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kept.data.shards import write_records
from pipelines.cli import app
from tests.kept import tiny


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that reads regions and no pictures, and records for it."""
    folder = tmp_path_factory.mktemp("evaluate")
    model = tiny.model(knowledge=False, image=False, regions={"features": tiny.FEATURES}, heads={"answers": {}})
    model.save_pretrained(folder / "model")
    tiny.tokenizer().save_pretrained(str(folder / "model"))
    write_records(folder / "held-out", [replace(tiny.RECORDS[row], mentions=(), tail=None) for row in tiny.FULL])
    return folder


def run(*arguments: object) -> tuple[int, str, str]:
    found = CliRunner().invoke(app, ["evaluate", *map(str, arguments)])
    return found.exit_code, found.stdout, found.stderr


def test_it_tells_figures_as_rows(place: Path) -> None:
    records = place / "held-out"
    code, out, _ = run(
        place / "model", records, "--task", "answers", "--task", "retrieval", "--train", records, "--json",
        "--out", place / "out",
    )  # fmt: skip
    assert code == 0
    rows = json.loads(out)["rows"]
    assert {(row["task"], row["arm"]) for row in rows} >= {
        ("answers", "model"), ("answers", "majority"), ("answers", "question-only"), ("retrieval", "texts"),
    }  # fmt: skip
    assert all(row["split"] == "held-out" for row in rows)
    assert json.loads((place / "out" / "results.json").read_text())["rows"] == rows


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "answer"], "--task answer: no such task; did you mean 'answers'"),
        (["--task", "detection"], "was not trained for it (no head 'detection')"),
        (["--task", "alignment"], "no record says which region its words name"),
        (["--task", "captions", "--how", "loud"], "--how loud: write greedy, beam or nucleus"),
    ],
)
def test_mistakes_are_told_in_one_line(place: Path, arguments: list[str], message: str) -> None:
    code, _, said = run(place / "model", place / "held-out", *arguments)
    assert code == 2
    assert message in " ".join(said.split())
