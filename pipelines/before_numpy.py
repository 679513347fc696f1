"""What has to be settled before numpy is loaded."""

from __future__ import annotations

import os


def settle_numpy() -> None:
    """Make numpy fit for work on large arrays; a command calls this before its imports.

    Its large arrays are spared the wait until the system has made room for huge pages, and its linear algebra, which is
    not used, starts no threads. Who has set either already is obeyed.
    """
    os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
