"""Two files about the same things in nearly the same order, gone through side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kept.data.readers.rejects import Rejects, Unfit

WINDOW = 1000
"""Items that wait because they come earlier in one file than in the other."""


class Joined:
    """The items of a file by their keys, asked for in about the order of the file.

    Args:
        path: the file, for messages.
        items: its items, each under its key.
        window: how many items may wait to be asked for.

    >>> joined = Joined(Path("a.json"), iter([("1", "x"), ("3", "z"), ("2", "y")]), Rejects("skip"))
    >>> joined.take("1"), joined.take("2"), joined.take("4")
    ('x', 'y', None)
    >>> joined.refuse_rest("unknown")
    >>> joined.rejects.counts
    Counter({'unknown': 1})
    """

    def __init__(self, path: Path, items: Iterator[tuple[str, Any]], rejects: Rejects, *, window: int = WINDOW) -> None:
        self.path, self.rejects = path, rejects
        self._items, self._window = items, window
        self._waiting: dict[str, Any] = {}

    def take(self, key: str) -> Any:
        """The item of this key; None when the file has none within the window."""
        if key in self._waiting:
            return self._waiting.pop(key)
        while len(self._waiting) < self._window:
            found = next(self._items, None)
            if found is None:
                break
            if found[0] == key:
                return found[1]
            if found[0] in self._waiting:
                self.rejects(self.path, found[0], Unfit("said twice"))
            self._waiting.setdefault(*found)
        return None

    def refuse_rest(self, reason: str) -> None:
        """Refuse what nobody asked for."""
        for key in self._waiting:
            self.rejects(self.path, key, Unfit(reason))
        for key, _ in self._items:
            self.rejects(self.path, key, Unfit(reason))
        self._waiting = {}
