"""`kept build-kg`: RDF dumps to a graph directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.before_numpy import settle_numpy
from pipelines.options import Json, Out, Quiet, Resume, command, parse_size, say

if TYPE_CHECKING:
    from kg.graph import KnowledgeGraph
    from kg.predicates import Predicates


@command
def build_kg(
    dumps: Annotated[
        list[str],
        typer.Argument(
            metavar="DUMP...", help="RDF files, folders, globs, or - for standard input.", show_default=False
        ),
    ],
    out: Out,
    on_error: Annotated[
        str, typer.Option(metavar="raise|skip", help="Stop at what cannot be read, or list it in rejected.tsv.")
    ] = "raise",
    max_errors: Annotated[int, typer.Option(help="With skip: stop after all past this many.")] = 10_000,
    lang: Annotated[
        str, typer.Option("--lang", metavar="A,B,...", help="Languages in which labels are shown, by preference.")
    ] = "en",
    keep_languages: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Keep only literals in these languages and untagged ones; default all."),
    ] = None,
    named_graphs: Annotated[
        str, typer.Option(metavar="keep|drop", help="What becomes of statements in named graphs.")
    ] = "keep",
    literals: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Literals to keep: label, alias, description, image, other; default all."),
    ] = None,
    same_as: Annotated[
        str, typer.Option(metavar="keep|merge", help="Whether entities that owl:sameAs connects become one.")
    ] = "keep",
    predicate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=IRI",
            help="Take a predicate as label, alias, description, image, type or same_as; may be repeated.",
        ),
    ] = None,
    syntax: Annotated[str | None, typer.Option(help="The reader for all dumps; default by suffix.")] = None,
    base: Annotated[str | None, typer.Option(help="The IRI for relative ones; default file:///NAME.")] = None,
    memory: Annotated[
        str | None, typer.Option(metavar="2GB", help="Memory to stay within; what does not fit goes to disk.")
    ] = None,
    engine: Annotated[
        str, typer.Option(metavar="local|spark", help="Who reads lines: this machine, or Apache Spark.")
    ] = "local",
    master: Annotated[
        str | None, typer.Option(help="With spark: its master; default what spark-submit gave, else this machine.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Threads that read lines, processes that read other syntaxes; default all cores.")
    ] = None,
    resume: Resume = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Build a graph from RDF dumps: N-Triples, N-Quads, Turtle, TriG, N3, RDF/XML, JSON-LD; plain, gz, bz2, xz, zst."""
    import time

    settle_numpy()
    from kg.build import build
    from kg.graph import KnowledgeGraph

    started = time.perf_counter()
    build(
        dumps,
        out,
        on_error=on_error,
        max_errors=max_errors,
        language=lang,
        languages=keep_languages.split(",") if keep_languages is not None else None,
        named_graphs=named_graphs,
        same_as=same_as,
        literals=literals.split(",") if literals is not None else None,
        predicates=parse_predicates(predicate or []),
        syntax=syntax,
        base=base,
        memory=None if memory is None else parse_size(memory, "--memory"),
        engine=engine,
        master=master,
        workers=workers or os.cpu_count() or 1,
        resume=resume,
    )
    seconds = time.perf_counter() - started
    kg = KnowledgeGraph.open(out)
    tell(kg, out, seconds)
    return {"out": str(out), "seconds": round(seconds, 3), **kg.meta.to_json()}


def parse_predicates(settings: list[str]) -> Predicates:
    """The default predicates with those of the command line in front."""
    from kg.errors import InputError
    from kg.predicates import Predicates

    predicates = Predicates()
    for setting in settings:
        role, equals, iri = setting.partition("=")
        if not equals or not iri:
            raise InputError(f"--predicate {setting}: expected ROLE=IRI, for example label=http://example.org/name")
        predicates = predicates.preferring(role, iri)
    return predicates


def tell(kg: KnowledgeGraph, out: Path, seconds: float) -> None:
    """Counts, what was left out, and what to do next."""
    from kg.reading import REJECTED
    from kg.statistics import label_candidates, labelled

    meta = kg.meta
    say(f"{meta.statements:,} statements in {seconds:.1f} s ({meta.statements / max(seconds, 1e-9):,.0f} a second)")
    say(f"  {meta.entities:,} entities, {meta.relations:,} relations, {meta.triples:,} triples")
    say(f"  {meta.literals:,} literals; {int(labelled(kg).sum()):,} entities have a label")
    for reason, count in meta.skipped.items():
        listed = f", listed in {out / REJECTED}" if reason == "malformed" else ""
        say(f"  left out: {count:,} ({reason}{listed})")
    for name, count in meta.counted.items():
        say(f"  {count:,} statements {name}")
    if labelled(kg).sum() < meta.entities / 2:
        for candidate in label_candidates(kg)[:3]:
            say(f"  perhaps these are labels: --predicate label={candidate}")
    say(f"the graph is in {out}; next: kept kg info {out}, or kept embed {out} --out vectors")
