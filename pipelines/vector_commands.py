"""`kept vectors`: what is in a folder of vectors, a picture of them, and other formats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.options import Json, Quiet, command, say

app = typer.Typer(help="Look at fitted vectors, draw and export them.", no_args_is_help=True)
LONG = ("rows", "history", "trials", "chosen")
"""Figures that are no single numbers."""
Folder = Annotated[Path, typer.Argument(metavar="VECTORS", help="A folder that `kept embed` wrote.")]


@app.command("info")
@command
def info(folder: Folder, as_json: Json = False, quiet: Quiet = False) -> dict[str, Any]:
    """Say what was fitted to what, how well, and with which settings."""
    from kg.embedding import FitConfig, Vectors

    vectors = Vectors.load(folder)
    usual = FitConfig(scorer=vectors.config.scorer, encoder=vectors.config.encoder).model_dump()
    summary: dict[str, Any] = {
        "entities": len(vectors.keys),
        "relations": len(vectors.relation_keys),
        "numbers of an entity": vectors.entities.shape[1],
        "graph": vectors.graph or None,
        "settings": {key: value for key, value in vectors.config.model_dump().items() if value != usual[key]},
        "scorer": vectors.config.scorer,
        "encoder": vectors.config.encoder,
        "figures": {
            key: value for key, value in vectors.figures.items() if key not in ("rows", "history", "trials", "chosen")
        },
        "rows": [row for row in vectors.figures.get("rows", []) if row.get("relation") is None],
    }
    if not as_json:
        print(
            f"{summary['entities']:,} entities and {summary['relations']:,} relations, by {summary['scorer']}", end=""
        )
        print("" if summary["encoder"] == "none" else f" over {summary['encoder']}")
        for key, value in {**summary["settings"], **summary["figures"]}.items():
            print(f"  {key}: {value}")
        for row in summary["rows"]:
            print(f"  {row['metric']:8} {row['value']:.3f}  ({row['low']:.3f} to {row['high']:.3f}, n = {row['n']})")
    return summary


@app.command("map")
@command
def map_(
    folder: Folder,
    draw: Annotated[Path, typer.Option(help="The picture to write: .png, .svg or .pdf.")],
    graph: Annotated[Path | None, typer.Option(help="The graph they were fitted to, for colours by type.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Draw all vectors as points on a plane, by their two principal components, coloured by type."""
    from kg.embedding import Vectors
    from kg.embedding.projection import draw_projection
    from kg.graph import KnowledgeGraph

    vectors = Vectors.load(folder)
    kinds = None if graph is None else kinds_of(KnowledgeGraph.open(graph), vectors.keys)
    title = f"{folder.name}: {len(vectors.keys):,} entities by {vectors.config.scorer}"
    draw_projection(vectors.entities, draw, kinds=kinds, title=title)
    say(f"the picture is in {draw}")
    return {"out": str(draw), "entities": len(vectors.keys), "typed": sum(kind is not None for kind in kinds or [])}


@app.command("export")
@command
def export(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="The file or folder to write; must not exist yet.")],
    to: Annotated[str, typer.Option(help="word2vec (a text file) or numpy (a folder of .npy and names).")] = "word2vec",
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Write the vectors in a format of other programs."""
    from kg.embedding import Vectors
    from kg.embedding.export import export as write

    vectors = Vectors.load(folder)
    write(vectors, out, to)
    say(f"{len(vectors.keys):,} vectors are in {out}")
    return {"out": str(out), "format": to, "entities": len(vectors.keys)}


def kinds_of(kg: Any, keys: list[str]) -> list[str | None]:
    """The label of an entity's first type in a graph, or None."""
    import numpy as np

    labels: dict[int, str] = {}
    first = np.full(kg.num_entities, -1, dtype=np.int64)
    typed = kg.triples[kg.is_type(kg.triples[:, 1])]
    first[typed[::-1, 0]] = typed[::-1, 2]

    def label(entity: int | None) -> str | None:
        kind = -1 if entity is None else int(first[entity])
        if kind < 0:
            return None
        if kind not in labels:
            labels[kind] = kg.label(kind)
        return labels[kind]

    return [label(kg.entities.get(key)) for key in keys]
