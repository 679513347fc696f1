"""Programs side by side: wall time, processor time and memory of each, and the table of them."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kept.probing.rows import Figure
from kg.errors import InputError
from kg.progress import progress

SHOWN = {"memory": (1e-6, 0), "ratio": (1, 1), "per second": (1, 0), "per core-second": (1, 0)}
"""Scale and decimal places of metrics in a table; else 1 and 2."""


@dataclass(frozen=True)
class Cost:
    """What one run of a program took.

    Attributes:
        wall, cpu: seconds, from the start of its interpreter to its end; `cpu` of all its threads and processes.
        memory: the most bytes that its largest process held.
    """

    wall: float
    cpu: float
    memory: int


@dataclass(frozen=True)
class Program:
    """A program to measure.

    Attributes:
        arguments: behind the interpreter's name.
        cores: how many it may use.
        share: the part of the work that it does, where the whole would take too long; its times are scaled up.
    """

    arguments: Sequence[str]
    cores: int
    share: float = 1.0


def run(program: Program) -> Cost:
    """Run a program once, alone.

    Raises:
        InputError: when it fails, with the end of what it said.
    """
    cores = sorted(os.sched_getaffinity(0))[: program.cores]
    with tempfile.TemporaryFile() as said:
        started = time.perf_counter()
        command = [sys.executable, *program.arguments]
        child = subprocess.Popen(command, stdout=said, stderr=said, preexec_fn=lambda: os.sched_setaffinity(0, cores))
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()
            raise InputError(f"{' '.join(program.arguments)} failed: {lines[-1] if lines else child.returncode}")
    cpu = usage.ru_utime + usage.ru_stime
    return Cost(wall / program.share, cpu / program.share, usage.ru_maxrss * 1024)


def side_by_side(programs: Mapping[str, Program], rounds: int, warm: Sequence[str] = ()) -> dict[str, list[Cost]]:
    """Run all programs in turn, `rounds` times, so that a slow quarter of an hour is slow for all.

    `warm` are run once before, unmeasured: they compile and cache what a second run finds.
    """
    for name in warm:
        run(programs[name])
    costs: dict[str, list[Cost]] = {name: [] for name in programs}
    with progress() as display:
        bar = display.add_task("measuring", total=rounds * len(programs))
        for _ in range(rounds):
            for name, program in programs.items():
                subprocess.run(["sync"], check=False)
                costs[name].append(run(program))
                display.advance(bar)
    return costs


def figures(task: str, split: str, costs: Mapping[str, Sequence[Cost]], yardstick: str) -> list[Figure]:
    """Medians with least and greatest, and each program's speed as a multiple of the yardstick's."""
    rows = []
    base = statistics.median(cost.wall for cost in costs[yardstick]) if yardstick in costs else None
    for name, runs in costs.items():
        for metric in ("wall", "cpu", "memory"):
            values = [float(getattr(cost, metric)) for cost in runs]
            rows.append(figure(task, split, name, metric, values))
        if base is not None:
            rows.append(figure(task, split, name, "speed", [base / cost.wall for cost in runs]))
    return rows


def figure(task: str, split: str, arm: str, metric: str, values: Sequence[float]) -> Figure:
    """The median of some runs, with the least and the greatest as its bounds."""
    median, low, high = statistics.median(values), min(values), max(values)
    return Figure(task, split, None, arm, arm, metric, median, low, high, len(values), (0,))


def table(rows: Sequence[Figure], yardstick: str) -> str:
    """Markdown: a line for each program, beside the yardstick."""
    heads = {"wall": "wall, s", "cpu": "CPU, s", "memory": "memory, MB", "speed": f"speed, x {yardstick}"}
    return by_engine(rows, heads)


def by_engine(rows: Sequence[Figure], heads: Mapping[str, str]) -> str:
    """Markdown: a table for each split, a line for each engine, a column for each metric of `heads`."""
    text = ""
    for split in dict.fromkeys(row.split for row in rows):
        text += f"\n### {split}\n\n| engine | {' | '.join(heads.values())} |\n|{'---|' * (len(heads) + 1)}\n"
        for arm in dict.fromkeys(row.arm for row in rows if row.split == split):
            cells = {row.metric: row for row in rows if (row.split, row.arm) == (split, arm)}
            text += f"| {arm} | {' | '.join(cell(cells.get(metric)) for metric in heads)} |\n"
    return text


def cell(row: Figure | None) -> str:
    """A median with its least and greatest."""
    if row is None:
        return ""
    scale, places = SHOWN.get(row.metric, (1, 2))
    value, low, high = (f"{number * scale:,.{places}f}" for number in (row.value, row.low or 0.0, row.high or 0.0))
    return value if low == high else f"{value} ({low} to {high})"


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """So many threads of torch inside the block, and afterwards as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def dump_folder(given: Path | None) -> Path:
    """Where generated data lies: a folder of one's own choice, or one that the system will clear."""
    folder = given or Path(tempfile.gettempdir()) / "kept-bench"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
