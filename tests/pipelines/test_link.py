from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kept.data.shards import read_records
from pipelines.cli import app
from tests.worlds import toy_graph

runner = CliRunner()


@pytest.fixture
def graph(tmp_path: Path) -> str:
    toy_graph().save(tmp_path / "toy.kg")
    return str(tmp_path / "toy.kg")


def test_texts_are_shown_with_who_else_bears_a_name(graph: str) -> None:
    result = runner.invoke(app, ["link", graph, "--text", "One can speak French in France.", "--text", "Nothing."])
    assert result.exit_code == 0
    assert "France  ->  France (country)  FR" in result.stdout
    assert "not Demonym" in result.stdout
    assert "nothing that the graph knows" in result.stdout


def test_json_is_one_object(graph: str) -> None:
    result = runner.invoke(app, ["link", graph, "--text", "Paris", "--json"])
    found = json.loads(result.stdout)["texts"][0]["mentions"][0]
    assert (found["start"], found["end"], found["candidates"][0]["entity"]) == (0, 5, "Paris")


def test_a_corpus_becomes_records(graph: str, tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("Paris is in France.\n\nA dog.\n", encoding="utf-8")
    out = tmp_path / "records"
    result = runner.invoke(app, ["link", graph, str(tmp_path / "corpus.txt"), "--out", str(out), "--json"])
    assert json.loads(result.stdout)["mentions"] == 3
    assert [len(record.mentions) for record in read_records(out)] == [2, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to link"),
        (["{folder}/corpus.txt"], "give --out"),
        (["{folder}/absent.txt", "--out", "{folder}/records"], "absent.txt: no such file"),
    ],
)
def test_mistakes_leave_one_line_and_nothing_else(
    graph: str, tmp_path: Path, arguments: list[str], message: str
) -> None:
    result = runner.invoke(app, ["link", graph, *(argument.format(folder=tmp_path) for argument in arguments)])
    assert result.exit_code == 2
    assert message in result.stderr and result.stderr.strip().count("\n") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["toy.kg"]


def test_a_missing_graph(tmp_path: Path) -> None:
    result = runner.invoke(app, ["link", str(tmp_path / "absent.kg"), "--text", "a"])
    assert result.exit_code == 2 and "absent.kg" in result.stderr
