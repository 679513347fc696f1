"""The benches of vectors run, and say what is wrong with what they are given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from kg.embedding import FitConfig
from pipelines.bench.embed_quality import PRESETS
from pipelines.cli import app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Facts in the manner of CoDEx-S, false ones included."""
    place = tmp_path / "codex-s"
    place.mkdir()
    generator = np.random.default_rng(0)
    for part, count in (("train", 700), ("valid", 30), ("test", 30), ("valid_negatives", 30), ("test_negatives", 30)):
        facts = generator.integers(0, [60, 4, 60], (count, 3))
        lines = [f"e{head}\tr{relation}\te{tail}\n" for head, relation, tail in facts.tolist()]
        if part == "train":
            lines += [f"e{entity}\tr{entity % 4}\te{entity}\n" for entity in range(60)]
        (place / f"{part}.txt").write_text("".join(lines))
    return place


def kept(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_training_and_ranking_are_measured(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    tasks = ["--task", "sampled", "--task", "ranking", "--rounds", "1"]
    ran = kept("bench", "embed", folder, *tasks, "--engine", "kept", "--record", page, "--json")
    assert ran.exit_code == 0, ran.output
    rows = json.loads(ran.stdout)["rows"]
    assert {row["arm"] for row in rows} == {"kept, 1 thread", "kept, 2 threads"}
    assert all(row["value"] > 0 for row in rows if row["metric"] == "memory")
    assert "| engine | a core-second |" in page.read_text()


def test_models_of_the_benchmarks_are_fitted(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    presets = tmp_path / "presets.yaml"
    quick = {"name": "Quick", "published": {"mrr": 0.5, "source": "nobody"}, "settings": {"dim": 8}, "minutes": 0.01}
    presets.write_text(yaml.safe_dump({"codex-s": [quick]}))
    monkeypatch.setattr("pipelines.bench.embed_quality.PRESETS", presets)
    ran = kept("bench", "embed-quality", folder, "--record", tmp_path / "page.md", "--json")
    assert ran.exit_code == 0, ran.output
    metrics = {row["metric"] for row in json.loads(ran.stdout)["rows"]}
    assert {"mrr", "hits@10", "accuracy", "f1", "core-minutes"} <= metrics
    assert "0.500 (nobody)" in (tmp_path / "page.md").read_text()


def test_every_preset_is_a_valid_setting() -> None:
    for presets in yaml.safe_load(PRESETS.read_text()).values():
        for preset in presets:
            if "graph" not in preset:
                FitConfig(**preset["settings"])


def test_growing_graphs_are_measured() -> None:
    ran = kept("bench", "embed-large", "--entities", "2000", "--dim", "8", "--steps", "8", "--json")
    assert ran.exit_code == 0, ran.output
    assert {row["metric"] for row in json.loads(ran.stdout)["rows"]} == {"step", "memory", "first loss", "last loss"}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("embed", "absent"), "absent: there is no train.txt"),
        (("embed", "FOLDER", "--task", "rank"), "--task rank: did you mean 'ranking'"),
        (("embed", "FOLDER", "--engine", "kep"), "--engine kep: did you mean 'kept'"),
        (("embed-quality", "absent"), "absent: there are no settings for 'absent'"),
        (("embed-quality", "FOLDER", "--only", "Nothing"), "--only: none of the chosen models"),
    ],
)
def test_what_cannot_be_measured_is_named(arguments: tuple[str, ...], reason: str, folder: Path) -> None:
    ran = kept("bench", *(folder if argument == "FOLDER" else argument for argument in arguments))
    assert ran.exit_code == 2
    assert reason in ran.stderr
