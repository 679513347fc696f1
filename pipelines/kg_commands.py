"""`kept kg`: look into a graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.options import Json, Out, Quiet, command, say

if TYPE_CHECKING:
    from kg.graph import KnowledgeGraph

app = typer.Typer(name="kg", help="Look into a graph.", no_args_is_help=True)

Graph = Annotated[Path, typer.Argument(metavar="NAME.kg", help="A graph directory.", show_default=False)]
Entity = Annotated[str, typer.Argument(help="A name, an IRI (wd:Q90 for short), or an id.", show_default=False)]
Limit = Annotated[int, typer.Option(help="How many to show.")]


@app.command("info")
@command
def info(graph: Graph, top: Limit = 20, as_json: Json = False, quiet: Quiet = False) -> dict[str, Any]:
    """Counts, sources, what was left out, relations and types."""
    from kg.graph import KnowledgeGraph
    from kg.statistics import statistics

    kg = KnowledgeGraph.open(graph)
    counts = statistics(kg, top=top)
    meta = kg.meta.to_json()
    if not as_json:
        for name in ("entities", "relations", "triples", "literals", "statements"):
            print(f"{name:12} {meta[name]:>14,}")
        for reason, count in meta["skipped"].items():
            print(f"left out     {count:>14,}  {reason}")
        for what, count in meta["counted"].items():
            print(f"counted      {count:>14,}  {what}")
        print(f"hash         {kg.hash}")
        for source in meta["sources"]:
            print(f"source       {source['path']} ({source['bytes']:,} bytes, sha256 {source['sha256'][:16]}...)")
        print(
            f"with label   {counts['entities_with_label']:>14,}  entities; "
            f"{counts['relations_without_label']:,} relations lack one"
        )
        degree = counts["degree"]
        print(f"degree       mean {degree['mean']}, median {degree['median']:g}, most {degree['most']:,}")
        table(
            ("relation", "triples", "heads", "tails"), pick(counts["relations"], "label", "triples", "heads", "tails")
        )
        table(("type", "entities"), pick(counts["types"], "label", "entities"))
        table(("literal", "role", "count"), pick(counts["literal_predicates"], "predicate", "role", "literals"))
    return {"meta": meta, "statistics": counts}


@app.command("show")
@command
def show(
    graph: Graph,
    entity: Entity,
    limit: Limit = 20,
    draw: Annotated[
        Path | None, typer.Option(help="Draw the neighbourhood to this .png, .svg or .pdf.", show_default=False)
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """One entity: names, types, literals and neighbours."""
    from kg.graph import KnowledgeGraph

    kg = KnowledgeGraph.open(graph)
    index = kg.resolve(entity)
    about: dict[str, Any] = describe(kg, index, limit)
    if draw is not None:
        from kg.draw import draw as draw_entity

        about["drawing"] = str(draw_entity(kg, index, draw, limit=limit))
    if not as_json:
        print(f"{about['label']}  (id {index}, {about['key']})")
        for name in ("types", "aliases", "images"):
            if about[name]:
                print(f"{name:12} {', '.join(about[name])}")
        if about["description"]:
            print(f"description  {shortened(about['description'], 300)}")
        for literal in about["literals"]:
            tag = literal["language"] or local(literal["datatype"])
            print(f"  {local(literal['predicate'])}: {shortened(literal['value'], 100)}{f' ({tag})' if tag else ''}")
        for side, arrow in (("out", "->"), ("into", "<-")):
            for fact in about[side]:
                print(f"  {arrow} {fact['relation_label']}: {fact['label']}")
        print(f"{about['degree']:,} triples")
        if draw is not None:
            say(f"drawn: {draw}")
    return about


@app.command("search")
@command
def search(
    graph: Graph,
    text: Annotated[str, typer.Argument(help="The beginning of a name, or nearly a name.", show_default=False)],
    fuzzy: Annotated[
        bool, typer.Option("--fuzzy", help="Names that nearly match, instead of their beginnings.")
    ] = False,
    limit: Limit = 10,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Entities with a label or alias that begins so, in any case; where none does, those that nearly match."""
    from kg.graph import KnowledgeGraph
    from kg.prefixes import compacted

    kg = KnowledgeGraph.open(graph)
    found = [] if fuzzy else kg.search(text, limit)
    rows: list[dict[str, Any]] = [
        {
            "id": entity,
            "label": kg.label(entity),
            "key": kg.entities.key(entity),
            "types": kg.labels(kg.types(entity)),
            "degree": kg.degree(entity),
        }
        for entity in found or kg.search_near(text, limit)
    ]
    if not as_json:
        table(
            ("label", "types", "degree", "key"),
            [(r["label"], ", ".join(r["types"]), r["degree"], compacted(r["key"])) for r in rows],
        )
        if not rows:
            say(f"no name begins so or is near {text!r}")
    return {"query": text, "entities": rows}


@app.command("sparql")
@command
def sparql(
    graph: Graph,
    query: Annotated[str, typer.Argument(help="A query, or @FILE.", show_default=False)],
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Answer a SPARQL query. The usual prefixes (rdf, rdfs, skos, schema, dbo, wd, wdt, ...) need not be declared."""
    from kg.errors import InputError
    from kg.graph import KnowledgeGraph
    from kg.sparql import query as ask

    if query.startswith("@"):
        file = Path(query[1:])
        if not file.is_file():
            raise InputError(f"{file}: no such file")
        query = file.read_text(encoding="utf-8")
    answer = ask(KnowledgeGraph.open(graph), query)
    if answer.boolean is not None:
        if not as_json:
            print("yes" if answer.boolean else "no")
        return {"boolean": answer.boolean}
    if not as_json:
        table(answer.variables, answer.rows)
        say(f"{len(answer.rows):,} rows")
    return {
        "variables": list(answer.variables),
        "rows": [dict(zip(answer.variables, row, strict=True)) for row in answer.rows],
    }


@app.command("path")
@command
def path(
    graph: Graph,
    start: Entity,
    end: Entity,
    max_hops: Annotated[int, typer.Option(help="The longest path to look for.")] = 6,
    through_types: Annotated[bool, typer.Option("--through-types", help="Walk over statements of type too.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """A shortest path between two entities, over triples in either direction."""
    from kg.graph import KnowledgeGraph
    from kg.paths import shortest_path

    kg = KnowledgeGraph.open(graph)
    source, target = kg.resolve(start), kg.resolve(end)
    rows = shortest_path(kg, source, target, max_hops=max_hops, through_types=through_types)
    if rows is None:
        say(f"no path of up to {max_hops} steps leads from {kg.label(source)} to {kg.label(target)}")
        return {"start": kg.entities.key(source), "end": kg.entities.key(target), "path": None}
    facts = [
        {
            "head": kg.entities.key(int(head)),
            "head_label": kg.label(int(head)),
            "relation": kg.relations.key(int(relation)),
            "relation_label": kg.relation_label(int(relation)),
            "tail": kg.entities.key(int(tail)),
            "tail_label": kg.label(int(tail)),
        }
        for head, relation, tail in kg.triples[rows]
    ]
    if not as_json:
        for fact in facts:
            print(f"{fact['head_label']} -- {fact['relation_label']} -> {fact['tail_label']}")
    return {"start": kg.entities.key(source), "end": kg.entities.key(target), "path": facts}


@app.command("export")
@command
def export(
    graph: Graph,
    out: Out,
    form: Annotated[
        str | None, typer.Option("--format", metavar="ntriples|tsv|parquet", help="Default by the suffix of --out.")
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Write the graph as N-Triples (every statement), TSV (triples) or Parquet; compressed by the suffix."""
    from kg.export import export as write
    from kg.graph import KnowledgeGraph

    written = write(KnowledgeGraph.open(graph), out, form=form)
    say(f"{written:,} rows in {out}")
    return {"out": str(out), "rows": written}


def describe(kg: KnowledgeGraph, entity: int, limit: int) -> dict[str, Any]:
    """All that `show` tells."""

    def facts(relations: Iterable[int], others: Iterable[int]) -> list[dict[str, Any]]:
        return [
            {
                "relation": kg.relations.key(int(relation)),
                "relation_label": kg.relation_label(int(relation)),
                "entity": kg.entities.key(int(other)),
                "label": kg.label(int(other)),
            }
            for relation, other in list(zip(relations, others, strict=True))[:limit]
        ]

    literals = kg.literals(entity)
    return {
        "id": entity,
        "key": kg.entities.key(entity),
        "label": kg.label(entity),
        "aliases": kg.aliases(entity),
        "types": kg.labels(kg.types(entity)),
        "description": kg.description(entity),
        "images": kg.images(entity),
        "degree": kg.degree(entity),
        "literals": [
            {name: getattr(literal, name) for name in ("predicate", "value", "datatype", "language")}
            for literal in literals[:limit]
        ],
        "out": facts(*kg.out(entity)),
        "into": facts(*kg.into(entity)),
    }


def pick(rows: Sequence[dict[str, Any]], *columns: str) -> list[tuple[Any, ...]]:
    """Some columns of rows."""
    return [tuple(row[column] for column in columns) for row in rows]


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows under a heading, numbers to the right."""
    if not rows:
        return
    cells = [[f"{cell:,}" if isinstance(cell, int) else shortened(str(cell or ""), 70) for cell in row] for row in rows]
    widths = [max(len(column), *(len(row[place]) for row in cells)) for place, column in enumerate(columns)]
    right = [all(isinstance(row[place], int) for row in rows) for place in range(len(columns))]

    def line(texts: Sequence[str]) -> str:
        aligned = zip(texts, widths, right, strict=True)
        return "  ".join(text.rjust(width) if flush else text.ljust(width) for text, width, flush in aligned).rstrip()

    print("\n".join(["", line(columns), line(["-" * width for width in widths]), *map(line, cells)]))


def shortened(text: str, longest: int) -> str:
    """A text on one line, cut where it is too long."""
    text = " ".join(text.split())
    return text if len(text) <= longest else text[: longest - 3].rstrip() + "..."


def local(key: str | None) -> str:
    """The readable end of an IRI; nothing for None."""
    from kg.vocabulary import local_name

    return local_name(key) if key else ""
