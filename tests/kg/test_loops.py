"""Loops are compiled once, kept, and found again without numba."""

from __future__ import annotations

import ast
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kg
from kg import compiling, loops
from kg.layout import Rows
from kg.loops import SOURCES, Loop

HERE = Path(kg.__file__).parent
INTERNS = """
import sys
from kg.interning import intern, Table
table, number = intern(Table.empty(), b"a")
print(number, intern(table, b"a")[1], *sorted({"numba", "scipy"} & set(sys.modules)))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where loops are kept, empty at first."""
    monkeypatch.setattr(loops, "store", lambda: tmp_path)
    return tmp_path


def offsets(lengths: list[int]) -> list[int]:
    """What a loop that is not loaded yet makes of them."""
    found = np.empty(len(lengths) + 1, np.int64)
    total = Loop("kg.gathering", "offsets_of")(np.array(lengths), np.arange(len(lengths)), found)
    assert total == sum(lengths)
    return found.tolist()


def refuse(*_: object) -> None:
    raise AssertionError("compiled again")


def test_a_process_that_finds_its_loops_loads_no_compiler() -> None:
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", INTERNS], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["0", "0"]


def test_kept_and_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert offsets([3, 0, 2]) == [0, 3, 3, 5]
    assert len(list(folder.iterdir())) == 1
    monkeypatch.setattr(compiling, "compile_loop", refuse)
    assert offsets([1, 1]) == [0, 1, 2]


def test_compiled_anew_when_its_source_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offsets([1])
    (before,) = folder.iterdir()
    monkeypatch.setattr(loops, "source", lambda: "other")
    assert offsets([2, 2]) == [0, 2, 4]
    (after,) = folder.iterdir()
    assert before != after


@pytest.mark.parametrize("harm", [lambda kept: kept[:-1], lambda kept: b"", lambda kept: kept[:40] + b"x" + kept[41:]])
def test_what_is_damaged_is_compiled_anew(harm: object, folder: Path) -> None:
    offsets([1])
    (path,) = folder.iterdir()
    kept = path.read_bytes()
    path.write_bytes(harm(kept))  # type: ignore[operator]
    assert offsets([2, 2]) == [0, 2, 4]
    again = path.read_bytes()
    assert hashlib.sha256(again[32:]).digest() == again[:32]


def test_where_nothing_can_be_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "file"
    file.touch()
    monkeypatch.setattr(loops, "store", lambda: file / "below")
    assert offsets([2, 2]) == [0, 2, 4]
    assert list(folder.iterdir()) == [file]


def test_what_needs_numba_when_it_runs_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    code, address = compiling.compile_loop("tests.kg.test_loops", "makes_an_array", (np.arange(3),))
    assert code is None and address


def makes_an_array(values: np.ndarray) -> int:
    return int(np.sort(values)[0])


def test_kinds_of_arguments() -> None:
    words: list[int] = []
    rows = Rows.of(2, np.int32)
    key = loops.laid_out((rows, np.bool_(False), np.int64(-7)), words)
    assert key == ("tuple", ("Rows", ("<i4", 2), ("<u8", 2)), "b", "i")
    assert (words[1:3], words[4:]) == ([2, 15], [2, 3, 0, -7])
    with pytest.raises(ValueError, match="contiguous"):
        loops.laid_out(np.arange(6)[::2], [])


def test_sources_are_all_that_loops_are_made_of() -> None:
    used = set()
    for path in HERE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Loop":
                assert isinstance(node.args[0], ast.Constant)
                used.add(node.args[0].value.removeprefix("kg."))
    assert used and used <= set(SOURCES)
    for name in SOURCES:
        tree = ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))
        imported = {node.module for node in tree.body if isinstance(node, ast.ImportFrom) and node.module}
        outside = {"kg.arrow", "kg.loops", "kg.strings", "kg.vocabulary"}
        mine = {module.removeprefix("kg.") for module in imported if module.startswith("kg.")} - set(SOURCES)
        assert {f"kg.{module}" for module in mine} <= outside, name
