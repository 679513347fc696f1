"""Results for the terminal: the same tables as the report, in few lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kept.probing.claims import claims
from kept.probing.rows import Figure
from kept.probing.study import VERSUS
from kept.probing.tables import (
    Line,
    by_split,
    by_task,
    columns,
    differences,
    headline,
    interval_text,
    splits,
    tasks,
    telling_split,
    value_text,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

IN_FULL = ("facts", "swap")
"""The tasks that are shown on all splits."""


def print_results(rows: Sequence[Figure], console: Console) -> None:
    """The findings, every task's main figures, and what the differences say."""
    for claim in claims(rows):
        console.print(f"  {claim}", highlight=False)
    named = tasks(rows)
    for task in named if len(named) == 1 else [task for task in IN_FULL if task in named]:
        lines = by_split(rows, task)
        shown = splits([row for line in lines for row in line.cells.values()])
        console.print(arms_table(f"{task}, {headline(task)}", lines, shown))
    if len(named) > 1 and set(named) - set(IN_FULL):
        lines = by_task(rows, without=IN_FULL)
        console.print(arms_table("other tasks", lines, columns(lines)))
    if differences(rows):
        console.print(differences_table(rows))


def arms_table(title: str, lines: Sequence[Line], shown: Sequence[str | tuple[str, str]]) -> Table:
    """A line for each arm, a column for each split or task, intervals below the values."""
    table = _table(title)
    table.add_column("", no_wrap=True)
    for name in shown:
        words = "\n".join(name) if isinstance(name, tuple) else name
        table.add_column(words.replace("-", "-\n", 1) if isinstance(name, tuple) else words, justify="right")
    for line in lines:
        style = "bold" if line.arm in ("fused", "swapped") else "dim" if line.gated else None
        name = f"{line.arm}\n[red]A = {line.known:.3f}[/red]" if line.gated and line.known is not None else line.arm
        cells = [line.cells.get(column) for column in shown]
        table.add_row(name, *(figure_text(cell) for cell in cells), style=style)
    return table


def figure_text(row: Figure | None) -> str:
    """A value with its interval in dim figures below."""
    if row is None:
        return ""
    bounds = interval_text(row).replace(" to ", "–")
    return f"{value_text(row)}\n[dim]{bounds}[/dim]" if bounds else value_text(row)


def differences_table(rows: Sequence[Figure]) -> Table:
    """What each difference says, on the split of each task that tells most."""
    table = _table("differences in percentage points")
    for name in ("task", "split", "arm", "against"):
        table.add_column(name)
    table.add_column("difference", justify="right")
    table.add_column("95% interval", justify="right")
    table.add_column("")
    for row, said in differences(rows):
        if row.split == telling_split(rows, row.task) or (row.task, row.split) == ("facts", "D"):
            one, _, other = row.arm.partition(VERSUS)
            colour = {"higher": "green", "lower": "red"}.get(said, "dim")
            numbers = value_text(row, signed=True), interval_text(row, signed=True)
            table.add_row(row.task, row.split, one, other, *numbers, f"[{colour}]{said}[/{colour}]")
    return table


def _table(title: str) -> Table:
    from rich import box
    from rich.table import Table

    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
