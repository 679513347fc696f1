"""The command under a launcher: two processes share the work, tell things once, and train the model of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file

from kept.data.shards import write_records
from tests.kept import tiny

STAGE = {
    "name": "words",
    "steps": 4,
    "log_every": 1,
    "save_every": 2,
    "sources": {"all": {"records": "records", "batch": 4}},
    "objectives": {"mlm": {}},
}
RECIPE = {
    "name": "small",
    "tokenizer": {"vocabulary": 120},
    "model": {"width": 16, "heads": 2, "hidden": 32, "dropout": 0.0, "text": {}},
    "stages": [STAGE, {**STAGE, "name": "more"}],
}
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


def kept(folder: Path, *arguments: str, launcher: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, or in those of a launcher."""
    command = [sys.executable, *launcher, "-m", "pipelines.cli", *arguments, "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, ran.stderr
    return ran


def test_two_processes_train_the_model_of_one(tmp_path: Path) -> None:
    write_records(tmp_path / "records", tiny.RECORDS, shard=3)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(RECIPE))
    halves = [part for stage in (0, 1) for part in ("--set", f"stages.{stage}.sources.all.batch=2")]
    kept(tmp_path, "pretrain", "small.yaml", "--out", "one")
    together = kept(tmp_path, "pretrain", "small.yaml", "--out", "two", *halves, launcher=TORCHRUN)
    assert together.stderr.count("words 4/4") == 1
    assert json.loads(together.stdout)["model"] == "two/model"
    for stage in ("words", "more"):
        curves = [
            [json.loads(line) for line in (tmp_path / run / "stages" / stage / "curves.jsonl").read_text().splitlines()]
            for run in ("one", "two")
        ]
        assert {row["step"] for row in curves[0]} == {1, 2, 3, 4}
        for left, right in zip(*curves, strict=True):
            assert (left["step"], left["term"]) == (right["step"], right["term"])
            assert abs(left["value"] - right["value"]) < 1e-4 * left["value"]
    one, two = (load_file(tmp_path / run / "model" / "model.safetensors") for run in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=5e-4)
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["model", "recipe.json", "stages"]


def test_two_processes_fit_vectors(tmp_path: Path) -> None:
    lines = [f"{head}\tnext\t{(head + 1) % 12}\n" for head in range(12)]
    for part, chosen in (("train", lines), ("valid", lines[:2]), ("test", lines[2:4])):
        (tmp_path / f"{part}.txt").write_text("".join(chosen))
    told = kept(tmp_path, "embed", ".", "--out", "vectors", "--dim", "8", "--set", "epochs=2", launcher=TORCHRUN)
    assert json.loads(told.stdout)["entities"] == 12
    assert (tmp_path / "vectors").is_dir()
