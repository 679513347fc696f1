from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kept.probing.rows import Figure, describe_run, read_results, select, write_results
from kg.errors import InputError

ROW = Figure("facts", "A", None, "text", "m", "p@1", 0.5, 0.4, 0.6, 10, (0, 1))


def test_results_survive_the_disk(tmp_path: Path) -> None:
    run = describe_run("kept probe", time.perf_counter(), {"graph": "abc"})
    rows = (ROW, replace(ROW, relation="capital", low=None, high=None))
    path = write_results(tmp_path / "out", run, rows)
    for place in (path, path.parent):
        found = read_results(place)
        assert found.rows == rows and found.run == json.loads(json.dumps(run))
    assert set(run) == {"command", "commit", "data", "versions", "machine", "seconds", "peak memory"}
    assert run["peak memory"] > 1 << 20 and "torch" in run["versions"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arm": None}, r"results\.json: rows\[1\]: key 'arm' is missing"),
        ({"colour": "red"}, r"results\.json: rows\[1\]: unknown key 'colour'"),
        ({"value": "high"}, r"results\.json: rows\[1\]: value is 'high', not a number"),
        ({"value": float("nan")}, r"rows\[1\]: value is nan"),
        ({"seeds": 3}, r"rows\[1\]: seeds is 3, not a list"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    wrong = {key: value for key, value in (ROW.to_json() | change).items() if change.get(key, 0) is not None}
    (tmp_path / "results.json").write_text(json.dumps({"run": {}, "rows": [ROW.to_json(), wrong]}))
    with pytest.raises(InputError, match=message):
        read_results(tmp_path)


@pytest.mark.parametrize("content", ["[]", "{}", '{"run": {}, "rows": [], "more": 1}'])
def test_other_json_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(InputError, match=r"results\.json: not results"):
        read_results(tmp_path)


def test_missing_results_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"results\.json: no such file"):
        read_results(tmp_path)


def test_rows_are_selected_by_field() -> None:
    other = replace(ROW, relation="capital")
    assert select([ROW, other], relation=None, task="facts") == [ROW]
    assert select([ROW, other], arm="text") == [ROW, other]
