"""Within bounded memory a graph is the same, byte for byte."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg import InputError, KnowledgeGraph
from kg.build import build
from kg.columns import STATM, Column, Forgetting, Ranges, TextColumn, cuts_of
from kg.numbering import text_cuts
from pipelines.bench.dumps import write_dump
from tests.kg.test_build import E, contents, mangled, statements, write


@given(given_statements=statements, seed=st.integers(0, 2**32), many=st.booleans(), parts=st.integers(1, 3))
@settings(deadline=None, max_examples=40)
def test_any_statements(
    given_statements: list, seed: int, many: bool, parts: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("bounded")
    rng = random.Random(seed)
    lines = [mangled(statement, rng) for statement in given_statements]
    dumps = [write(place / f"{part}.nt", lines[part::parts]) for part in range(parts)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kg.strings.MANY", 0 if many else 1 << 60)
        patch.setattr("kg.reading.COMPILED_FROM", 0 if many else 1 << 60)
        patch.setattr("kg.lines.BLOCK", 300)
        patch.setattr("kg.shards.BATCH", 2)
        patch.setattr("kg.bounded.LEAST", 100)
        patch.setattr("kg.numbering.ROWS", 8)
        expected = build(dumps, place / "a.kg")
        assert build(dumps, place / "b.kg", memory=3000) == expected
    assert contents(place / "a.kg") == contents(place / "b.kg")
    assert not list(place.glob(".*"))


@pytest.mark.parametrize("style", ["wikidata", "dbpedia"])
def test_a_generated_dump(style: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dump = write_dump(tmp_path / "a.nt", 60_000, style)
    monkeypatch.setattr("kg.bounded.LEAST", 1 << 12)
    expected = build([dump], tmp_path / "a.kg")
    assert build([dump], tmp_path / "b.kg", memory=2_000_000, workers=2) == expected
    assert contents(tmp_path / "a.kg") == contents(tmp_path / "b.kg")


def test_weights(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        f"/a/{n}\t/r/p\t/c/en/{a}\t/c/en/{b}\t" + '{"weight": ' + str(1 + n % 7) + "}"
        for n, (a, b) in enumerate(rng.integers(0, 40, (2000, 2)).tolist())
    ]
    dump = write(tmp_path / "a.csv", rows)
    expected = build([dump], tmp_path / "a.kg", syntax="conceptnet")
    assert build([dump], tmp_path / "b.kg", syntax="conceptnet", memory=40_000) == expected
    assert contents(tmp_path / "a.kg") == contents(tmp_path / "b.kg")
    assert KnowledgeGraph.open(tmp_path / "b.kg").weights is not None


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.3, 0.6])
def test_killed_and_resumed(delay: float, tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "a.nt", 40_000)
    expected = build([dump], tmp_path / "a.kg")
    out = tmp_path / "b.kg"
    call = f"build([{str(dump)!r}], {str(out)!r}, memory=1_000_000)"
    with subprocess.Popen([sys.executable, "-c", f"from kg.build import build\n{call}"]) as process:
        deadline = time.monotonic() + 20
        while not (tmp_path / ".b.kg.partial").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
    assert build([dump], out, memory=1_000_000, resume=True) == expected
    assert contents(out) == contents(tmp_path / "a.kg") and not list(tmp_path.glob(".*"))


def test_memory_stays_bounded(tmp_path: Path) -> None:
    """Twice the statements take no more anonymous memory."""
    code = """
import sys, threading, time
from kg.build import build
peak = 0
def watch():
    global peak
    while True:
        status = open("/proc/self/status").read()
        peak = max(peak, int(status.partition("RssAnon:")[2].split()[0]))
        time.sleep(0.005)
import kg.lines, kg.sorting, kg.folding
build([sys.argv[1]], sys.argv[2] + "0", memory=10_000_000)
threading.Thread(target=watch, daemon=True).start()
build([sys.argv[1]], sys.argv[2], memory=10_000_000)
print(peak)
"""
    if not Path("/proc/self/status").exists():
        pytest.skip("memory is read from /proc")
    peaks = []
    for count in (150_000, 600_000):
        dump = write_dump(tmp_path / f"{count}.nt", count)
        told = subprocess.run(
            [sys.executable, "-c", code, dump, tmp_path / f"{count}.kg"], capture_output=True, check=True
        )
        peaks.append(int(told.stdout))
    assert peaks[1] < peaks[0] * 1.25, peaks


def test_the_same_cannot_be_merged(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="same_as"):
        build([write(tmp_path / "a.nt")], tmp_path / "a.kg", same_as="merge", memory=1000)


def test_ranges(tmp_path: Path) -> None:
    import pyarrow as pa

    ranges = Ranges(
        np.array([3, 6]), lambda at: [Column(tmp_path / f"n{at}", np.int64), TextColumn(tmp_path / f"t{at}")]
    )
    numbers = np.array([7, 0, 3, 2, 6])
    ranges.deal(numbers, [numbers * 10, pa.array([f"t{n}" for n in numbers], pa.large_string())])
    held = [(n.whole().tolist(), t.whole().to_pylist()) for n, t in ranges.parts]  # type: ignore[union-attr]
    assert held == [([0, 20], ["t0", "t2"]), ([30], ["t3"]), ([70, 60], ["t7", "t6"])]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=20), st.integers(20, 100), st.integers(1, 100))
def test_cuts_keep_ranges_light(weights: list[int], count: int, most: int) -> None:
    cuts = cuts_of(np.array(weights), count, most).tolist()
    assert cuts == sorted(cuts) and all(0 < cut <= count for cut in cuts)
    stretch = np.arange(count) * len(weights) // count
    for start, stop in zip([0, *cuts], [*cuts, count], strict=True):
        inside = [weights[place] for place in np.unique(stretch[start:stop])]
        assert sum(inside) <= most or len([weight for weight in inside if weight]) <= 1


def test_what_is_mapped_is_forgotten(tmp_path: Path) -> None:
    if not STATM.exists():
        pytest.skip("the system does not tell how much is mapped")
    column = Column(tmp_path / "a", np.int64)
    column.append(np.arange(4_000_000))

    def resident() -> int:
        return int(STATM.read_text().split()[2]) * 4096

    with Forgetting(1):
        whole = column.whole()
        before = resident()
        assert int(whole.sum()) == 4_000_000 * 3_999_999 // 2
        deadline = time.monotonic() + 5
        while resident() > before + 8_000_000 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert resident() < before + 8_000_000 and whole[-1] == 3_999_999


def test_text_cuts() -> None:
    import pyarrow as pa

    names = [f"{E}{n:05}" for n in range(5000)]
    lists = [pa.array(names[part::2], pa.large_string()) for part in range(2)]
    cuts = text_cuts(lists, 20_000)
    sizes = np.diff([0, *(names.index(cut) for cut in cuts), len(names)])
    assert 5 < len(cuts) < 40 and sizes.max() < 2 * sizes.mean()
    assert text_cuts(lists, 1 << 30) == []
