"""The page of published results."""

from __future__ import annotations

from pathlib import Path

from kept.probing.ledger import record
from kept.probing.rows import Figure, Results

RUN = {"command": "kept demo", "commit": "abc", "machine": {"processor": "P", "system": "Linux", "cores": 2}}


def results(value: float) -> Results:
    row = Figure("facts", "B-test", None, "fused", "kept", "p@1", value, value - 0.01, value + 0.005, 10, (0, 1))
    return Results(RUN, (row,))


def test_a_section_holds_what_made_it_and_its_figures(tmp_path: Path) -> None:
    page = record(results(0.987), tmp_path / "docs" / "results.md", "kept demo").read_text()
    assert "- command: `kept demo`" in page
    assert "- commit: abc" in page
    assert "| fused | answer | 2 | 98.7 (97.7 to 99.2) |" in page


def test_a_section_is_replaced_and_its_neighbours_stay(tmp_path: Path) -> None:
    place = tmp_path / "results.md"
    for name, value in (("one", 0.5), ("two", 0.25), ("one", 0.75)):
        record(results(value), place, name)
    page = place.read_text()
    assert page.count("## one\n") == page.count("## two\n") == 1
    assert "75.0" in page and "25.0" in page and "50.0" not in page
    assert page.index("## one") < page.index("## two")
