"""The one error that users are meant to mend themselves."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something the user can mend: one clear line that names the file, line or key.

    Commands print it without a traceback and exit with code 2.

        >>> str(InputError("world.nt:3: a literal without its closing quote"))
        'world.nt:3: a literal without its closing quote'
    """


class Diverged(InputError):
    """Vectors, scores or a loss are no longer numbers: the settings of a fit do not suit its facts."""


def nearest(name: str, valid: Iterable[str]) -> str:
    """A half sentence that leads from a wrong name to the right one.

    >>> nearest("complx", ["complex", "transe"])
    "did you mean 'complex'?"
    >>> nearest("?", ["complex", "transe"])
    'choose from complex, transe'
    """
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(names)}"
