"""`kept neighbors`: the entities nearest to some names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.options import Json, Quiet, command


@command
def neighbors(
    vectors: Annotated[Path, typer.Argument(help="A folder that `kept embed` wrote.")],
    names: Annotated[list[str], typer.Argument(help="Labels or keys of entities.")],
    k: Annotated[int, typer.Option("--k", "-k", min=1, help="How many neighbors each.")] = 10,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """List the nearest entities by cosine similarity."""
    from kg.embedding import Vectors

    table = Vectors.load(vectors)
    found = {name: table.neighbors(name, k) for name in names}
    if not as_json:
        for name, near in found.items():
            print(name)
            for neighbor in near:
                print(f"  {neighbor.similarity:6.3f}  {neighbor.label}")
    return {
        name: [{"key": table.keys[row], "label": label, "similarity": similarity} for row, label, similarity in near]
        for name, near in found.items()
    }
