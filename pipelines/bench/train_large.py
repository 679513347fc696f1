"""`kept bench train-large`: pre-training on ten times the records, and what the process holds of them."""

from __future__ import annotations

import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.options import Json, Quiet, command, say

SHARES = (10, 1)
"""The records are trained on in this part of their number, then in all of it."""
STEPS = 50
RECIPE: dict[str, Any] = {
    "name": "large",
    "model": {"width": 64, "layers": 2, "heads": 2, "hidden": 128, "max_pieces": 128, "text": {}},
    "stages": [
        {
            "name": "words",
            "steps": STEPS,
            "save_every": 0,
            "sources": {"all": {"records": "records", "batch": 32}},
            "objectives": {"mlm": {}},
        }
    ],
}


@command
def bench_train_large(
    records: Annotated[int, typer.Option(help="Records of a sentence each.")] = 2_000_000,
    data: Annotated[
        Path, typer.Option(help="T-REx evidences of LAMA, or a text of a line each, taken in turns.")
    ] = Path(".data/eval/lama/TREx"),
    tokenizer: Annotated[Path, typer.Option(help="A local transformers folder whose tokenizer is used.")] = Path(
        ".data/minilm"
    ),
    record: Annotated[Path | None, typer.Option(help="A Markdown page of results to write the figures into.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Pre-train on records and on a tenth of them: how fast they are read, and what memory they take."""
    from kept.probing.ledger import write_section
    from kept.probing.rows import describe_run

    started = time.perf_counter()
    figures = [measured(max(1, records // share), data, tokenizer) for share in SHARES]
    text = page(figures)
    run = describe_run(" ".join(["kept", *sys.argv[1:]]), started)
    if record is not None:
        write_section(record, "kept bench train-large", run, text)
    if not as_json:
        say(text)
    return {"runs": figures, "run": run}


def measured(count: int, data: Path, tokenizer: Path) -> dict[str, Any]:
    """`kept pretrain` on so many records, from its start to its end."""
    import yaml

    from kept.data.record import Record
    from kept.data.shards import write_records
    from pipelines.bench.large import watched
    from pipelines.bench.train_sentences import read_sentences

    sentences = read_sentences(data)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        texts = islice(cycle(sentences), count)
        say(f"writing {count:,} records")
        write_records(folder / "records", (Record(id=str(place), text=text) for place, text in enumerate(texts)))
        recipe = {**RECIPE, "root": scratch, "tokenizer": {"folder": str(tokenizer.resolve())}}
        (folder / "large.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
        began = time.time()
        seconds, held = watched(["pretrain", str(folder / "large.yaml"), "--out", str(folder / "run"), "--quiet"])
        # The run's folder is given its recipe when all is read and training begins.
        reading = (folder / "run" / "recipe.json").stat().st_mtime - began
        stored = sum(path.stat().st_size for path in (folder / "records").iterdir())
    return {
        "records": count,
        "stored bytes": stored,
        "seconds before training": round(reading, 1),
        "records a second": round(count / reading),
        "seconds of training": round(seconds - reading, 1),
        "own memory before training": max(own for second, own, _ in held if second <= reading),
        "own memory in training": max(own for second, own, _ in held if second > reading),
        "mapped": max(files for _, _, files in held),
        "memory over time": held,
    }


def page(figures: list[dict[str, Any]]) -> str:
    """Markdown: a column for each number of records."""
    lines = [
        f"`kept pretrain` on sentences of T-REx, from its start through {STEPS} steps; records are tokenised into files"
        " and mapped.",
        "",
        "| records | " + " | ".join(f"{one['records']:,}" for one in figures) + " |",
        "|---" * (len(figures) + 1) + "|",
    ]
    rows = {
        "stored, MB": [one["stored bytes"] / 1e6 for one in figures],
        "before the first step, s": [one["seconds before training"] for one in figures],
        "records a second": [one["records a second"] for one in figures],
        f"{STEPS} steps, s": [one["seconds of training"] for one in figures],
        "own memory before the first step, MB": [one["own memory before training"] / 1e6 for one in figures],
        "own memory in training, MB": [one["own memory in training"] / 1e6 for one in figures],
        "mapped files, MB": [one["mapped"] / 1e6 for one in figures],
    }
    lines += [f"| {name} | " + " | ".join(f"{value:,.0f}" for value in values) + " |" for name, values in rows.items()]
    return "\n".join(lines) + "\n"
