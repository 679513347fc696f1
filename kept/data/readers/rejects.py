"""What cannot be read: the first stops a reader, or all are counted and listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kg.errors import InputError, nearest
from kg.reading import MAX_ERRORS, REJECTED

CHOICES = "raise", "skip"
HEADER = "file\tkey\treason\tdetail\n"


class Unfit(Exception):
    """A record, or a part of one, that cannot be taken.

    Args:
        reason: one of few, to count by.
        detail: what it was this time.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


@dataclass
class Rejects:
    """What a reader could not take.

    Args:
        on_error: "raise" stops at the first, "skip" leaves it out, counts it by its reason and lists it.
        max_errors: with "skip", more than this stop the reader after all.

    Raises:
        InputError: for another `on_error`.

    >>> rejects = Rejects("skip")
    >>> rejects("captions.tsv", "3", Unfit("empty text"))
    >>> dict(rejects.counts)
    {'empty text': 1}
    """

    on_error: str = "raise"
    max_errors: int = MAX_ERRORS
    counts: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        if self.on_error not in CHOICES:
            raise InputError(f"on_error: {self.on_error!r} is no choice; {nearest(self.on_error, CHOICES)}")

    def __call__(self, path: Path | str, key: object, unfit: Unfit) -> None:
        """Refuse what lies at a line or under a key of a file.

        Raises:
            InputError: when it stops the reader.
        """
        what = f"{path}:{key}: {unfit.reason}" + (f"; {unfit.detail}" if unfit.detail else "")
        if self.on_error == "raise":
            raise InputError(what)
        self.counts[unfit.reason] += 1
        if self.counts.total() > self.max_errors:
            raise InputError(f"{what}; that makes more than {self.max_errors} errors, so the reader stops")
        self.lines.append(row((str(path), str(key), unfit.reason, unfit.detail)))

    def write(self, folder: Path) -> None:
        """Write `rejected.tsv` into a folder, if anything was refused."""
        if self.lines:
            (folder / REJECTED).write_text(HEADER + "".join(self.lines), encoding="utf-8")


def row(cells: Sequence[str]) -> str:
    return "\t".join(" ".join(cell.split()) for cell in cells) + "\n"
