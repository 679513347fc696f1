"""The ways from a dump to a graph that `kept bench kg` compares, each run as a program of its own.

    python -m pipelines.bench.engines NAME DUMP OUT

All but KEPT's make what people make of a dump by hand: edges as ids, entities, relations and labels as Parquet files;
other literals are read over. KEPT's make a whole graph directory (sorted, indexed both ways, with a name index and
hashes), with all literals or, as the others, with labels only.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.before_numpy import settle_numpy

LABELS = ("http://www.w3.org/2000/01/rdf-schema#label", "http://www.w3.org/2004/02/skos/core#altLabel")


def kept(dump: Path, out: Path, workers: int, literals: tuple[str, ...] | None = None) -> None:
    """What `kept build-kg` does."""
    settle_numpy()
    from kg.build import build

    build([dump], out / "graph.kg", workers=workers, literals=literals)


def pyoxigraph_dict(dump: Path, out: Path) -> None:
    """pyoxigraph's parser, and dictionaries for ids."""
    from pyoxigraph import Literal, RdfFormat, parse

    entities, relations, edges, labels = Numbers(), Numbers(), Edges(), Labels()
    for quad in parse(path=str(dump), format=RdfFormat.N_TRIPLES):
        subject, predicate, target = str(quad.subject), quad.predicate.value, quad.object
        number = entities.of(subject)
        if isinstance(target, Literal):
            if predicate in LABELS:
                labels.add(number, target.value, target.language)
        else:
            edges.add(number, relations.of(predicate), entities.of(str(target)))
    write(out, entities, relations, edges, labels)


def python_split(dump: Path, out: Path) -> None:
    """`bytes.split` line by line, and dictionaries; escapes in literals are decoded, nothing is checked."""
    entities, relations, edges, labels = Numbers(), Numbers(), Edges(), Labels()
    wanted = {f"<{label}>".encode() for label in LABELS}
    with dump.open("rb") as lines:
        for line in lines:
            subject, predicate, rest = line.split(b" ", 2)
            number = entities.of(subject)
            if rest.startswith(b"<"):
                edges.add(number, relations.of(predicate), entities.of(rest[:-3]))
            elif predicate in wanted:
                text, _, tag = rest[1:-3].rpartition(b'"')
                value = text.decode() if b"\\" not in text else unescaped(text.decode())
                labels.add(number, value, tag[1:].decode())
    write(out, entities, relations, edges, labels)


def polars_join(dump: Path, out: Path) -> None:
    """polars: lines split by expressions, ids by joins on the strings."""
    import polars as pl

    lines = pl.scan_csv(
        dump, has_header=False, separator="\x01", quote_char=None, new_columns=["line"], truncate_ragged_lines=True
    )
    first = pl.col("line").str.splitn(" ", 3)
    terms = lines.select(
        first.struct.field("field_0").alias("s"),
        first.struct.field("field_1").alias("p"),
        first.struct.field("field_2").str.strip_suffix(" .").alias("o"),
    ).collect()
    edges = terms.filter(pl.col("o").str.starts_with("<"))
    entities = pl.concat([terms["s"], edges["o"]]).unique().to_frame("key").with_row_index("id")
    relations = edges["p"].unique().to_frame("key").with_row_index("id")
    numbered = (
        edges.join(entities.rename({"key": "s", "id": "h"}), on="s")
        .join(relations.rename({"key": "p", "id": "r"}), on="p")
        .join(entities.rename({"key": "o", "id": "t"}), on="o")
        .select("h", "r", "t")
    )
    text = pl.col("o").str.extract_groups(r'^"((?:[^"\\]|\\.)*)"@([A-Za-z0-9-]+)$')
    labels = (
        terms.filter(pl.col("p").is_in([f"<{label}>" for label in LABELS]))
        .join(entities.rename({"key": "s"}), on="s")
        .select("id", text.struct.field("1").alias("value"), text.struct.field("2").alias("language"))
    )
    escaped = labels["value"].str.contains("\\", literal=True)
    decoded = labels.filter(escaped)["value"].map_elements(unescaped, return_dtype=pl.String)
    labels = pl.concat([labels.filter(~escaped), labels.filter(escaped).with_columns(decoded.alias("value"))])
    for name, table in (("edges", numbered), ("entities", entities), ("relations", relations), ("labels", labels)):
        table.write_parquet(out / f"{name}.parquet", compression="zstd")


def lightrdf_dict(dump: Path, out: Path) -> None:
    """lightrdf's parser, and dictionaries for ids; its terms are strings as they stand in the dump."""
    import lightrdf

    entities, relations, edges, labels = Numbers(), Numbers(), Edges(), Labels()
    for subject, predicate, target in lightrdf.Parser().parse(str(dump)):
        number = entities.of(subject)
        if not target.startswith('"'):
            edges.add(number, relations.of(predicate), entities.of(target))
        elif predicate.strip("<>") in LABELS:
            text, _, tag = target[1:].rpartition('"')
            labels.add(number, unescaped(text) if "\\" in text else text, tag[1:])
    write(out, entities, relations, edges, labels)


def rdflib_dict(dump: Path, out: Path) -> None:
    """rdflib's Graph, and dictionaries for ids."""
    import rdflib

    graph = rdflib.Graph().parse(str(dump), format="nt")
    entities, relations, edges, labels = Numbers(), Numbers(), Edges(), Labels()
    for subject, predicate, target in graph:
        number = entities.of(str(subject))
        if isinstance(target, rdflib.Literal):
            if str(predicate) in LABELS:
                labels.add(number, str(target), target.language)
        else:
            edges.add(number, relations.of(str(predicate)), entities.of(str(target)))
    write(out, entities, relations, edges, labels)


class Numbers(dict[Any, int]):
    """Keys and their numbers."""

    def of(self, key: Any) -> int:
        return self.setdefault(key, len(self))


class Edges:
    """Columns of ids."""

    def __init__(self) -> None:
        from array import array

        self.columns = [array("i"), array("i"), array("i")]
        self._append = [column.append for column in self.columns]

    def add(self, head: int, relation: int, tail: int) -> None:
        for append, value in zip(self._append, (head, relation, tail), strict=True):
            append(value)


class Labels:
    """Columns of labels."""

    def __init__(self) -> None:
        self.columns: list[list[Any]] = [[], [], []]

    def add(self, entity: int, value: str, language: str | None) -> None:
        for column, item in zip(self.columns, (entity, value, language), strict=True):
            column.append(item)


def write(out: Path, entities: Numbers, relations: Numbers, edges: Edges, labels: Labels) -> None:
    """Four Parquet files."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = {
        "edges": dict(zip("hrt", (np.frombuffer(column, np.int32) for column in edges.columns), strict=True)),
        "entities": {"key": list(entities)},
        "relations": {"key": list(relations)},
        "labels": dict(zip(("id", "value", "language"), labels.columns, strict=True)),
    }
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), out / f"{name}.parquet", compression="zstd")


def unescaped(text: str) -> str:
    """Without N-Triples' escapes."""
    short = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f", '"': '"', "'": "'", "\\": "\\"}

    def decoded(match: re.Match[str]) -> str:
        escape = match[0][1:]
        return short[escape] if escape in short else chr(int(escape[1:], 16))

    return re.sub(r"\\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", decoded, text)


@dataclass(frozen=True)
class Engine:
    """One way.

    Attributes:
        make: (dump, folder) -> None.
        cores: how many it may use.
        needs: the package that it is made with.
        slow: it is given a part of the dump only.
    """

    make: Callable[[Path, Path], None]
    cores: int = 2
    needs: str = ""
    slow: bool = False


ENGINES = {
    "kept, 1 core": Engine(lambda dump, out: kept(dump, out, 1), cores=1),
    "kept, 2 cores": Engine(lambda dump, out: kept(dump, out, 2)),
    "kept, labels, 1 core": Engine(lambda dump, out: kept(dump, out, 1, ("label", "alias")), cores=1),
    "kept, labels, 2 cores": Engine(lambda dump, out: kept(dump, out, 2, ("label", "alias"))),
    "pyoxigraph + dict": Engine(pyoxigraph_dict),
    "polars": Engine(polars_join, needs="polars"),
    "python split + dict": Engine(python_split),
    "lightrdf + dict": Engine(lightrdf_dict, needs="lightrdf"),
    "rdflib + dict": Engine(rdflib_dict, slow=True),
}


def main(name: str, dump: str, out: str) -> None:
    """Run one engine; an older result at `out` is removed first."""
    shutil.rmtree(out, ignore_errors=True)
    Path(out).mkdir(parents=True)
    ENGINES[name].make(Path(dump), Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
