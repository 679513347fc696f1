"""Memory that is used again instead of being asked from the system anew."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
DEFAULTS = {M_TRIM_THRESHOLD: 128 << 10, M_MMAP_MAX: 65536}
"""glibc's own."""
_depth = 0


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Within, what is freed stays with the process, and is given back at the end.

    A step makes and frees matrices of many megabytes. The C library asks the system for such blocks one by one, and the
    system clears each page again: ten times the cost of writing to them. Without glibc nothing happens.
    """
    global _depth
    library = glibc()
    if library is not None and _depth == 0:
        library.mallopt(M_MMAP_MAX, 0)
        library.mallopt(M_TRIM_THRESHOLD, (1 << 31) - 1)
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1
        if library is not None and _depth == 0:
            for option, value in DEFAULTS.items():
                library.mallopt(option, value)
            library.malloc_trim(0)


@cache
def glibc() -> ctypes.CDLL | None:
    """The C library, where it is GNU's."""
    try:
        library = ctypes.CDLL("libc.so.6")
    except OSError:
        return None
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
