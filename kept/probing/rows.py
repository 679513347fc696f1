"""Figures: every result is one row, and `results.json` is what made them and the rows themselves."""

from __future__ import annotations

import importlib.metadata
import math
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from kg.errors import InputError
from kg.storage import read_json, write_json

RESULTS = "results.json"
PACKAGES = ("kept-toolkit", "torch", "transformers", "numpy", "torch-geometric", "spacy")


@dataclass(frozen=True, slots=True)
class Figure:
    """One number with its interval and what it is about.

    Attributes:
        split: the part of the facts, or after a slash a slice of it ("B-test/unseen").
        relation: None in a total over relations.
        arm: which experiment (`kept.probing.study.ARMS`), or "X vs Y" for a difference of two.
        model: the model's name, and after a colon the route by which it answered where it has several.
        metric: accuracy, p@1, mrr, hits@10, macro p@1; with " difference" behind it for a difference.
        low, high: the 95% interval; None where there is none.
        n: how many items.
        seeds: the seeds behind it.
    """

    task: str
    split: str
    relation: str | None
    arm: str
    model: str
    metric: str
    value: float
    low: float | None
    high: float | None
    n: int
    seeds: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON object, seeds as a list."""
        return {**asdict(self), "seeds": list(self.seeds)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Figure:
        """The inverse of `to_json`; raises InputError on a missing, unknown or wrongly typed field."""
        names = [known.name for known in fields(cls)]
        if not isinstance(value, Mapping):
            raise InputError("not an object")
        for name in names:
            if name not in value:
                raise InputError(f"key {name!r} is missing")
        for name in value:
            if name not in names:
                raise InputError(f"unknown key {name!r}")
        if not isinstance(value["value"], int | float) or not math.isfinite(value["value"]):
            raise InputError(f"value is {value['value']!r}, not a number")
        if not isinstance(value["seeds"], list):
            raise InputError(f"seeds is {value['seeds']!r}, not a list")
        return cls(**{**value, "seeds": tuple(value["seeds"])})


@dataclass(frozen=True)
class Results:
    """What `results.json` holds: how the run was made, and its rows."""

    run: Mapping[str, Any]
    rows: tuple[Figure, ...]

    def select(self, **wanted: Any) -> list[Figure]:
        """The rows whose fields have these values.

        >>> Results({}, ()).select(task="facts", relation=None)
        []
        """
        return select(self.rows, **wanted)


def select(rows: Iterable[Figure], **wanted: Any) -> list[Figure]:
    """The rows whose fields have these values, in order."""
    return [row for row in rows if all(getattr(row, name) == value for name, value in wanted.items())]


def write_results(folder: Path, run: Mapping[str, Any], rows: Sequence[Figure]) -> Path:
    """Write `results.json` into a folder; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / RESULTS, {"run": dict(run), "rows": [row.to_json() for row in rows]})
    return folder / RESULTS


def read_results(place: Path) -> Results:
    """Read `results.json`, given itself or its folder.

    Raises:
        InputError: naming the file, and the row that is wrong.
    """
    path = place / RESULTS if place.is_dir() else place
    value = read_json(path)
    if not isinstance(value, dict) or set(value) != {"run", "rows"}:
        raise InputError(f"{path}: not results: it holds 'run' and 'rows' and nothing else")
    rows = []
    for number, row in enumerate(value["rows"]):
        try:
            rows.append(Figure.from_json(row))
        except InputError as error:
            raise InputError(f"{path}: rows[{number}]: {error}") from None
    return Results(value["run"], tuple(rows))


def describe_run(command: str, started: float, data: Mapping[str, str] | None = None) -> dict[str, Any]:
    """How a run was made.

    Args:
        command: the command line.
        started: `time.perf_counter()` at its start.
        data: name -> content hash of what went in.
    """
    return {
        "command": command,
        "commit": commit(),
        "data": dict(data or {}),
        "versions": {"python": platform.python_version(), **versions()},
        "machine": machine(),
        "seconds": round(time.perf_counter() - started, 1),
        "peak memory": peak_memory(),
    }


def versions() -> dict[str, str]:
    """The installed versions of what decides figures."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """System, processor and its cores."""
    import os

    return {"system": f"{platform.system()} {platform.machine()}", "processor": processor(), "cores": os.cpu_count()}


def processor() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def peak_memory() -> int | None:
    """The most bytes of memory that this process held at once; None on systems that do not count them."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024


def commit() -> str | None:
    """The commit of the checkout that this package lies in; None for an installed package."""
    here = Path(__file__).resolve().parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
