"""`kept update-kg`: statements added to a graph and taken from it."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.before_numpy import settle_numpy
from pipelines.options import Json, Quiet, command, say


@command
def update_kg(
    graph: Annotated[Path, typer.Argument(metavar="NAME.kg", help="The graph; replaced in one move.")],
    dumps: Annotated[
        list[str] | None, typer.Argument(metavar="DUMP...", help="Dumps whose statements are added.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="DUMP", help="A dump whose statements are removed; may be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Another place for the result.")] = None,
    on_error: Annotated[
        str, typer.Option(metavar="raise|skip", help="Stop at what cannot be read, or list it in rejected.tsv.")
    ] = "raise",
    max_errors: Annotated[int, typer.Option(help="With skip: stop after all past this many.")] = 10_000,
    syntax: Annotated[str | None, typer.Option(help="The reader for all dumps; default by suffix.")] = None,
    base: Annotated[str | None, typer.Option(help="The IRI for relative ones; default file:///NAME.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Threads that read lines, processes that read other syntaxes; default all cores.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Add statements to a graph and remove others; what stays keeps its ids, so vectors still fit.

    Languages, named graphs and predicates are those that the graph was built with.
    """
    import time

    settle_numpy()
    from kg.update import update

    started = time.perf_counter()
    meta, change = update(
        graph,
        dumps or [],
        remove=remove or [],
        out=out,
        on_error=on_error,
        max_errors=max_errors,
        syntax=syntax,
        base=base,
        workers=workers or os.cpu_count() or 1,
    )
    seconds = time.perf_counter() - started
    say(f"{change.added:,} statements added, {change.removed:,} removed in {seconds:.1f} s")
    if change.absent:
        say(f"  {change.absent:,} that were to be removed are not in the graph")
    say(f"  {change.new_entities:,} new entities, {change.new_relations:,} new relations; the old ones keep their ids")
    place = out or graph
    say(f"  now {meta.entities:,} entities, {meta.relations:,} relations, {meta.triples:,} triples")
    say(f"the graph is in {place}; next: kept kg info {place}")
    return {"out": str(place), "seconds": round(seconds, 3), **asdict(change), **meta.to_json()}
