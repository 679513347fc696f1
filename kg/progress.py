"""Progress on standard error, so that standard output carries results only."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Item = TypeVar("Item")


def console() -> Console:
    """The console of standard error."""
    from rich.console import Console

    return Console(stderr=True, quiet=is_quiet(), highlight=False)


def is_quiet() -> bool:
    """Whether `--quiet` was given; the environment carries it to worker processes."""
    return os.environ.get("KEPT_QUIET", "") == "1"


@contextmanager
def progress() -> Iterator[Progress]:
    """A rich progress display: description, bar, count, elapsed and remaining time."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    screen = console()
    # on a pipe there is nothing to redraw, and rich would leave an empty line behind
    with Progress(*columns, console=screen, transient=True, disable=is_quiet() or not screen.is_terminal) as display:
        yield display


def track(items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
    """Iterate with a progress bar on standard error."""
    with progress() as display:
        yield from display.track(items, total=total, description=label)
