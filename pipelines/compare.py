"""`kept compare`: two results beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.options import Json, Quiet, command, say

if TYPE_CHECKING:
    from kept.probing.rows import Figure


@command
def compare(
    one: Annotated[Path, typer.Argument(metavar="DIR", help="A folder with results.json.")],
    other: Annotated[Path, typer.Argument(metavar="DIR", help="Another.")],
    every: Annotated[bool, typer.Option("--every", help="All metrics, not only each task's headline.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Show how the totals that two results share differ, and whether their intervals leave room for chance."""
    from kept.probing.rows import read_results
    from kept.probing.tables import is_headline, shared
    from kg.errors import InputError

    results = read_results(one), read_results(other)
    pairs = [pair for pair in shared(*results) if every or is_headline(pair[0])]
    if not pairs:
        raise InputError(f"{one} and {other} share no task, split, arm and model to compare")
    changed = different(results[0].run, results[1].run)
    if not as_json:
        show(pairs)
        for line in changed:
            say(f"the runs differ in {line}")
    return {
        "differences": changed,
        "rows": [
            {**{key: getattr(a, key) for key in ("task", "split", "arm", "model", "metric")}, **numbers(a, b)}
            for a, b in pairs
        ],
    }


def numbers(one: Figure, other: Figure) -> dict[str, Any]:
    """Both values and what their difference says."""
    return {"one": one.value, "other": other.value, "difference": other.value - one.value, "says": says(one, other)}


def says(one: Figure, other: Figure) -> str:
    """Equal; apart, where the intervals do not meet; overlapping, where they do; unknown, where one has none.

    Intervals that meet do not prove equality: for a paired test run both arms in one study.
    """
    if one.value == other.value:
        return "equal"
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return "unknown"
    return "apart" if one.high < other.low or other.high < one.low else "overlapping"


def different(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Which of data, commit, versions and machine are not the same in both runs."""
    return [key for key in ("data", "commit", "versions", "machine") if one.get(key) != other.get(key)]


def show(pairs: list[tuple[Figure, Figure]]) -> None:
    """A table on standard output."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from kept.probing.tables import interval_text, number_text, value_text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("task", "split", "arm", "model", "metric"):
        table.add_column(name)
    for name in ("one", "other", "difference"):
        table.add_column(name, justify="right")
    table.add_column("intervals")
    for one, other in pairs:
        cells = [f"{value_text(row)} [dim]{interval_text(row)}[/dim]" for row in (one, other)]
        gap = number_text(other.value - one.value, one.metric, signed=True)
        table.add_row(one.task, one.split, one.arm, one.model, one.metric, *cells, gap, says(one, other))
    Console().print(table)
