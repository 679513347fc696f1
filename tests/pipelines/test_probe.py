from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from kept.probing.rows import read_results, select
from kept.probing.world import write_world
from kg.embedding import FitConfig, Vectors, fit
from pipelines.cli import app
from tests.kept.probing.test_world import TEMPLATES
from tests.kept.probing.worlds import make_world


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world on disk, and vectors fitted to what its split leaves in the graph."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("probed")
    world = make_world(folder)
    world.graph.save(folder / "world.kg")
    world.split.save(folder / "split.safetensors")
    (folder / "templates.yaml").write_text(TEMPLATES)
    write_world(
        folder / "world.json",
        graph="world.kg",
        split="split.safetensors",
        templates="templates.yaml",
        group_relation="kind_of",
        swaps=world.swaps,
    )
    graph = world.split.graph(world.graph)
    config = FitConfig(dim=32, epochs=60)
    model = fit(np.asarray(graph.triples), graph.num_entities, graph.num_relations, config).model
    keys, relations = graph.entities.keys(range(graph.num_entities)), graph.relations.keys(range(graph.num_relations))
    Vectors.from_model(model, config, keys=keys, relation_keys=relations, graph=graph.hash).save(folder / "vectors")
    return folder


def run(*arguments: str | Path) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.stdout)


def probe(folder: Path, out: Path, *more: str) -> tuple[int, dict[str, Any]]:
    return run("probe", folder / "vectors", "--world", folder / "world.json", "--out", out, *more)


def test_vectors_alone_are_probed_beside_their_floors(folder: Path, tmp_path: Path) -> None:
    code, told = probe(folder, tmp_path / "out", "--task", "facts", "--task", "concept-choice")
    assert code == 0 and set(told["items"]) == {"facts", "concept-choice"}
    results = read_results(tmp_path / "out")
    values = {row.arm: row.value for row in results.select(task="facts", split="B-test", relation=None, metric="p@1")}
    assert values["graph-alone"] > 0.9 > 0.3 > values["chance"]
    assert set(values) == {"graph-alone", "majority", "chance"}
    chosen = select(results.rows, task="concept-choice", arm="chance", relation=None, metric="accuracy")
    assert [row.value for row in chosen] == [0.25]
    assert (tmp_path / "out" / "report.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "out" / "items" / "facts" / "items.jsonl").exists()
    assert set(results.run["data"]) == {"world.json", str(folder / "vectors")}


def test_a_second_run_scores_nothing_anew_and_ends_alike(folder: Path, tmp_path: Path) -> None:
    probe(folder, tmp_path / "out", "--task", "facts")
    rows, size = read_results(tmp_path / "out").rows, (tmp_path / "out" / "scores.arrows").stat().st_size
    probe(folder, tmp_path / "out", "--task", "facts", "--batch", "3")
    assert read_results(tmp_path / "out").rows == rows
    assert (tmp_path / "out" / "scores.arrows").stat().st_size == size


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--task", "fact"), "no probe is called 'fact'; did you mean 'facts'?"),
        (("--task", "picture-facts"), "picture-facts: this world has no pictures"),
        (("--task", "facts", "--world", "nowhere.json"), "nowhere.json: no such file"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(
    folder: Path, tmp_path: Path, change: tuple[str, ...], message: str
) -> None:
    code, told = probe(folder, tmp_path / "out", *change)
    assert (code, told["exit"]) == (2, 2) and message in told["error"]
    assert not (tmp_path / "out").exists()


def test_a_missing_model_is_named(folder: Path, tmp_path: Path) -> None:
    code, told = run("probe", "nowhere", "--world", folder / "world.json", "--task", "facts", "--out", tmp_path / "o")
    assert code == 2 and "nowhere: no such folder" in told["error"]


def test_tasks_are_listed_and_told(folder: Path) -> None:
    code, listed = run("tasks")
    assert code == 0 and {"facts", "swap", "picture-facts"} <= set(listed)
    code, told = run("tasks", "swap", "--world", folder / "world.json")
    assert code == 0 and told["items"] == 4 and told["metrics"][0] == "p@1"
    shown = CliRunner().invoke(app, ["tasks", "facts", "--world", str(folder / "world.json")]).stdout
    assert "left out: 1, the question names the answer" in shown and "[MASK]" in shown
    code, told = run("tasks", "swop")
    assert code == 2 and "did you mean 'swap'?" in told["error"]


def test_parts_are_listed_by_family() -> None:
    code, found = run("parts")
    assert code == 0 and {"scorer", "probe"} <= set(found)
    assert all(about for members in found.values() for about in members.values())
    code, found = run("parts", "probe")
    assert code == 0 and list(found) == ["probe"]
    code, told = run("parts", "scorers")
    assert code == 2 and "did you mean 'scorer'?" in told["error"]
