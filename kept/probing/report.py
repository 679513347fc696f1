"""`report.html`: one self-contained page made from rows and artefacts, light and dark, without a script."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from kept.probing import report_sections as sections
from kept.probing import report_tables as tables
from kept.probing.artefacts import FOLDER, Artefacts
from kept.probing.rows import Results, read_results
from kg.storage import atomic_file

REPORT = "report.html"


def write_report(folder: Path) -> Path:
    """Make `report.html` from a folder's `results.json` and `artefacts/`; returns its path.

    Raises:
        InputError: when the results or an artefact are missing or wrong, naming file and place.
    """
    page = render(read_results(folder), Artefacts.read(folder / FOLDER))
    with atomic_file(folder / REPORT) as partial:
        partial.write_text(page, encoding="utf-8")
    return folder / REPORT


def render(results: Results, artefacts: Artefacts) -> str:
    """The whole page. Equal rows and artefacts give equal bytes.

    >>> "<html" in render(Results({}, ()), Artefacts())
    True
    """
    template = Template(files("kept.probing").joinpath(REPORT).read_text(encoding="utf-8"))
    rows = results.rows
    parts = (
        sections.opening(rows),
        sections.reading(rows),
        tables.arms_side_by_side(rows),
        tables.every_task(rows),
        tables.following(rows),
        sections.pictures(artefacts.pictures),
        tables.comparisons(rows),
        tables.relations(rows),
        tables.routes(rows),
        sections.training(artefacts.curves),
        sections.neighbours(artefacts.neighbours),
        sections.neighbourhood(artefacts.neighbourhood),
        sections.how_it_was_run(results.run),
        sections.attribution(artefacts.attribution),
    )
    title = f"KEPT: {sections.title(rows)}"
    return template.substitute(title=escape(title), body="\n".join(part for part in parts if part))
