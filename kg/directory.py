"""The graph directory: how a graph lies on disk.

    meta.json                    format, version, counts, hashes, sources, options, what was skipped
    entities.arrow               key; entities.order.npy: ids in ascending order of keys
    relations.arrow              key, described_by; relations.order.npy
    literals.arrow               subject, role, predicate, language, value, datatype; literals.offsets.npy
    relation_literals.arrow      the same for relations; relation_literals.offsets.npy
    names.arrow                  case-folded names in sorted order, each beside its entity
    triples.npy                  (T, 3) int32 or int64, ascending by (head, relation, tail)
    triples.out_offsets.npy, triples.in_offsets.npy, triples.in_order.npy
    triples.weights.npy          (T,) float32, only where a source weighs its statements

Arrow files are uncompressed and arrays are plain `.npy`, so all are mapped and nothing is read before it is used.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from kg.arrays import Adjacency
from kg.arrow import of_columns, of_numbers, to_numbers
from kg.assemble import Parts, Relations
from kg.errors import InputError
from kg.literals import LiteralTable, one_array
from kg.meta import GraphMeta
from kg.storage import atomic_directory, read_arrow, read_json, write_arrow, write_json
from kg.vocabulary import NameIndex, Vocabulary

META = "meta.json"
WEIGHTS = "triples.weights"
ADJACENCY = ("out_offsets", "in_offsets", "in_order")


def is_graph_directory(path: Path) -> bool:
    """Whether `path` looks like a graph directory."""
    return (path / META).is_file()


def write_directory(path: Path, parts: Parts, meta: GraphMeta, adjacency: Adjacency) -> None:
    """Write a graph directory, atomically.

    Raises:
        InputError: when something else than a graph lies at `path`.
    """
    if path.exists() and not is_graph_directory(path):
        raise InputError(f"{path}: already there and not a graph directory; choose another --out or remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_directory(path) as folder:
        fill_directory(folder, parts, adjacency)
        write_json(folder / META, meta.to_json())


def fill_directory(folder: Path, parts: Parts, adjacency: Adjacency) -> None:
    """Write the files of a graph into an existing folder, all but `meta.json`, which comes last."""

    def write_names() -> None:
        names = {"name": parts.names.names, "entity": of_numbers(parts.names.entities)}
        write_arrow(folder / "names.arrow", of_columns(names))

    with ThreadPoolExecutor(1) as aside:
        naming = aside.submit(write_names)
        if parts.threads == 1:
            naming.result()  # pages that were freed just now are the quickest to fill
        write_others(folder, parts, adjacency)
        naming.result()


def write_others(folder: Path, parts: Parts, adjacency: Adjacency) -> None:
    """The files that do not wait for the index of names."""
    relations = parts.relations
    write_arrow(folder / "entities.arrow", of_columns({"key": parts.entities.array}))
    write_arrow(
        folder / "relations.arrow",
        of_columns({"key": relations.vocabulary.array, "described_by": of_numbers(relations.described_by)}),
    )
    write_arrow(folder / "literals.arrow", parts.literals.table)
    write_arrow(folder / "relation_literals.arrow", relations.literals.table)
    arrays = {
        "entities.order": parts.entities.order,
        "relations.order": relations.vocabulary.order,
        "literals.offsets": parts.literals.offsets,
        "relation_literals.offsets": relations.literals.offsets,
        "triples": parts.triples,
        **{f"triples.{name}": getattr(adjacency, name) for name in ADJACENCY},
        **({} if parts.weights is None else {WEIGHTS: parts.weights}),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def read_directory(path: Path) -> tuple[Parts, GraphMeta, Adjacency]:
    """Map a graph directory.

    Raises:
        InputError: when `path` is absent, no graph directory, of another version, or incomplete.
    """
    if not path.exists():
        raise InputError(f"{path}: no such graph directory; `kept build-kg DUMP --out {path}` makes one")
    if not is_graph_directory(path):
        raise InputError(f"{path}: not a graph directory (it has no {META}); `kept build-kg` makes one")
    meta = GraphMeta.from_json(read_json(path / META), str(path))
    relations = read_arrow(path / "relations.arrow")
    names = read_arrow(path / "names.arrow")
    parts = Parts(
        Vocabulary(one_array(read_arrow(path / "entities.arrow")["key"]), _map(path, "entities.order"), "entity"),
        Relations(
            Vocabulary(one_array(relations["key"]), _map(path, "relations.order"), "relation"),
            LiteralTable(read_arrow(path / "relation_literals.arrow"), _map(path, "relation_literals.offsets")),
            to_numbers(relations["described_by"]),
        ),
        _map(path, "triples"),
        LiteralTable(read_arrow(path / "literals.arrow"), _map(path, "literals.offsets")),
        _map(path, WEIGHTS) if (path / f"{WEIGHTS}.npy").is_file() else None,
        NameIndex(one_array(names["name"]), to_numbers(names["entity"])),
    )
    if (len(parts.entities), len(parts.triples)) != (meta.entities, meta.triples):
        raise InputError(f"{path}: its files do not fit {META}; build the graph again with `kept build-kg`")
    return parts, meta, Adjacency(*(_map(path, f"triples.{name}") for name in ADJACENCY))


def _map(path: Path, name: str) -> np.ndarray:
    file = path / f"{name}.npy"
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise InputError(f"{file}: no such file; the graph directory is incomplete") from None
    except (ValueError, EOFError) as error:
        raise InputError(f"{file}: not an array file ({error})") from None
