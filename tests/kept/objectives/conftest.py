"""Fixtures of the objectives' tests."""

from __future__ import annotations

import pytest

from tests.kept.objectives.real import RealRecords, make_records
from tests.worlds import real_world


@pytest.fixture(scope="session")
def real_records() -> RealRecords:
    """A sample of the demo's records; skips where the packages that it is made from are absent."""
    return make_records(real_world())
