"""JSON in pieces against JSON at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kept.data.readers import json_stream
from kept.data.readers.json_stream import elements, members
from kg import InputError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
wild = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def put(folder: Path, text: str) -> Path:
    (folder / "a.json").write_text(text, encoding="utf-8")
    return folder / "a.json"


@wild
@given(st.dictionaries(texts, values, max_size=5), st.integers(1, 9), st.sampled_from([None, 2]), st.booleans())
def test_members_in_pieces_of_any_size(
    tmp_path: Path, whole: dict[str, Any], chunk: int, indent: int | None, ascii_only: bool
) -> None:
    path = put(tmp_path, json.dumps(whole, indent=indent, ensure_ascii=ascii_only))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK", chunk)
        assert list(members(path)) == list(whole.items())


@wild
@given(st.lists(values, max_size=5), st.integers(1, 9), values)
def test_elements_in_pieces_of_any_size(tmp_path: Path, whole: list[Any], chunk: int, before: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "CHUNK", chunk)
        assert list(elements(put(tmp_path, json.dumps(whole)))) == whole
        path = put(tmp_path, json.dumps({"before": before, "here": whole, "after": 1}))
        header: dict[str, Any] = {}
        assert list(elements(path, "here", header)) == whole
        assert header == ({"before": before} if isinstance(before, str | int | float) else {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "character 0: { was expected, not the end"),
        ("[1]", "character 0: { was expected, not ["),
        ('{"here": [1, 2', "or ] was expected, not the end"),
        ('{"here": [1 2]}', "character 12: , or ] was expected, not 2"),
        ('{"here": [1, {"a": }]}', "character 13: Expecting value"),
        ('{"here" [1]}', "character 8: : was expected"),
        ('{1: 2, "here": []}', "a name was expected"),
        ('{"there": 1}', "'here' is missing"),
        ('{"here": [' + "[" * 100_000 + "]}", "nested too deeply"),
    ],
)
def test_what_is_no_json_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        list(elements(put(tmp_path, text), "here"))
    assert message in str(caught.value) and "a.json" in str(caught.value)


def test_members_are_bounded_and_bytes_must_be_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "MAX_ELEMENT", 1000)
    monkeypatch.setattr(json_stream, "CHUNK", 100)
    with pytest.raises(InputError, match="a member of more than 1,000 characters"):
        list(elements(put(tmp_path, '["' + "x" * 5000 + '"]')))
    (tmp_path / "a.json").write_bytes(b'["\xff"]')
    with pytest.raises(InputError, match="not UTF-8"):
        list(elements(tmp_path / "a.json"))
    with pytest.raises(InputError, match="more than one value"):
        list(elements(put(tmp_path, "[1] [2]")))
