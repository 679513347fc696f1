"""Progress on standard error, so that standard output carries results only."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

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


def is_seen() -> bool:
    """Whether standard error is a terminal, or should be taken for one."""
    return sys.stderr.isatty() or bool(os.environ.get("FORCE_COLOR"))


class Unseen:
    """In place of a progress display that nobody would see, and that takes a fiftieth of a second to load."""

    @property
    def console(self) -> Console:
        return console()

    def add_task(self, *_: Any, **__: Any) -> int:
        return 0

    def advance(self, *_: Any, **__: Any) -> None:
        return None

    update = advance

    def track(self, items: Iterable[Item], **_: Any) -> Iterable[Item]:
        return items


@contextmanager
def progress() -> Iterator[Progress]:
    """A rich progress display: description, bar, count, elapsed and remaining time."""
    if is_quiet() or not is_seen():
        yield cast("Progress", Unseen())
        return
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
    # where there is nothing to redraw, rich would leave an empty line behind
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as display:
        yield display


def track(items: Iterable[Item], label: str, total: int | None = None) -> Iterator[Item]:
    """Iterate with a progress bar on standard error."""
    with progress() as display:
        yield from display.track(items, total=total, description=label)
