"""`kept bench train`: a step of pre-training, KEPT beside transformers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.options import Json, Quiet, Seed, command, say

if TYPE_CHECKING:
    from kept.probing.rows import Figure

TREX = Path(".data/eval/lama/TREx")
HEADS = {
    "per second": "valid tokens a second",
    "ratio": "x transformers on the same batches",
    "ratio a core-second": "the same, a core-second",
    "padding efficiency": "valid of all places",
    "memory": "memory, MB",
    "loss": "loss before",
    "utilisation": "of the card's peak",
}
Runs = dict[str, Any]


@command
def bench_train(
    data: Annotated[Path, typer.Option(help="A folder of LAMA's T-REx (JSON lines), or a text of a line each.")] = TREX,
    model: Annotated[
        Path | None, typer.Option(help="A local BERT with its tokenizer; else fresh, MiniLM's size.")
    ] = None,
    arm: Annotated[list[str] | None, typer.Option(help="Only these arms; may be repeated.")] = None,
    batch: Annotated[int, typer.Option(help="Sentences of a batch.")] = 32,
    batches: Annotated[int, typer.Option(help="How many of the 16 batches are used.")] = 16,
    rounds: Annotated[int, typer.Option(help="How often each arm steps over all batches.")] = 3,
    threads: Annotated[int, typer.Option(help="Threads of torch; 0 for as many as there are cores.")] = 0,
    dropout: Annotated[float, typer.Option(help="Of all arms.")] = 0.0,
    out: Annotated[Path | None, typer.Option(help="A folder for results.json.")] = None,
    record: Annotated[Path | None, typer.Option(help="A Markdown page of results to write the figures into.")] = None,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Train a masked language model side by side with transformers: same weights, same sentences, same masks."""
    from kept.probing.ledger import write_section
    from kept.probing.rows import describe_run, write_results

    started = time.perf_counter()
    rows, failed = text_figures(data, model, arm, batch, batches, rounds, threads, dropout, seed)
    text = tables(rows, failed)
    run = describe_run(" ".join(["kept", *sys.argv[1:]]), started)
    if out is not None:
        write_results(out, run, rows)
    if record is not None:
        write_section(record, "kept bench train", run, text.strip())
    if not as_json:
        say(text)
    return {"rows": [row.to_json() for row in rows], "failed": failed, "run": run}


def text_figures(
    data: Path,
    model: Path | None,
    chosen: Sequence[str] | None,
    batch: int,
    batches: int,
    rounds: int,
    threads: int,
    dropout: float,
    seed: int,
) -> tuple[list[Figure], dict[str, str]]:
    """Masked language modelling: its figures, and why arms failed."""
    from kg.errors import InputError, nearest
    from kg.progress import progress
    from kg.storage import read_json
    from pipelines.bench.train_sentences import MODEL, POOL, prepare
    from pipelines.bench.train_text import ARMS, RATIOS

    for name in chosen or []:
        if name not in ARMS:
            raise InputError(f"--arm {name}: {nearest(name, ARMS)}")
    for option, value, most in (("batch", batch, 4096), ("batches", batches, POOL), ("rounds", rounds, 1000)):
        if not 0 < value <= most:
            raise InputError(f"--{option} {value}: it has to be from 1 to {most}")
    names = [name for name in ARMS if not chosen or name in chosen]
    with tempfile.TemporaryDirectory() as place, progress() as display:
        bar = display.add_task("preparing", total=len(names) + 2)
        prepare(data, model, Path(place), batch, dropout, seed)
        display.update(bar, advance=1, description="measuring memory")
        memory = {}
        for name in names:
            memory[name] = engine(["memory", "text", place, str(batches), "1", name], threads)
            display.advance(bar)
        display.update(bar, description="measuring time")
        runs = engine(["time", "text", place, str(batches), str(rounds), *names], threads)
        display.advance(bar)
        shape = read_json(Path(place) / MODEL / "config.json")
    for name, found in memory.items():
        runs[name] |= found
    layers = f"{shape['num_hidden_layers']} layers of {shape['hidden_size']}"
    split = f"masked language modelling, {batches} batches of {batch} sentences, {layers}"
    failed = {name: run["failed"] for name, run in runs.items() if "failed" in run}
    good = {name: run for name, run in runs.items() if "failed" not in run}
    return [row for name in names if name in good for row in figures(split, name, good, RATIOS[name])], failed


def engine(arguments: Sequence[str], threads: int) -> Runs:
    """Run `pipelines.bench.train_engines` once.

    Returns what it printed, or {"failed": why} for a run of memory, which an arm that cannot run fails too.

    Raises:
        InputError: when a run of time fails, with the end of what it said.
    """
    from kg.errors import InputError

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    if threads:
        environment |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "pipelines.bench.train_engines", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment)
    if ran.returncode:
        reason = (ran.stderr.strip().splitlines() or [f"signal {-ran.returncode}"])[-1]
        if arguments[0] == "memory":
            return {"failed": reason[:200]}
        raise InputError(f"bench train: {reason}")
    found: Runs = json.loads(ran.stdout.strip().splitlines()[-1])
    return found


def figures(split: str, name: str, runs: Mapping[str, Runs], held_against: str) -> list[Figure]:
    """Medians over rounds with least and greatest; ratios round by round, since both stepped at the same time."""
    from pipelines.bench.measure import figure

    run = runs[name]
    tokens = sum(units["tokens"] for units in run["units"])
    speeds = {clock: [tokens / sum(steps) for steps in run[clock]] for clock in ("wall", "cpu")}
    values = {
        "per second": speeds["wall"],
        "per core-second": speeds["cpu"],
        "padding efficiency": [tokens / sum(units["places"] for units in run["units"])],
        "loss": [run["loss"]],
    }
    peer = runs.get(held_against)
    if peer is not None:
        work = sum(units["tokens"] for units in peer["units"])
        for metric, clock in (("ratio", "wall"), ("ratio a core-second", "cpu")):
            pairs = zip(speeds[clock], peer[clock], strict=True)
            values[metric] = [speed * sum(steps) / work for speed, steps in pairs]
    for metric in ("memory", "utilisation"):
        if metric in run:
            values[metric] = [run[metric]]
    return [figure("train", split, name, metric, numbers) for metric, numbers in values.items()]


def tables(rows: Sequence[Figure], failed: Mapping[str, str]) -> str:
    """Markdown: a line for each arm, and below why others are missing."""
    from pipelines.bench.measure import by_engine

    measured = {row.metric for row in rows}
    text = by_engine(rows, {metric: head for metric, head in HEADS.items() if metric in measured})
    return text + "".join(f"\n{name}: not measured ({reason})\n" for name, reason in failed.items())
