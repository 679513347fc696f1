"""Rows of figures arranged for people: which order, which route, which words."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from kept.probing.rows import Figure, Results, select
from kept.probing.study import ARMS, DIFFERENCE, GATE, SLICE, TRAINED, VERSUS, known, verdict
from kept.probing.tasks import TASKS

SPLITS = {
    "A": "in text and graph",
    "B-dev": "in the graph only, for choosing designs",
    "B-test": "in the graph only",
    "C": "in text only",
    "D": "in neither",
    "S": "scaffolding of the graph",
    "new": "the new answer",
    "old": "the old answer",
}
"""What a split means, in the order of tables."""

TELLING = ("B-test", "new", "S")
"""The split that tells most about a task: the first of these that it has."""


@dataclass(frozen=True)
class Line:
    """One line of a table: an arm and its figures, by column."""

    arm: str
    model: str
    cells: dict[Any, Figure]
    known: float | None

    @property
    def gated(self) -> bool:
        """Whether the arm was trained and does not know what it was trained on."""
        return self.arm in TRAINED and (self.known is None or self.known < GATE)


def arms(rows: Sequence[Figure]) -> list[str]:
    """The arms of these rows in the order of tables, unknown ones last."""
    found = dict.fromkeys(row.arm for row in rows if VERSUS not in row.arm)
    return [arm for arm in ARMS if arm in found] + [arm for arm in found if arm not in ARMS]


def tasks(rows: Sequence[Figure]) -> list[str]:
    """The tasks of these rows in the order they came."""
    return list(dict.fromkeys(row.task for row in rows))


def splits(rows: Sequence[Figure]) -> list[str]:
    """The splits of these rows, without slices, in the order of tables, unknown ones last."""
    found = dict.fromkeys(row.split for row in rows if SLICE not in row.split)
    return [split for split in SPLITS if split in found] + [split for split in found if split not in SPLITS]


def headline(task: str) -> str:
    """The metric that a task is known by."""
    return TASKS[task].metrics[0] if task in TASKS else "accuracy"


def main_model(rows: Sequence[Figure], arm: str) -> str | None:
    """The model name of an arm's main route, which is the first it wrote."""
    return next((row.model for row in rows if row.arm == arm), None)


def models(rows: Sequence[Figure], arm: str) -> list[str]:
    """All routes of an arm, the main one first."""
    return list(dict.fromkeys(row.model for row in rows if row.arm == arm))


def by_split(rows: Sequence[Figure], task: str, *, routes: bool = False, slices: bool = False) -> list[Line]:
    """A line for each arm (or for each of its routes), a column for each split of a task (or for each slice)."""
    totals = select(rows, task=task, metric=headline(task), relation=None)
    totals = [row for row in totals if (SLICE in row.split) == slices]
    lines = []
    for arm in arms(totals):
        for model in models(totals, arm)[: None if routes else 1]:
            cells = {row.split: row for row in select(totals, arm=arm, model=model)}
            lines.append(Line(arm, model, cells, known(rows, arm, model)))
    return lines


def by_task(rows: Sequence[Figure], *, without: Collection[str] = ()) -> list[Line]:
    """A line for each arm, a column (task, split) for each task, on the split that tells most about it."""
    totals = [row for row in rows if row.task not in without and is_headline(row)]
    chosen = {task: telling_split(totals, task) for task in tasks(totals)}
    lines = []
    for arm in arms(totals):
        model = main_model(totals, arm) or ""
        own = [row for row in totals if (row.arm, row.model) == (arm, model) and chosen[row.task] == row.split]
        lines.append(Line(arm, model, {(row.task, row.split): row for row in own}, known(rows, arm, model)))
    return lines


def telling_split(rows: Sequence[Figure], task: str) -> str:
    """The split that tells most about a task, or the first it has."""
    found = splits(select(rows, task=task))
    return next((split for split in TELLING if split in found), found[0])


def by_relation(rows: Sequence[Figure], task: str, split: str) -> dict[str, dict[str, Figure]]:
    """Relation -> arm -> its figure by the main route, relations with most items first."""
    own = [row for row in select(rows, task=task, split=split, metric=headline(task)) if row.relation is not None]
    found: dict[str, dict[str, Figure]] = {}
    for row in sorted(own, key=lambda row: (-row.n, row.relation or "")):
        if row.model == main_model(rows, row.arm):
            found.setdefault(row.relation or "", {})[row.arm] = row
    return found


def differences(rows: Sequence[Figure]) -> list[tuple[Figure, str]]:
    """The differences between arms by the main route, with what each says."""
    found = [row for row in rows if row.metric.endswith(DIFFERENCE)]
    return [(row, verdict(rows, row)) for row in found if row.model == main_model(rows, row.arm.split(VERSUS)[0])]


def columns(lines: Sequence[Line]) -> list[Any]:
    """All columns that some line fills, in the order they came."""
    return list(dict.fromkeys(name for line in lines for name in line.cells))


def value_text(row: Figure, *, signed: bool = False) -> str:
    """A figure as text: a share in percent with one decimal, a mean reciprocal rank with three.

    >>> value_text(Figure("facts", "A", None, "text", "m", "p@1", 0.98712, None, None, 1, (0,)))
    '98.7'
    """
    return number_text(row.value, row.metric, signed=signed)


def interval_text(row: Figure, *, signed: bool = False) -> str:
    """The bounds of a figure, or nothing where it has none."""
    if row.low is None or row.high is None:
        return ""
    return f"{number_text(row.low, row.metric, signed=signed)} to {number_text(row.high, row.metric, signed=signed)}"


def number_text(value: float, metric: str, *, signed: bool = False) -> str:
    """One number in the way of its metric; a minus sign is a minus sign."""
    places, scale = (3, 1) if "mrr" in metric else (1, 100)
    rounded = round(value * scale, places) + 0.0
    return f"{rounded:{'+' if signed and rounded else ''}.{places}f}".replace("-", "−")


def local_name(key: str) -> str:
    """The last part of an IRI in words; other keys as they are.

    >>> local_name("http://example.org/world/official_language")
    'official language'
    """
    return key.rstrip("/#").rsplit("/", 1)[-1].rsplit("#", 1)[-1].replace("_", " ")


def shared(one: Results, other: Results) -> list[tuple[Figure, Figure]]:
    """The totals that two results have in common, as pairs."""
    places = {_place(row): row for row in other.rows}
    return [(row, places[_place(row)]) for row in one.rows if row.relation is None and _place(row) in places]


def _place(row: Figure) -> tuple[str | None, ...]:
    return row.task, row.split, row.relation, row.arm, row.model, row.metric


def is_headline(row: Figure) -> bool:
    """Whether a row is a total of its task's headline metric, and no macro mean or difference."""
    return row.relation is None and row.metric == headline(row.task)
