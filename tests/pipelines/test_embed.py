"""`kept embed` and `kept neighbors`, as a user meets them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kg import KnowledgeGraph
from kg.embedding import Vectors
from pipelines.cli import app

QUICK = ["--dim", "16", "--epochs", "8", "--set", "batch=16", "--quiet"]


@pytest.fixture(autouse=True)
def quiet_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--quiet` sets the environment for worker processes; no test hands it to the next."""
    monkeypatch.setenv("KEPT_QUIET", "")


def kept(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    countries = [f"Country {row}" for row in range(12)]
    facts = [(name, "in", f"Region {row % 3}") for row, name in enumerate(countries)]
    facts += [(name, "borders", countries[(row + 3) % 12]) for row, name in enumerate(countries)]
    KnowledgeGraph.from_triples(facts, labels={"Region 0": "Far North"}).save(tmp_path / "small.kg")
    return tmp_path / "small.kg"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "facts"
    place.mkdir()
    lines = [f"e{row}\tnext\te{(row + 1) % 20}\n" for row in range(20)]
    (place / "train.txt").write_text("".join(lines))
    (place / "valid.txt").write_text("e0\tnext\te2\n")
    (place / "test.txt").write_text("e3\tnext\te5\nnew\tnext\te1\n")
    return place


def test_a_graph_becomes_vectors_and_figures(graph: Path, tmp_path: Path) -> None:
    ran = kept("embed", graph, "--out", tmp_path / "v", "--hold-out", 0.2, "--json", *QUICK)
    assert ran.exit_code == 0, ran.output
    summary = json.loads(ran.stdout)
    totals = {row["metric"]: row for row in summary["rows"] if row["relation"] is None}
    assert set(totals) == {"mrr", "mr", "amri", "hits@1", "hits@3", "hits@10"}
    assert totals["mrr"]["low"] <= totals["mrr"]["value"] <= totals["mrr"]["high"]
    assert totals["mrr"]["n"] == summary["facts"]["test"] == 2
    vectors = Vectors.load(tmp_path / "v")
    assert vectors.graph == KnowledgeGraph.open(graph).hash
    assert vectors.entities.shape == (15, 16)
    assert vectors.figures["rows"] == summary["rows"]
    assert {path.name for path in tmp_path.iterdir()} == {"small.kg", "v"}, "no state of the fit is left behind"


def test_all_facts_can_be_used(graph: Path, tmp_path: Path) -> None:
    ran = kept("embed", graph, "--out", tmp_path / "v", "--hold-out", 0, "--json", *QUICK)
    assert json.loads(ran.stdout)["facts"] == {"train": 24, "valid": 0, "test": 0}


def test_a_folder_of_splits_is_embedded(folder: Path, tmp_path: Path) -> None:
    ran = kept(
        "embed", folder, "--out", tmp_path / "v", "--scorer", "rotate", "--encoder", "rgcn", "--json", *QUICK[:-1]
    )
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["facts"] == {"train": 20, "valid": 1, "test": 2}
    assert "test: 1 entities occur in no training fact" in ran.stderr


def test_equal_seeds_give_equal_vectors(graph: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert kept("embed", graph, "--out", tmp_path / name, "--seed", seed, *QUICK).exit_code == 0
    read = {name: (tmp_path / name / "vectors.safetensors").read_bytes() for name in "abc"}
    assert read["a"] == read["b"] != read["c"]


def test_neighbors_are_listed_by_name(graph: Path, tmp_path: Path) -> None:
    kept("embed", graph, "--out", tmp_path / "v", *QUICK)
    ran = kept("neighbors", tmp_path / "v", "far north", "Country 3", "-k", 2)
    assert ran.exit_code == 0
    assert [line for line in ran.stdout.splitlines() if not line.startswith(" ")] == ["far north", "Country 3"]
    found = json.loads(kept("neighbors", tmp_path / "v", "Country 3", "-k", 2, "--json").stdout)
    assert [set(neighbor) for neighbor in found["Country 3"]] == [{"key", "label", "similarity"}] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["embed", "{graph}", "--scorer", "complx"], "did you mean 'complex'"),
        (["embed", "{graph}", "--set", "learning_rate=1"], "no setting is called 'learning_rate'"),
        (["embed", "{graph}", "--hold-out", "1.5"], "--hold-out 1.5"),
        (["embed", "{graph}", "--set", "lr=1e30", "--set", "init_std=1e15"], "not finite at step"),
        (["embed", "{missing}"], "no such graph or folder"),
        (["embed", "{empty}"], "neither a graph directory"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(
    graph: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    places = {"graph": graph, "missing": tmp_path / "missing", "empty": tmp_path / "empty"}
    before = set(tmp_path.iterdir())
    ran = kept(*(argument.format(**places) for argument in arguments), "--out", tmp_path / "v", "--quiet")
    assert ran.exit_code == 2, ran.output
    assert message in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
    assert set(tmp_path.iterdir()) == before


def test_an_unknown_entity_is_told(graph: Path, tmp_path: Path) -> None:
    kept("embed", graph, "--out", tmp_path / "v", *QUICK)
    ran = kept("neighbors", tmp_path / "v", "Far Nroth")
    assert ran.exit_code == 2
    assert "no entity is called 'Far Nroth'; did you mean 'Far North'" in ran.stderr
    assert kept("neighbors", tmp_path / "nothing", "x").exit_code == 2


@pytest.mark.data
def test_umls_is_learned(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    ran = kept("embed", real_data("kg/umls"), "--out", tmp_path / "v", "--dim", 64, "--epochs", 20, "--json", "--quiet")
    mrr = next(row["value"] for row in json.loads(ran.stdout)["rows"] if row["metric"] == "mrr")
    assert mrr > 0.8


@pytest.fixture
def vectors(graph: Path, tmp_path: Path) -> Path:
    assert kept("embed", graph, "--out", tmp_path / "vectors", *QUICK).exit_code == 0
    return tmp_path / "vectors"


def test_answers_to_a_relation_are_listed(vectors: Path) -> None:
    result = kept("neighbors", vectors, "Country 1", "--relation", "in", "-k", "2", "--json")
    assert result.exit_code == 0, result.stderr
    answers = json.loads(result.stdout)["Country 1"]
    assert len(answers) == 2
    assert {"key", "label", "score"} == set(answers[0])
    shown = kept("neighbors", vectors, "Far North", "--relation", "in", "--inverse")
    assert "(?, in, Far North)" in shown.stdout
    refused = kept("neighbors", vectors, "Far North", "--inverse")
    assert refused.exit_code == 2
    assert "--inverse: it goes with --relation" in refused.stderr


def test_vectors_are_described_drawn_and_exported(vectors: Path, graph: Path, tmp_path: Path) -> None:
    about = json.loads(kept("vectors", "info", vectors, "--json").stdout)
    assert about["scorer"] == "complex"
    assert about["settings"]["dim"] == 16
    assert "entities" in kept("vectors", "info", vectors).stdout
    drawn = kept("vectors", "map", vectors, "--draw", tmp_path / "map.svg", "--graph", graph, "--json")
    assert drawn.exit_code == 0, drawn.stderr
    assert (tmp_path / "map.svg").stat().st_size > 1000
    written = kept("vectors", "export", vectors, "--out", tmp_path / "v.txt", "--json")
    assert json.loads(written.stdout)["entities"] == about["entities"]
    refused = kept("vectors", "export", vectors, "--out", tmp_path / "v.txt")
    assert refused.exit_code == 2


def test_a_search_says_what_it_chose(folder: Path, tmp_path: Path) -> None:
    quick = ["--dim", "8", "--epochs", "2", "--minutes", "0.02", "--tune"]
    result = kept("embed", folder, "--out", tmp_path / "tuned", *quick, "--json")
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["trials"] >= 1
    assert summary["chosen"]["dim"] == 8
    assert Vectors.load(tmp_path / "tuned").figures["trials"][0]["valid_mrr"] == summary["valid_mrr"]
    assert not (tmp_path / ".tuned.fit").exists()


def test_texts_and_numbers_are_features(graph: Path, folder: Path, tmp_path: Path) -> None:
    (folder / "entity2text.txt").write_text("e0\tthe first\ne1\tthe second of them\n")
    by_text = kept("embed", folder, "--out", tmp_path / "text", "--features", "text", "--set", "free=false", *QUICK)
    assert by_text.exit_code == 0, by_text.output
    assert kept("embed", graph, "--out", tmp_path / "labels", "--features", "text", *QUICK).exit_code == 0
    for arguments, reason in (
        ((graph, "--features", "literals"), "the graph has no predicate with ten numbers or more"),
        ((folder, "--features", "literals"), "a folder of facts has no literals"),
        ((folder, "--features", "txt"), "--features txt: did you mean 'text'"),
        ((folder, "--features", "literals", "--text-model", "x"), "--text-model: it goes with --features text"),
        ((folder, "--features", "text", "--text-model", "absent"), "absent: no such folder of a language model"),
    ):
        ran = kept("embed", *arguments, "--out", tmp_path / "refused", *QUICK)
        assert ran.exit_code == 2
        assert reason in ran.stderr
        assert not (tmp_path / "refused").exists()


def test_mapped_tables_are_gone_when_the_vectors_are_there(folder: Path, tmp_path: Path) -> None:
    ran = kept("embed", folder, "--out", tmp_path / "v", "--map-tables", "--set", "mode=sampled", *QUICK)
    assert ran.exit_code == 0, ran.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["facts", "v"]
