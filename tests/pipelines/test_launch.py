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


def pretrain(folder: Path, name: str, *settings: str, launcher: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    options = [part for setting in settings for part in ("--set", setting)]
    command = ["-m", "pipelines.cli", "pretrain", "small.yaml", "--out", name, "--json", *options]
    quiet = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    return subprocess.run(
        [sys.executable, *launcher, *command], cwd=folder, env=quiet, capture_output=True, text=True, timeout=240
    )


def test_two_processes_train_the_model_of_one(tmp_path: Path) -> None:
    write_records(tmp_path / "records", tiny.RECORDS, shard=3)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(RECIPE))
    halves = [f"stages.{stage}.sources.all.batch=2" for stage in (0, 1)]
    alone, together = pretrain(tmp_path, "one"), pretrain(tmp_path, "two", *halves, launcher=TORCHRUN)
    assert (alone.returncode, together.returncode) == (0, 0), alone.stderr + together.stderr
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
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-4)
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["model", "recipe.json", "stages"]
