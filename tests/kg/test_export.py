"""Graphs as files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from pyarrow import parquet

from kg import InputError, KnowledgeGraph
from kg.backends import TSVLines
from kg.build import build
from kg.export import export


def graph() -> KnowledgeGraph:
    e = "http://example.org/"
    return KnowledgeGraph.from_triples(
        [(e + "a", e + "p", e + "b"), ("_:x", e + "p", e + "b")], labels={e + "a": "Änna", e + "p": "precedes"}
    )


@pytest.mark.parametrize("name", ["a.nt", "a.nt.gz", "a.nt.bz2", "a.nt.xz", "dotted.name.nt"])
def test_ntriples_builds_the_same_graph_again(name: str, tmp_path: Path) -> None:
    assert export(graph(), tmp_path / name) == 4
    assert build([tmp_path / name], tmp_path / "a.kg").hash == graph().hash


def test_tsv(tmp_path: Path) -> None:
    assert export(graph(), tmp_path / "a.tsv.gz") == 2
    lines = gzip.decompress((tmp_path / "a.tsv.gz").read_bytes()).decode().splitlines()
    assert set(TSVLines().load(lines).statements()) == set(graph().statements())


def test_parquet(tmp_path: Path) -> None:
    for _ in range(2):
        export(graph(), tmp_path / "tables")
    triples = parquet.read_table(tmp_path / "tables" / "triples.parquet")
    assert triples.to_pydict() == dict(zip(("head", "relation", "tail"), graph().triples.T.tolist(), strict=True))
    keys = parquet.read_table(tmp_path / "tables" / "entities.parquet")["key"].to_pylist()
    assert keys == list(graph().entities)
    assert "Änna" in parquet.read_table(tmp_path / "tables" / "literals.parquet")["value"].to_pylist()


def test_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.xyz: no format for this suffix"):
        export(graph(), tmp_path / "a.xyz")
    with pytest.raises(InputError, match="no format is called 'ntripels'; did you mean 'ntriples'"):
        export(graph(), tmp_path / "a.xyz", form="ntripels")
    (tmp_path / "full").mkdir()
    with pytest.raises(InputError, match="not an export"):
        export(graph(), tmp_path / "full")


def test_a_failed_export_leaves_nothing(tmp_path: Path) -> None:
    kg = KnowledgeGraph.from_triples([("a", "p", "b"), ("x\ty", "p", "b")])
    with pytest.raises(InputError, match="tab"):
        export(kg, tmp_path / "a.tsv")
    assert not list(tmp_path.iterdir())
