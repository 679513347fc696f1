"""Loops compiled once by numba, found again by the next process without the wait until numba is ready to compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache
from numba.core.runtime import rtsys


class Found(FunctionCache):
    """Numba's store of compiled functions, which gets all ready for compiling before it looks into it.

    That takes a sixth of a second, loads half of scipy, and is done in any case when something has to be compiled;
    machine code needs nothing of it but the memory of numba's runtime.
    """

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)


def compiled(function: Callable[..., Any]) -> Any:
    """A function over arrays, numbers and tuples of them as machine code, kept on disk; it lets other threads run.

    >>> import numpy as np
    >>> from kg.interning import Table, intern
    >>> intern(Table.empty(), b"a")[1]
    0
    """
    dispatcher: Any = njit(cache=True, nogil=True)(function)
    if isinstance(getattr(dispatcher, "_cache", None), FunctionCache) and hasattr(FunctionCache, "_load_overload"):
        dispatcher._cache = Found(function)
    return dispatcher
