from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kept.probing.rows import Figure, write_results
from pipelines.cli import app
from pipelines.compare import says

ROW = Figure("facts", "B-test", None, "fused", "kept", "p@1", 0.9, 0.85, 0.95, 200, (0, 1, 2))


def run(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, ["compare", *map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_what_two_results_share_is_set_side_by_side(tmp_path: Path) -> None:
    mrr, relation = replace(ROW, metric="mrr"), replace(ROW, relation="capital")
    write_results(tmp_path / "one", {"commit": "a", "machine": "m"}, [ROW, mrr, relation, replace(ROW, arm="text")])
    write_results(tmp_path / "two", {"commit": "b", "machine": "m"}, [replace(ROW, value=0.7, low=0.6, high=0.8), mrr])
    code, told = run(tmp_path / "one", tmp_path / "two")
    assert code == 0 and told["differences"] == ["commit"]
    [row] = told["rows"]
    assert (row["arm"], row["metric"], row["says"]) == ("fused", "p@1", "apart")
    assert row["difference"] == pytest.approx(-0.2)
    code, told = run(tmp_path / "one", tmp_path / "two", "--every")
    assert [row["metric"] for row in told["rows"]] == ["p@1", "mrr"]
    shown = CliRunner().invoke(app, ["compare", str(tmp_path / "one"), str(tmp_path / "two")])
    assert "−20.0" in shown.stdout


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "equal"),
        ({"value": 0.8, "low": 0.7, "high": 0.86}, "overlapping"),
        ({"value": 0.8, "low": 0.7, "high": 0.84}, "apart"),
        ({"value": 0.99, "low": 0.96, "high": 1.0}, "apart"),
        ({"value": 0.8, "low": None, "high": None}, "unknown"),
    ],
)
def test_what_two_figures_say(change: dict[str, Any], expected: str) -> None:
    assert says(ROW, replace(ROW, **change)) == expected


def test_results_that_share_nothing_are_refused(tmp_path: Path) -> None:
    write_results(tmp_path / "one", {}, [ROW])
    write_results(tmp_path / "two", {}, [replace(ROW, task="swap")])
    code, told = run(tmp_path / "one", tmp_path / "two")
    assert code == 2 and "share no task" in told["error"]
