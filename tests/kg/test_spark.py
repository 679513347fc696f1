"""Spark reads the same: statements, refusals, counters, bytes."""

from __future__ import annotations

import gzip
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg import InputError
from kg.build import build
from kg.spark import Range, RangeStream, ranges_of
from pipelines.bench.dumps import write_dump
from tests.kg.test_build import contents, write
from tests.kg.test_lines import ODD, PLAIN


@pytest.fixture(scope="module")
def spark() -> Iterator[None]:
    pyspark = pytest.importorskip("pyspark", reason="pyspark is not installed (the spark extra)")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java")
    yield
    session = pyspark.sql.SparkSession.getActiveSession()
    if session is not None:
        session.stop()


def test_the_same_graph(spark: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kg.spark.RANGE", 200_000)
    dumps = [write_dump(tmp_path / "a.nt", 8000), write_dump(tmp_path / "b.nt", 500, "dbpedia")]
    odd = write(tmp_path / "c.nq.gz", [*PLAIN, *ODD] * 3)
    options = {"on_error": "skip", "workers": 2}
    expected = build([*dumps, odd], tmp_path / "local.kg", **options)  # type: ignore[arg-type]
    found = build([*dumps, odd], tmp_path / "spark.kg", engine="spark", **options)  # type: ignore[arg-type]
    assert found == expected and contents(tmp_path / "local.kg") == contents(tmp_path / "spark.kg")


def test_dumps_that_lie_elsewhere(spark: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kg.spark.RANGE", 100_000)
    dump = write_dump(tmp_path / "a.nt", 3000)
    expected = build([dump], tmp_path / "a.kg")
    address = dump.as_uri()
    with pytest.raises(InputError, match="only the engine spark"):
        build([address], tmp_path / "b.kg")
    found = build([address], tmp_path / "b.kg", engine="spark")
    assert (found.hash, found.statements, found.sources[0].sha256) == (expected.hash, 3000, "")
    (tmp_path / "a.nt.gz").write_bytes(gzip.compress(dump.read_bytes()))
    assert build([f"{address}.gz"], tmp_path / "b.kg", engine="spark").hash == expected.hash
    for name, said in (("absent.nt", "no such file"), ("a.ttl", "only lines")):
        with pytest.raises(InputError, match=said):
            build([(tmp_path / name).as_uri()], tmp_path / "c.kg", engine="spark")


def test_the_first_refusal_is_named(spark: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kg.spark.RANGE", 5000)
    lines = write_dump(tmp_path / "a.nt", 400).read_text().splitlines()
    lines[251] = lines[301] = "nonsense"
    dump = write(tmp_path / "b.nt", lines)
    with pytest.raises(InputError, match=r"b\.nt:252: \w"):
        build([dump], tmp_path / "a.kg", engine="spark", workers=2)
    assert not (tmp_path / "a.kg").exists() and not list(tmp_path.glob(".*"))


@given(st.lists(st.binary(max_size=9).map(lambda line: line.replace(b"\n", b"")), max_size=12), st.integers(1, 12))
@settings(max_examples=300, deadline=None)
def test_every_line_is_in_one_range(lines: list[bytes], size: int) -> None:
    data = b"\n".join(lines)
    found = []
    for number, start in enumerate(range(0, len(data), size)):
        found.append(RangeStream(io.BytesIO(data), Range(number, start, min(start + size, len(data)))).readall())
    assert b"".join(found) == data
    assert all(piece.endswith(b"\n") for piece in [piece for piece in found if piece][:-1])


def test_compressed_dumps_are_one_range() -> None:
    assert ranges_of("a.nt.gz", 1 << 40) == [Range(0, 0, None)]
    assert len(ranges_of("a.nt", 1 << 30)) == 16


def test_without_spark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyspark.errors", None)
    with pytest.raises(InputError, match=r"kept-toolkit\[spark\]"):
        build([write(tmp_path / "a.nt")], tmp_path / "a.kg", engine="spark")
