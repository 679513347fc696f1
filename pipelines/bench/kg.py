"""`kept bench kg`: from a dump to a graph, KEPT beside what people use for it."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.options import Json, Quiet, command, say

YARDSTICK = "pyoxigraph + dict"
OWN = ("kept, 1 core", "kept, 2 cores", "kept, labels, 1 core", "kept, labels, 2 cores")
SAMPLE = 200_000
"""rdflib is given so many statements only, and its times are scaled up: the whole would take it minutes."""


@command
def bench_kg(
    statements: Annotated[int, typer.Option(help="Statements in each generated dump.")] = 5_000_000,
    style: Annotated[list[str] | None, typer.Option(help="wikidata or dbpedia; may be repeated; default both.")] = None,
    engine: Annotated[list[str] | None, typer.Option(help="Only these engines; may be repeated.")] = None,
    rounds: Annotated[int, typer.Option(help="How often each engine is run.")] = 3,
    data: Annotated[Path | None, typer.Option(help="Where the dumps are made and kept.")] = None,
    out: Annotated[Path | None, typer.Option(help="A folder for results.json.")] = None,
    record: Annotated[Path | None, typer.Option(help="A Markdown page of results to write the figures into.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Build a graph from generated dumps, side by side with other ways, process start included."""
    from kept.probing.ledger import write_section
    from kept.probing.rows import describe_run, write_results
    from pipelines.bench.measure import dump_folder, figures, side_by_side, table

    started = time.perf_counter()
    rows = []
    for kind in style or ["wikidata", "dbpedia"]:
        folder = dump_folder(data)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            programs = programs_of(folder, Path(scratch), statements, kind, engine)
            costs = side_by_side(programs, rounds, warm=[name for name in OWN if name in programs])
        rows += figures("kg build", f"{kind}-like, {statements:,} statements", costs, YARDSTICK)
    text = table(rows, YARDSTICK)
    run = describe_run(" ".join(["kept", *sys.argv[1:]]), started)
    if out is not None:
        write_results(out, run, rows)
    if record is not None:
        write_section(record, "kept bench kg", run, text.strip())
    if not as_json:
        say(text)
    return {"rows": [row.to_json() for row in rows], "run": run}


def programs_of(folder: Path, scratch: Path, statements: int, style: str, chosen: list[str] | None) -> dict[str, Any]:
    """Every engine with the dump that it reads."""
    from kg.errors import InputError, nearest
    from pipelines.bench.dumps import STYLES, write_dump
    from pipelines.bench.engines import ENGINES
    from pipelines.bench.measure import Program

    if style not in STYLES:
        raise InputError(f"--style {style}: {nearest(style, STYLES)}")
    for name in chosen or []:
        if name not in ENGINES:
            raise InputError(f"--engine {name!r}: {nearest(name, ENGINES)}")
    programs = {}
    for name, engine in ENGINES.items():
        if chosen and name not in chosen:
            continue
        if engine.needs and not installed(engine.needs):
            say(f"{name}: left out, {engine.needs} is not installed")
            continue
        count = min(statements, SAMPLE) if engine.slow else statements
        dump = folder / f"{style}-{count}.nt"
        if not dump.exists():
            say(f"making {dump}")
            write_dump(dump, count, style)
        arguments = ["-m", "pipelines.bench.engines", name, str(dump), str(scratch / "made")]
        programs[name] = Program(arguments, engine.cores, count / statements)
    return programs


def installed(package: str) -> bool:
    """Whether a package can be imported."""
    import importlib.util

    return importlib.util.find_spec(package) is not None
