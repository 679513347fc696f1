"""What compiled loops are made of."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

import kg
from kg.grammar import AS_IT_IS, ESCAPES, UNSURE, high_marks, iri_marks, literal_end, text_marks
from kg.words import WIDE, borrowed, first_bit, prefetch

BYTES = st.binary(min_size=WIDE, max_size=WIDE) | st.text(
    st.sampled_from('a>"\\\n é'), min_size=WIDE, max_size=WIDE
).map(lambda text: text.encode()[:WIDE])
LITERAL = st.lists(st.sampled_from(["a", " ", "é", "\\n", "\\\\", '\\"', "\\u00e9", "\\uD83D", "\\z", "\t", "x" * 31]))


@njit
def all_marks(data: np.ndarray, place: int) -> tuple[int, int, int]:
    prefetch(data, place)
    return iri_marks(data, place), text_marks(data, place), high_marks(data, place)


@njit
def lowest(marks: np.uint32) -> int:
    return first_bit(marks)


@njit
def end_of(data: np.ndarray, place: int) -> tuple[int, int]:
    return literal_end(data, place)


@njit
def total(arrays: tuple[np.ndarray, tuple[np.ndarray, int]]) -> int:
    first, (second, number) = borrowed(arrays)
    return first.sum() + second.sum() * number


@settings(deadline=None)
@given(BYTES)
def test_marks(text: bytes) -> None:
    data = np.frombuffer(b"..." + text, np.uint8)
    tests = (lambda c: c == 62 or c < 32, lambda c: c in b'"\\' or c < 32, lambda c: c > 127)
    expected = [sum(1 << place for place, code in enumerate(text) if test(code)) for test in tests]
    assert list(all_marks(data, 3)) == expected
    for marks in filter(None, expected):
        assert lowest(np.uint32(marks)) == (marks & -marks).bit_length() - 1


@settings(deadline=None)
@given(LITERAL)
def test_what_is_between_quotes(pieces: list[str]) -> None:
    text = "".join(pieces).encode()
    place, between = end_of(np.frombuffer(text + b'" .\n' + bytes(2 * WIDE), np.uint8), 0)
    assert place == len(text)
    unsure = any(piece in ("é", "\\uD83D", "\\z") for piece in pieces)
    assert between == (UNSURE if unsure else ESCAPES if b"\\" in text else AS_IT_IS)


def test_borrowed_arrays_stay_their_callers() -> None:
    first, second = np.arange(5), np.arange(7)
    before = sys.getrefcount(first), sys.getrefcount(second)
    assert [total((first, (second, 3))) for _ in range(9)] == [10 + 63] * 9
    assert (sys.getrefcount(first), sys.getrefcount(second)) == before


def test_only_arguments_are_borrowed_and_first_of_all() -> None:
    """Anything else may be freed while it is still in use."""
    found = 0
    for path in Path(kg.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "borrowed"]
        allowed = []
        for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            names = {argument.arg for argument in function.args.args}
            for first in function.body[: 2 if ast.get_docstring(function) else 1]:
                value = first.value if isinstance(first, ast.Assign) else None
                if value in calls and {n.id for n in ast.walk(value) if isinstance(n, ast.Name)} <= {
                    *names,
                    "borrowed",
                }:
                    allowed.append(value)
        assert all(call in allowed for call in calls), path
        found += len(calls)
    assert found
