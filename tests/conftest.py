"""Fixtures that all rooms share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Two workers with two threads each on two cores wait for each other in every small product: up to sixty times slower.
# It must be said before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

UNPACK = ROOT.parent / "shared" / "data" / "unpack.py"


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """`real_data("kg/aifb")` is the folder of a real data set; where the sets are absent the test is skipped."""

    def unpacked(name: str) -> Path:
        place = ROOT / ".data" / name
        if not place.is_dir():
            if not UNPACK.is_file():
                pytest.skip(f"{name}: the real data sets are not beside this checkout")
            subprocess.run([sys.executable, str(UNPACK), "--to", str(ROOT / ".data"), name], check=True)
        return place

    return unpacked
