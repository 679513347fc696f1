"""`kept records`: what a graph's facts and pictures say, as training records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.options import Json, Out, Quiet, Seed, command, say

if TYPE_CHECKING:
    from kept.data.leaks import Leaks
    from kg import KnowledgeGraph
    from kg.split import FactSplit
    from kg.verbalize import Templates


@command
def records(
    graph: Annotated[Path, typer.Argument(metavar="NAME.kg", help="The graph of all facts.", show_default=False)],
    split: Annotated[Path, typer.Option("--split", help="What `kept split` wrote.", show_default=False)],
    templates: Annotated[Path, typer.Option("--templates", help="The wordings, YAML.", show_default=False)],
    out: Out,
    sources: Annotated[
        str, typer.Option(metavar="A,B,...", help="Which records to make; each source gets a folder of its own.")
    ] = "facts,captions,picture-facts",
    probe_pictures: Annotated[
        str | None,
        typer.Option(
            metavar="RELATION=N", help="Show N pictures with their names only, to be asked for this relation later."
        ),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Say the facts of A and C in words, with their mentions found, and pictures with their names and facts.

    Refuses to write anything when a record states a fact of B or D or names a held-out entity.
    """
    from kept.data.leaks import count_leaks
    from kept.data.record import Record
    from kept.data.shards import write_records
    from kept.data.sources import SOURCES, Sayable
    from kept.linking import Linker
    from kg import KnowledgeGraph
    from kg.progress import track
    from kg.split import FactSplit
    from kg.verbalize import Templates

    makers = {name: SOURCES[name]() for name in dict.fromkeys(sources.split(","))}
    kg, parts, wordings = KnowledgeGraph.open(graph), FactSplit.load(split), Templates.load(templates)
    known = parts.graph(kg)
    check_wordings(kg, wordings, templates)
    linker = Linker.from_graph(known)
    hidden = named_only(kg, parts, probe_pictures, seed)
    world = Sayable(kg, parts, wordings, linker, frozenset(hidden), seed)
    made: dict[str, list[Record]] = {name: list(track(source.records(world), name)) for name, source in makers.items()}
    leaks = count_leaks([record for found in made.values() for record in found], kg, parts)
    refuse(leaks)
    for name, found in made.items():
        write_records(out / name, found)
        say(f"{len(found):,} records, {sum(len(record.mentions) for record in found):,} mentions: {out / name}")
    say(f"no leaks in {leaks.records:,} records; next: name these folders in a recipe, see kept recipes")
    return {
        "out": str(out),
        "records": {name: len(found) for name, found in made.items()},
        "leaks": leaks.total,
        "pictures_with_names_only": kg.entities.keys(hidden),
        "seed": seed,
    }


def check_wordings(kg: KnowledgeGraph, templates: Templates, path: Path) -> None:
    """Refuse wordings for none of the graph's relations; say which relations will not be spoken of."""
    from kg.errors import InputError

    keys = kg.relations.keys(range(kg.num_relations))
    silent = [kg.relation_label(number) for number, key in enumerate(keys) if key not in templates]
    if len(silent) == len(keys):
        raise InputError(f"{path}: has wordings for none of the graph's {len(keys)} relations, such as {keys[0]!r}")
    if silent:
        say(f"no wordings, so no sentences, for: {', '.join(silent)}")


def named_only(kg: KnowledgeGraph, parts: FactSplit, setting: str | None, seed: int) -> Sequence[int]:
    """The entities whose pictures stand beside their names alone."""
    from kept.data.corpus import choose_probe_entities
    from kg.errors import InputError
    from pipelines.split import relation_key

    if setting is None:
        return []
    relation, _, count = setting.rpartition("=")
    if not relation or not count.isdecimal():
        raise InputError(f"--probe-pictures {setting}: expected RELATION=N, for example capital=60")
    return choose_probe_entities(kg, parts, relation_key(kg, relation), count=int(count), seed=seed)


def refuse(leaks: Leaks) -> None:
    """One line about the first leak, where there is any."""
    from kg.errors import InputError

    if leaks.total:
        parts = ", ".join(f"{count} of {part}" for part, count in sorted(leaks.facts.items()))
        found = f"{sum(leaks.facts.values())} facts ({parts or 'none'}) and {leaks.held_out} held-out names"
        raise InputError(f"{leaks.total} leaks: the records state {found} that no text may; {leaks.examples[0]}")
