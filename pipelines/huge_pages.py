"""What has to be settled before numpy is loaded."""

from __future__ import annotations

import os


def without_huge_pages() -> None:
    """Spare numpy's large arrays the wait until the system has made room for huge pages.

    It is looked up when numpy is loaded, so a command calls this before its imports; who has set it already is obeyed.
    """
    os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")
