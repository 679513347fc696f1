"""`kept bench train`: a step of pre-training, KEPT beside transformers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.options import Json, Quiet, Seed, command, say

if TYPE_CHECKING:
    from kept.probing.rows import Figure

TREX = Path(".data/eval/lama/TREx")
UNITS = {"text": "tokens", "lxmert": "pairs"}
"""The tables, and what they count."""
HEADS = {
    "per second": "a second",
    "per core-second": "a core-second",
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
    task: Annotated[list[str] | None, typer.Option(help="Only this table, text or lxmert; may be repeated.")] = None,
    arm: Annotated[list[str] | None, typer.Option(help="Only these arms; may be repeated.")] = None,
    batch: Annotated[int, typer.Option(help="Sentences of a batch.")] = 32,
    pairs: Annotated[int, typer.Option(help="Texts with their regions of a batch.")] = 16,
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
    """Train a masked language model and an LXMERT side by side with transformers: same weights, inputs and masks."""
    from kept.probing.ledger import write_section
    from kept.probing.rows import describe_run, write_results
    from kg.errors import InputError
    from pipelines.bench import train_pairs, train_sentences

    started = time.perf_counter()
    counts = {"batch": (batch, 4096), "pairs": (pairs, 4096), "batches": (batches, train_sentences.POOL)}
    for option, (value, most) in (counts | {"rounds": (rounds, 1000)}).items():
        if not 0 < value <= most:
            raise InputError(f"--{option} {value}: it has to be from 1 to {most}")
    write: dict[str, Callable[[Path], None]] = {
        "text": lambda folder: train_sentences.prepare(data, model, folder, batch, dropout, seed),
        "lxmert": lambda folder: train_pairs.prepare(folder, pairs, dropout, seed),
    }
    split = {
        "text": f"masked language modelling, {batches} batches of {batch} sentences",
        "lxmert": f"LXMERT, {batches} batches of {pairs} texts with regions",
    }
    rows: list[Figure] = []
    failed: dict[str, str] = {}
    text = ""
    for name, arms in chosen_arms(task, arm).items():
        runs, shape = measure(name, arms, write[name], batches, rounds, threads)
        measured, missing = figures_of(name, f"{split[name]}, {layers(shape)}", runs)
        rows, failed, text = rows + measured, failed | missing, text + tables(name, measured, missing)
    run = describe_run(" ".join(["kept", *sys.argv[1:]]), started)
    if out is not None:
        write_results(out, run, rows)
    if record is not None:
        write_section(record, "kept bench train", run, text.strip())
    if not as_json:
        say(text)
    return {"rows": [row.to_json() for row in rows], "failed": failed, "run": run}


def chosen_arms(tasks: Sequence[str] | None, arms: Sequence[str] | None) -> dict[str, list[str]]:
    """The arms of each table that were asked for, all by default.

    Raises:
        InputError: for a table or an arm that does not exist, or when none is left.
    """
    from kg.errors import InputError, nearest
    from pipelines.bench.train_engines import TASKS

    for name in tasks or []:
        if name not in TASKS:
            raise InputError(f"--task {name}: {nearest(name, TASKS)}")
    known = {task: list(found.arms) for task, found in TASKS.items() if not tasks or task in tasks}
    every = [name for names in known.values() for name in names]
    for name in arms or []:
        if name not in every:
            raise InputError(f"--arm {name}: {nearest(name, every)}")
    chosen = {task: [name for name in names if not arms or name in arms] for task, names in known.items()}
    return {task: names for task, names in chosen.items() if names}


def measure(
    task: str, names: Sequence[str], write: Callable[[Path], None], batches: int, rounds: int, threads: int
) -> tuple[Runs, dict[str, Any]]:
    """What each arm of a table took, and the configuration of the model that `write` put into a folder."""
    from kg.progress import progress
    from kg.storage import read_json
    from pipelines.bench.train_sentences import MODEL

    with tempfile.TemporaryDirectory() as place, progress() as display:
        bar = display.add_task("preparing", total=len(names) + 2)
        write(Path(place))
        display.update(bar, advance=1, description="measuring memory")
        memory = {}
        for name in names:
            memory[name] = engine(["memory", task, place, str(batches), "1", name], threads)
            display.advance(bar)
        display.update(bar, description="measuring time")
        runs = engine(["time", task, place, str(batches), str(rounds), *names], threads)
        display.advance(bar)
        shape = read_json(Path(place) / MODEL / "config.json")
    for name, found in memory.items():
        runs[name] |= found
    return {name: runs[name] for name in names}, shape


def layers(shape: Mapping[str, Any]) -> str:
    """How deep and wide a model is."""
    deep = f"{shape['num_hidden_layers']}" if "l_layers" not in shape else "{l_layers} + {r_layers} + {x_layers}"
    return f"{deep.format(**shape)} layers of {shape['hidden_size']}"


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


def figures_of(task: str, split: str, runs: Runs) -> tuple[list[Figure], dict[str, str]]:
    """The figures of a table, and why arms are missing."""
    from pipelines.bench.train_engines import TASKS

    failed = {name: run["failed"] for name, run in runs.items() if "failed" in run}
    good = {name: run for name, run in runs.items() if "failed" not in run}
    ratios = TASKS[task].ratios
    return [row for name in good for row in figures(split, name, good, ratios[name], UNITS[task])], failed


def figures(split: str, name: str, runs: Mapping[str, Runs], held_against: str, unit: str) -> list[Figure]:
    """Medians over rounds with least and greatest; ratios round by round, since both stepped at the same time."""
    from pipelines.bench.measure import figure

    run = runs[name]
    count = sum(units[unit] for units in run["units"])
    speeds = {clock: [count / sum(steps) for steps in run[clock]] for clock in ("wall", "cpu")}
    tokens, places = (sum(units[key] for units in run["units"]) for key in ("tokens", "places"))
    values = {
        "per second": speeds["wall"],
        "per core-second": speeds["cpu"],
        "padding efficiency": [tokens / places],
        "loss": [run["loss"]],
    }
    peer = runs.get(held_against)
    if peer is not None:
        work = sum(units[unit] for units in peer["units"])
        for metric, clock in (("ratio", "wall"), ("ratio a core-second", "cpu")):
            pairs = zip(speeds[clock], peer[clock], strict=True)
            values[metric] = [speed * sum(steps) / work for speed, steps in pairs]
    for metric in ("memory", "utilisation"):
        if metric in run:
            values[metric] = [run[metric]]
    return [figure("train", split, name, metric, numbers) for metric, numbers in values.items()]


def tables(task: str, rows: Sequence[Figure], failed: Mapping[str, str]) -> str:
    """Markdown: a line for each arm, and below why others are missing."""
    from pipelines.bench.measure import by_engine

    measured = {row.metric for row in rows}
    heads = {metric: head for metric, head in HEADS.items() if metric in measured}
    for metric in ("per second", "per core-second"):
        heads[metric] = f"{'valid ' if task == 'text' else ''}{UNITS[task]} {HEADS[metric]}"
    return by_engine(rows, heads) + "".join(f"\n{name}: not measured ({why})\n" for name, why in failed.items())
