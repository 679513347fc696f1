"""What a result says, in sentences that its own rows decide."""

from __future__ import annotations

from collections.abc import Sequence

from kept.probing.rows import Figure
from kept.probing.study import DIFFERENCE, VERSUS, verdict
from kept.probing.tables import by_split, headline, number_text, tasks, telling_split

READING = (
    "A fused model finds the entity in the question and reads its facts from the graph's vectors. That is looking up, "
    "not inferring. Where the graph is silent (D), nothing beyond what the graph alone reaches is to be expected, and "
    "more than that would be the sign of a leak."
)


def claims(rows: Sequence[Figure]) -> list[str]:
    """The main findings; each is left out where its rows are absent, and hedged where arms are not comparable.

    >>> claims([])
    []
    """
    found = (_graph_only(rows), _unseen(rows), _swap(rows), _neither(rows), _verbalised(rows))
    return [claim for claim in found if claim] or _plain(rows)


def share(rows: Sequence[Figure], task: str, split: str, arm: str) -> Figure | None:
    """The headline figure of an arm's main route."""
    return next((line.cells.get(split) for line in by_split(rows, task) if line.arm == arm), None)


def percent(row: Figure) -> str:
    """A share in prose."""
    return f"{number_text(row.value, row.metric)}%"


def _plain(rows: Sequence[Figure]) -> list[str]:
    """What can be said of any result: the first task's figures, arm by arm."""
    for task in tasks(rows):
        split = telling_split(rows, task)
        shares = [(line.arm, line.cells[split]) for line in by_split(rows, task) if split in line.cells]
        if shares:
            return [f"On {task} ({split}): {', '.join(f'{arm} {percent(row)}' for arm, row in shares)}."]
    return []


def _graph_only(rows: Sequence[Figure]) -> str | None:
    fused = share(rows, "facts", "B-test", "fused")
    if fused is None:
        return None
    text = f"On facts that only the graph holds (B), the fused model answers {percent(fused)}"
    rivals = [
        f"{name} {percent(row)}{_hedge(rows, 'facts', 'B-test', arm)}"
        for arm, name in (("text", "text alone"), ("shuffled", "shuffled vectors"))
        if (row := share(rows, "facts", "B-test", arm))
    ]
    return f"{text}; {', '.join(rivals)}." if rivals else f"{text}."


def _unseen(rows: Sequence[Figure]) -> str | None:
    fused, alone = (share(rows, "unseen-entities", "B-test", arm) for arm in ("fused", "text"))
    if fused is None:
        return None
    against = f", text alone {percent(alone)}" if alone else ""
    return f"Asked about entities that no text ever named, it answers {percent(fused)}{against}."


def _swap(rows: Sequence[Figure]) -> str | None:
    swapped, scratch = (share(rows, "swap", "new", arm) for arm in ("swapped", "swapped-scratch"))
    if swapped is None:
        return None
    against = f"; with vectors fitted from scratch, the control, {percent(scratch)}" if scratch else ""
    return (
        f"When facts of the graph change after training, {percent(swapped)} of its answers follow, "
        f"with not a weight of the model touched{against}."
    )


def _neither(rows: Sequence[Figure]) -> str | None:
    fused, alone = (share(rows, "facts", "D", arm) for arm in ("fused", "graph-alone"))
    if fused is None or alone is None:
        return None
    text = f"On facts that neither text nor graph holds (D), it answers {percent(fused)}"
    return f"{text}; the graph alone, {percent(alone)}{_hedge(rows, 'facts', 'D', 'graph-alone')}."


def _verbalised(rows: Sequence[Figure]) -> str | None:
    row = share(rows, "facts", "B-test", "verbalised")
    if row is None:
        return None
    return (
        f"Writing the graph's facts into the training text reaches {percent(row)} on B"
        f"{_hedge(rows, 'facts', 'B-test', 'verbalised')}; what it cannot do is follow a change without training again."
    )


def _hedge(rows: Sequence[Figure], task: str, split: str, other: str) -> str:
    """What has to be said behind a rival's figure, if anything."""
    wanted = (task, split, f"fused{VERSUS}{other}", headline(task) + DIFFERENCE)
    row = next((row for row in rows if (row.task, row.split, row.arm, row.metric) == wanted), None)
    if row is None:
        return ""
    said = verdict(rows, row)
    if said.startswith("not comparable"):
        return f" ({said.replace(': ', ', ').replace(' (', ' in ').rstrip(')')})"
    return " (no difference)" if said == "no difference" else ""
