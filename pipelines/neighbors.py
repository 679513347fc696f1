"""`kept neighbors`: the entities nearest to some names, or those that answer a relation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.options import Json, Quiet, command


@command
def neighbors(
    vectors: Annotated[Path, typer.Argument(help="A folder that `kept embed` wrote.")],
    names: Annotated[list[str], typer.Argument(help="Labels or keys of entities.")],
    relation: Annotated[
        str | None, typer.Option("--relation", "-r", help="Tails of (name, RELATION, ?) instead; a key or its end.")
    ] = None,
    inverse: Annotated[bool, typer.Option("--inverse", help="With --relation: heads of (?, RELATION, name).")] = False,
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="How many neighbors each.")] = 10,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """List the nearest entities by cosine similarity, or the best answers to a relation by the scorer."""
    from kg.embedding import Vectors
    from kg.errors import InputError

    if inverse and relation is None:
        raise InputError("--inverse: it goes with --relation")
    table = Vectors.load(vectors)
    if relation is None:
        found = {name: table.neighbors(name, k) for name in names}
    else:
        found = {name: table.answers(name, relation, k, inverse=inverse) for name in names}
    if not as_json:
        for name, near in found.items():
            print(name if relation is None else f"(?, {relation}, {name})" if inverse else f"({name}, {relation}, ?)")
            for neighbor in near:
                print(f"  {neighbor.similarity:6.3f}  {neighbor.label}")
    measure = "similarity" if relation is None else "score"
    return {
        name: [{"key": table.keys[row], "label": label, measure: value} for row, label, value in near]
        for name, near in found.items()
    }
