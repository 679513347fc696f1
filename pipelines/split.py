"""`kept split`: which facts of a graph go to text, to the graph, to both or to neither."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.options import Json, Out, Quiet, Seed, command, say

if TYPE_CHECKING:
    from kg import KnowledgeGraph
    from kg.split import FactSplit


@command
def split(
    graph: Annotated[Path, typer.Argument(metavar="NAME.kg", help="The graph of all facts.", show_default=False)],
    out: Out,
    graph_out: Annotated[
        Path | None,
        typer.Option(help="Where the graph without C and D goes, which everything after sees.", show_default=False),
    ] = None,
    hold_out: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE=N", help="Keep N entities of a type out of all text; may be repeated."),
    ] = None,
    structural: Annotated[
        list[str] | None,
        typer.Option(metavar="RELATION", help="Keep a relation's facts in the graph, unasked; may be repeated."),
    ] = None,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Deal facts to A (text and graph), B (graph), C (text), D (neither) and S (structure), safe from leaks.

    Inverse, symmetric, duplicate and alias-equal facts go to one part. Types and relations are named by key or label.
    """
    from kg import KnowledgeGraph
    from kg.split import split_facts

    kg = KnowledgeGraph.open(graph)
    parts = split_facts(
        kg,
        structural_relations=[relation_key(kg, name) for name in structural or []],
        hold_out=held_out(kg, hold_out or []),
        seed=seed,
    )
    filtered = None if graph_out is None else parts.graph(kg)
    parts.save(out)
    if filtered is not None and graph_out is not None:
        filtered.save(graph_out)
    tell(parts, graph, out, graph_out)
    return {
        "out": str(out),
        "graph_out": None if graph_out is None else str(graph_out),
        "facts": parts.counts(),
        "held_out": kg.entities.keys(parts.held_out),
        "inferable": int(parts.inferable.sum()),
        "seed": seed,
    }


def held_out(kg: KnowledgeGraph, settings: Sequence[str]) -> dict[str, int]:
    """How many entities of which types, by the types' keys."""
    return dict(counted(kg, setting) for setting in settings)


def counted(kg: KnowledgeGraph, setting: str) -> tuple[str, int]:
    from kg.errors import InputError

    name, _, count = setting.rpartition("=")
    if not name or not count.isdecimal():
        raise InputError(f"--hold-out {setting}: expected TYPE=N, for example Country=20")
    return kg.entities.key(kg.resolve(name)), int(count)


def relation_key(kg: KnowledgeGraph, name: str) -> str:
    """The key of the relation with this key or label.

    Raises:
        InputError: when there is none, or more than one has the label.
    """
    from kg.errors import InputError, nearest

    if kg.relations.get(name) is not None:
        return name
    labels = [kg.relation_label(relation) for relation in range(kg.num_relations)]
    found = [kg.relations.key(relation) for relation, label in enumerate(labels) if label == name]
    if len(found) > 1:
        raise InputError(f"{len(found)} relations are called {name!r}: {', '.join(found)}; give one of these keys")
    if not found:
        raise InputError(f"no relation has the key or label {name!r}; {nearest(name, labels)}")
    return found[0]


def tell(parts: FactSplit, graph: Path, out: Path, graph_out: Path | None) -> None:
    """The size of every part, and what to do next."""
    say(", ".join(f"{part} {count:,}" for part, count in parts.counts().items()) + " facts")
    say(f"{len(parts.held_out):,} entities are in no text; rules derive {int(parts.inferable.sum()):,} facts of D")
    if graph_out is not None:
        say(f"the graph without C and D is in {graph_out}; next: kept embed {graph_out} --out vectors")
    say(f"the split is in {out}; next: kept records {graph} --split {out} --templates FILE --out records")
