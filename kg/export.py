"""Graphs as files that others read."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path
from typing import IO

from kg.backends import BACKENDS
from kg.errors import InputError, nearest
from kg.graph import KnowledgeGraph
from kg.storage import atomic_directory, atomic_file

LINES = {".nt": "ntriples", ".tsv": "tsv", ".txt": "tsv"}
FORMATS = ("ntriples", "tsv", "parquet")


def export(kg: KnowledgeGraph, out: str | Path, *, form: str | None = None) -> int:
    """Write a graph and return how many lines or rows were written.

    Args:
        out: a file for N-Triples (every statement, exact) and TSV (triples of keys), compressed by its suffix .gz, .bz2
            or .xz; a folder for Parquet (`triples`, `entities`, `relations`, `literals`).
        form: "ntriples", "tsv" or "parquet"; default by suffix, and Parquet without one.

    Raises:
        InputError: for another form or suffix.

    >>> import tempfile
    >>> kg = KnowledgeGraph.from_triples([("Paris", "in", "France")])
    >>> export(kg, Path(tempfile.mkdtemp()) / "facts.tsv.gz")
    1
    """
    out = Path(out)
    suffixes = [suffix.lower() for suffix in out.suffixes if suffix.lower() not in OPENERS]
    form = form or (
        "parquet" if not out.suffix or out.suffix == ".parquet" else LINES.get(suffixes[-1] if suffixes else "")
    )
    if form is None:
        raise InputError(f"{out}: no format for this suffix; choose from {', '.join(LINES)}, or name a --format")
    if form not in FORMATS:
        raise InputError(f"no format is called {form!r}; {nearest(form, FORMATS)}")
    return _parquet(kg, out) if form == "parquet" else _lines(kg, out, form)


OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


def _lines(kg: KnowledgeGraph, out: Path, form: str) -> int:
    written = 0
    with atomic_file(out) as partial, _opened(partial, out.suffix.lower()) as handle:
        for line in BACKENDS[form]().export(kg):
            handle.write(f"{line}\n")
            written += 1
    return written


def _opened(path: Path, suffix: str) -> IO[str]:
    if suffix in OPENERS:
        return OPENERS[suffix](path, "wt", encoding="utf-8")  # type: ignore[operator]
    return path.open("w", encoding="utf-8")


def _parquet(kg: KnowledgeGraph, out: Path) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    tables = {
        "triples": pa.table({name: kg.triples[:, place] for place, name in enumerate(("head", "relation", "tail"))}),
        "entities": pa.table({"key": kg.entities.array}),
        "relations": pa.table({"key": kg.relations.array}),
        "literals": kg.parts.literals.table,
    }
    if out.exists() and not (out / "triples.parquet").is_file():
        raise InputError(f"{out}: already there and not an export; choose another place or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_directory(out) as folder:
        for name, table in tables.items():
            parquet.write_table(table, folder / f"{name}.parquet", compression="zstd")
    return sum(map(len, tables.values()))
