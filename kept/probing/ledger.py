"""`docs/results.md`: published figures, written by a command with what made them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kept.probing.rows import Figure, Results
from kept.probing.tables import Line, by_split, differences, interval_text, splits, tasks, value_text
from kg.storage import atomic_file

TITLE = "# Results\n\nEach section was written by a command and is replaced by the next run of it.\n"


def record(results: Results, path: Path, name: str) -> Path:
    """Write the section `name` of a page of results, replacing an older one of that name.

    >>> import tempfile
    >>> page = record(Results({"command": "kept demo"}, ()), Path(tempfile.mkdtemp()) / "results.md", "demo")
    >>> "## demo" in page.read_text()
    True
    """
    return write_section(path, name, results.run, figures(results.rows))


def write_section(path: Path, name: str, run: Mapping[str, Any], body: str) -> Path:
    """Write a section of a page: what made the figures (see `describe_run`), and the body."""
    page = path.read_text(encoding="utf-8") if path.exists() else TITLE
    section = f"## {name}\n\n{made_by(run)}\n{body}".rstrip() + "\n"
    older = re.compile(rf"^## {re.escape(name)}\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
    if older.search(page):
        page = older.sub(lambda _: section + "\n", page, count=1)
    else:
        page = f"{page.rstrip()}\n\n{section}"
    with atomic_file(path) as partial:
        partial.write_text(page.rstrip() + "\n", encoding="utf-8")
    return path


def made_by(run: Mapping[str, Any]) -> str:
    """Command, commit, machine, time and versions in a few lines."""
    machine = run.get("machine") or {}
    where = ", ".join(str(part) for part in (machine.get("processor"), machine.get("system")) if part)
    versions = ", ".join(f"{package} {version}" for package, version in (run.get("versions") or {}).items())
    lines = {
        "command": f"`{run.get('command', 'unknown')}`",
        "commit": run.get("commit") or "unknown",
        "machine": f"{where}, {machine.get('cores')} cores" if machine else "unknown",
        "seconds": run.get("seconds"),
        "versions": versions,
    }
    return "".join(f"- {name}: {value}\n" for name, value in lines.items() if value)


def figures(rows: Sequence[Figure]) -> str:
    """A table for each task, arms by splits, and the differences between arms with what they say."""
    parts = []
    for task in tasks(rows):
        lines = by_split(rows, task, routes=True)
        if lines:
            parts.append(table(task, lines))
    found = differences(rows)
    if found:
        head = "| difference | task | split | value | 95% interval | says |\n|---|---|---|---|---|---|\n"
        body = "".join(
            f"| {row.arm} | {row.task} | {row.split} | {value_text(row, signed=True)} | "
            f"{interval_text(row, signed=True)} | {said} |\n"
            for row, said in found
        )
        parts.append(f"### Differences\n\n{head}{body}")
    return "\n".join(parts)


def table(task: str, lines: Sequence[Line]) -> str:
    """One task: value, interval in brackets, items."""
    shown = splits([row for line in lines for row in line.cells.values()])
    metric = next(iter(lines[0].cells.values())).metric
    text = f"### {task}, {metric}\n\n| arm | route | seeds | {' | '.join(shown)} |\n|{'---|' * (len(shown) + 3)}\n"
    for line in lines:
        cells = [line.cells.get(split) for split in shown]
        seeds = max(len(cell.seeds) for cell in cells if cell is not None)
        values = " | ".join("" if cell is None else cell_text(cell) for cell in cells)
        text += f"| {line.arm} | {line.model.partition(':')[2] or 'answer'} | {seeds} | {values} |\n"
    return text


def cell_text(row: Figure) -> str:
    """Value and interval: `98.7 (97.9 to 99.4)`."""
    bounds = interval_text(row)
    return f"{value_text(row)} ({bounds})" if bounds else value_text(row)
