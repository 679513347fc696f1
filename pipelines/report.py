"""`kept report`: the page of a result, made anew from its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.options import Json, Quiet, command, say


@command
def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder with results.json and perhaps artefacts/.")],
    record: Annotated[
        Path | None, typer.Option("--record", help="A Markdown page of results to write the figures into.")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="The section of that page.")] = "kept demo",
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Write report.html from results.json and artefacts/, and show the tables."""
    from kept.probing.report import write_report
    from kept.probing.rows import read_results
    from kept.probing.terminal import print_results
    from kg.progress import console

    results = read_results(folder)
    page = write_report(folder)
    if record is not None:
        from kept.probing.ledger import record as write_section

        say(f"{write_section(results, record, name)}")
    if not as_json:
        print_results(results.rows, console())
    say(f"{page}")
    return {"report": str(page), "rows": len(results.rows)}
