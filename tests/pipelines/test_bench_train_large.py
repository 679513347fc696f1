"""The bench of large data runs the command itself, on a tenth of the records and on all."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from kept.data.tokenizer import train_tokenizer
from pipelines.cli import app

SENTENCES = [f"The {colour} river falls near house {number}." for number in range(9) for colour in ("red", "blue")]


def test_memory_and_speed_are_told_for_both_sizes(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("\n".join(SENTENCES))
    train_tokenizer(SENTENCES, 60).save_pretrained(str(tmp_path / "tokenizer"))
    page = tmp_path / "results.md"
    options = ["--data", tmp_path / "text.txt", "--tokenizer", tmp_path / "tokenizer", "--record", page, "--json"]
    ran = CliRunner().invoke(app, ["bench", "train-large", "--records", "400", *map(str, options)])
    assert ran.exit_code == 0, ran.stderr
    small, large = json.loads(ran.stdout)["runs"]
    assert (small["records"], large["records"]) == (40, 400)
    for one in (small, large):
        assert one["seconds before training"] > 0 and one["own memory in training"] > 1e8
        assert one["records a second"] > 0 < one["stored bytes"]
    assert "| records | 40 | 400 |" in page.read_text()
