"""The benches measure what they say, on dumps that are the same every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kg.build import build
from pipelines.bench.dumps import STYLES, write_dump
from pipelines.bench.engines import ENGINES
from pipelines.bench.kg import installed
from pipelines.bench.measure import Program, run
from pipelines.cli import app


def kept(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("style", STYLES)
def test_dumps_are_valid_and_the_same_for_a_seed(style: str, tmp_path: Path) -> None:
    first, again = (write_dump(tmp_path / name, 3000, style).read_bytes() for name in ("a.nt", "b.nt"))
    other = write_dump(tmp_path / "c.nt", 3000, style, seed=8).read_bytes()
    assert first == again != other
    meta = build([tmp_path / "a.nt"], tmp_path / "a.kg")
    assert meta.statements == 3000 and meta.triples > 900 and meta.literals > 1200
    assert not meta.skipped.get("malformed")


def test_engines_agree(tmp_path: Path) -> None:
    """Every engine finds the same edges between the same names, and the same labels."""
    import pyarrow.parquet as pq

    dump = write_dump(tmp_path / "a.nt", 2000)
    found = []
    for name, engine in ENGINES.items():
        if name.startswith("kept") or (engine.needs and not installed(engine.needs)):
            continue
        out = tmp_path / name.replace(" ", "")
        out.mkdir()
        engine.make(dump, out)
        edges, entities, relations, labels = (
            pq.read_table(out / f"{part}.parquet").to_pydict() for part in ("edges", "entities", "relations", "labels")
        )
        keys, names = (
            [(key.decode() if isinstance(key, bytes) else key).strip("<>") for key in part["key"]]
            for part in (entities, relations)
        )
        columns = zip(*(edges[column] for column in "hrt"), strict=True)
        triples = {(keys[h], names[r], keys[t]) for h, r, t in columns}
        said = {
            (keys[row], text, tag.lower())
            for row, text, tag in zip(labels["id"], labels["value"], labels["language"], strict=True)
        }
        found.append((triples, said))
    assert len(found) >= 3 and all(one == found[0] for one in found)


def test_a_program_is_measured() -> None:
    cost = run(Program(["-c", "x = bytearray(60_000_000); sum(range(3_000_000))"], cores=1, share=0.5))
    assert cost.wall > 0.02 and cost.cpu > 0.02 and cost.memory > 60_000_000


def test_the_command(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    options = ["--statements", "1000", "--style", "wikidata", "--rounds", "1", "--data", str(tmp_path)]
    engines = ["--engine", "python split + dict", "--engine", "pyoxigraph + dict"]
    result = kept("bench", "kg", *options, *engines, "--record", str(page), "--out", str(tmp_path / "r"), "--json")
    assert {row["arm"] for row in json.loads(result.stdout)["rows"]} == {"python split + dict", "pyoxigraph + dict"}
    assert "## kept bench kg" in page.read_text() and "python split + dict" in page.read_text()
    assert (tmp_path / "r" / "results.json").is_file()


def test_an_unknown_engine(tmp_path: Path) -> None:
    result = kept("bench", "kg", "--engine", "polar", "--statements", "10", "--data", str(tmp_path))
    assert result.exit_code == 2 and "polars" in result.stderr


def test_large_graphs(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    options = ["--statements", "20000", "--seeds", "2000", "--memory", "20MB", "--data", str(tmp_path)]
    told = json.loads(kept("bench", "kg-large", *options, "--record", str(page), "--json").stdout)
    assert told["edges"] > 5000 and told["open seconds"] < 2 and told["seeds a second"]["1"] > 100
    assert told["memory over time"] and "within 0.0 GB" in page.read_text()
