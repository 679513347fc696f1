"""`kept bench embed`: training and ranking of entity vectors, KEPT beside PyKEEN."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.options import Json, Quiet, command, say

if TYPE_CHECKING:
    from kept.probing.rows import Figure

PEER = "pykeen"
TASKS = {
    "1vsall": "1-vs-all training, queries",
    "sampled": f"sampled training, facts ({PEER}: 32 own negatives; kept: 2,048 shared by 1,024 facts)",
    "ranking": "full filtered ranking, facts",
}
HEADS = {
    "per core-second": "a core-second",
    "per second": "a second",
    "ratio": f"x {PEER}, a core-second",
    "memory": "memory, MB",
}
ENGINES = {
    "1vsall": ("kept", "kept bfloat16", PEER),
    "sampled": ("kept", "kept bfloat16", PEER),
    "ranking": ("kept", PEER),
}


@command
def bench_embed(
    folder: Annotated[list[Path], typer.Argument(help="Folders with train.txt, valid.txt and test.txt.")],
    task: Annotated[list[str] | None, typer.Option(help="1vsall, sampled, ranking; may be repeated.")] = None,
    engine: Annotated[list[str] | None, typer.Option(help="Only these engines; may be repeated.")] = None,
    rounds: Annotated[int, typer.Option(help="How often each engine is run.")] = 3,
    out: Annotated[Path | None, typer.Option(help="A folder for results.json.")] = None,
    record: Annotated[Path | None, typer.Option(help="A Markdown page of results to write the figures into.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Train and rank side by side with PyKEEN: the same model and settings, on one thread and on two."""
    from kept.probing.ledger import write_section
    from kept.probing.rows import describe_run, write_results
    from kg.errors import InputError, nearest
    from kg.progress import progress
    from pipelines.bench.kg import installed
    from pipelines.bench.measure import by_engine

    started = time.perf_counter()
    for name in task or []:
        if name not in TASKS:
            raise InputError(f"--task {name}: {nearest(name, TASKS)}")
    engines = {name for names in ENGINES.values() for name in names}
    for name in engine or []:
        if name not in engines:
            raise InputError(f"--engine {name}: {nearest(name, engines)}")
    for place in folder:
        if not (place / "train.txt").exists():
            raise InputError(f"{place}: there is no train.txt")
    jobs = [
        Job(place, name, one, threads)
        for place in folder
        for name in task or TASKS
        for one in ENGINES[name]
        for threads in (1, 2)
        if (not engine or one in engine) and (installed(PEER) or one != PEER)
    ]
    if not installed(PEER):
        say("pykeen is left out, it is not installed")
    costs: dict[Job, list[dict[str, float]]] = {job: [] for job in jobs}
    with progress() as display:
        bar = display.add_task("measuring", total=rounds * len(jobs))
        for _ in range(rounds):
            for job in jobs:
                costs[job].append(job.run())
                display.advance(bar)
    rows = [row for job, runs in costs.items() for row in figures(job, runs, costs)]
    text = by_engine(rows, HEADS)
    run = describe_run(" ".join(["kept", *sys.argv[1:]]), started)
    if out is not None:
        write_results(out, run, rows)
    if record is not None:
        about = f": {', '.join(task)}" if task else ""
        write_section(record, f"kept bench embed{about}", run, text.strip())
    if not as_json:
        say(text)
    return {"rows": [row.to_json() for row in rows], "run": run}


@dataclass(frozen=True)
class Job:
    """One engine at one task on one data set."""

    folder: Path
    task: str
    engine: str
    threads: int

    @property
    def arm(self) -> str:
        return f"{self.engine}, {self.threads} thread{'s' if self.threads > 1 else ''}"

    def run(self) -> dict[str, float]:
        """Units, seconds and bytes of one run.

        Raises:
            InputError: when it fails, with the end of what it said.
        """
        from kg.errors import InputError

        arguments = ["-m", "pipelines.bench.embed_engines", self.engine, self.task, str(self.folder)]
        threads = str(self.threads)
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        cores = sorted(os.sched_getaffinity(0))[: self.threads]
        with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as errors:
            child = subprocess.Popen(
                [sys.executable, *arguments],
                stdout=said,
                stderr=errors,
                env=environment,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            for stream in (said, errors):
                stream.seek(0)
            if child.returncode:
                lines = errors.read().strip().splitlines()
                raise InputError(f"{self.arm}, {self.task}: {lines[-1] if lines else child.returncode}")
            cost: dict[str, float] = json.loads(said.read().strip().splitlines()[-1])
        return {**cost, "memory": usage.ru_maxrss * 1024.0}


def figures(job: Job, runs: list[dict[str, float]], costs: dict[Job, list[dict[str, float]]]) -> list[Figure]:
    """Medians with least and greatest: units a core-second and a second, multiples of PyKEEN's, memory."""
    import statistics

    from pipelines.bench.measure import figure

    split = f"{TASKS[job.task]}: {job.folder.name}"
    rows = []
    for metric, per in (("per core-second", "cpu"), ("per second", "wall")):
        rows.append(figure("embed", split, job.arm, metric, [run["units"] / run[per] for run in runs]))
    peer = costs.get(Job(job.folder, job.task, PEER, job.threads))
    if peer:
        base = statistics.median(run["units"] / run["cpu"] for run in peer)
        rows.append(figure("embed", split, job.arm, "ratio", [run["units"] / run["cpu"] / base for run in runs]))
    rows.append(figure("embed", split, job.arm, "memory", [run["memory"] for run in runs]))
    return rows
