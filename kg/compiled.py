"""Loops compiled once by numba, found again by the next process without the wait until numba is ready to compile."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """A function over arrays, numbers and tuples of them as machine code, kept on disk; it lets other threads run.

    >>> @compiled  # doctest: +SKIP
    ... def total(values):
    ...     return values.sum()
    """
    dispatcher: Any = njit(cache=True, nogil=True)(function)
    store = quick_store()
    if store is not None and hasattr(dispatcher, "_cache"):
        dispatcher._cache = store(function)
    return dispatcher


@cache
def quick_store() -> type[Any] | None:
    """Numba's store of compiled functions, without what it gets ready for compiling before it looks into it.

    That takes a sixth of a second, loads half of scipy, and is done in any case when something has to be compiled;
    machine code needs nothing of it but the memory of numba's runtime. None where this numba is built differently: then
    its own store does, only later.
    """
    try:
        from numba.core.caching import FunctionCache
        from numba.core.runtime import rtsys
    except ImportError:
        return None
    needed = ((FunctionCache, "_load_overload"), (FunctionCache, "_guard_against_spurious_io_errors"))
    if not all(hasattr(*each) for each in (*needed, (rtsys, "initialize"))):
        return None

    class Quick(FunctionCache):
        def load_overload(self, sig: Any, target_context: Any) -> Any:
            rtsys.initialize(target_context)
            with self._guard_against_spurious_io_errors():
                return self._load_overload(sig, target_context)

    return Quick
