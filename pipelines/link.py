"""`kept link`: the entities of a graph that texts mention."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.options import Json, Quiet, command, say

if TYPE_CHECKING:
    from kept.linking import LinkedMention, Linker
    from kg import KnowledgeGraph

SHOWN = 4


@command
def link(
    graph: Annotated[Path, typer.Argument(help="A graph directory.", show_default=False)],
    corpus: Annotated[
        list[Path] | None, typer.Argument(help="Text files, one text a line.", show_default=False)
    ] = None,
    text: Annotated[list[str] | None, typer.Option("--text", help="A text to link; may be repeated.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Where the records of CORPUS go.", show_default=False)
    ] = None,
    lang: Annotated[str, typer.Option("--lang", help="The language of names and texts.")] = "en",
    ignore_case: Annotated[bool, typer.Option("--ignore-case", help="Let names match in any case.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Find entities in texts: shown for --text, written as records for CORPUS."""
    from kept.linking import Linker
    from kg import InputError, KnowledgeGraph

    if not corpus and not text:
        raise InputError("nothing to link; give --text TEXT or files of texts")
    if corpus and out is None:
        raise InputError("CORPUS: give --out for its records")
    kg = KnowledgeGraph.open(graph)
    linker = Linker.from_graph(kg, language=lang, ignore_case=ignore_case)
    summary: dict[str, Any] = {"graph": str(graph)}
    if text:
        summary["texts"] = [describe(kg, linker, one) for one in text]
        if not as_json:
            show(summary["texts"])
    if corpus and out is not None:
        summary |= write(linker, corpus, out)
        say(f"{summary['mentions']:,} mentions in {summary['records']:,} records: {out}")
    return summary


def describe(kg: KnowledgeGraph, linker: Linker, text: str) -> dict[str, Any]:
    """A text with its mentions and, for each, who else bears the name."""
    return {"text": text, "mentions": [candidates(kg, mention) for mention in linker.explain(text)]}


def candidates(kg: KnowledgeGraph, mention: LinkedMention) -> dict[str, Any]:
    bearers = []
    for entity, belief in mention.candidates:
        types = kg.labels(kg.types(entity))
        key, label = kg.entities.key(entity), kg.label(entity)
        bearers.append({"entity": key, "label": label, "types": types, "belief": belief})
    return {"start": mention.start, "end": mention.end, "name": mention.text, "candidates": bearers}


def show(texts: list[dict[str, Any]]) -> None:
    """One line a mention; the other bearers of its name behind it."""
    for one in texts:
        print(one["text"])
        for mention in one["mentions"]:
            best, *others = mention["candidates"]
            kinds = ", ".join(best["types"]) or "entity"
            line = f"  {mention['name']}  ->  {best['label']} ({kinds})  {best['entity']}"
            if others:
                rest = "; ".join(f"{', '.join(o['types']) or o['entity']} {o['belief']:.2f}" for o in others[:SHOWN])
                line += f"  {best['belief']:.2f}, not {rest}"
            print(line)
        if not one["mentions"]:
            print("  nothing that the graph knows")


def write(linker: Linker, corpus: list[Path], out: Path) -> dict[str, Any]:
    """Link files line by line into Parquet records."""
    from collections import Counter
    from collections.abc import Iterator

    from kept.data.record import Record
    from kept.data.shards import write_records
    from kept.data.sources import text_records
    from kg.progress import track

    counts: Counter[str] = Counter()

    def counted() -> Iterator[Record]:
        for record in track(text_records(corpus, linker), "linking"):
            counts["mentions"] += len(record.mentions)
            yield record

    return {"out": str(out), "records": write_records(out, counted()), "mentions": counts["mentions"]}
