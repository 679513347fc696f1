from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from kept.probing.items import AnswerSpace, Candidate, ProbeItem
from kept.probing.scores import ScoreStore, request_key
from kg.errors import InputError

SPACE = AnswerSpace("s", (Candidate("a", "A"), Candidate("b", "B")))
ITEM = ProbeItem("i", "t", "A", "the query", gold=("a",), answer_space="s", relation="r", subject="x", object="a")


def fill(path: Path, batches: int = 3) -> ScoreStore:
    store = ScoreStore(path)
    for n in range(batches):
        keys = [f"{n}-0", f"{n}-1"]
        arrays = [np.arange(3.0) + n, np.array([-np.inf, n])]
        store.append(keys, keys, {"tokens": arrays, "entities": [-array for array in arrays]})
    return store


def contents(store: ScoreStore) -> dict[str, dict[str, list[float]]]:
    keys = [f"{n}-{k}" for n in range(9) for k in range(2)]
    return {key: {r: a.tolist() for r, a in store[key].items()} for key in keys if key in store}


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    store = fill(tmp_path / "scores.arrows")
    again = ScoreStore(tmp_path / "scores.arrows")
    assert contents(again) == contents(store) and len(again) == 6
    assert again["1-1"]["tokens"].tolist() == [-np.inf, 1.0]
    assert again["1-1"]["entities"].tolist() == [np.inf, -1.0]


def test_any_arrow_reader_can_read_it(tmp_path: Path) -> None:
    fill(tmp_path / "scores.arrows")
    table = pa.ipc.open_stream(tmp_path / "scores.arrows").read_all()
    assert table.column_names == ["key", "item", "route", "scores"] and len(table) == 12


def test_a_half_written_tail_is_cut_off_at_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "whole"
    ends = []
    for batches in range(3):
        fill(path, batches)
        ends.append(path.stat().st_size)
        whole = path.read_bytes()
        path.unlink()
    for size in range(0, len(whole), 7):
        torn = tmp_path / f"torn-{size}"
        torn.write_bytes(whole[:size])
        store = ScoreStore(torn)
        survived = sum(size >= end for end in ends[1:])
        assert len(store) == 2 * survived
        keys = [f"{n}-{k}" for n in range(survived, 2) for k in range(2)]
        if keys:
            store.append(keys, keys, {"tokens": [np.zeros(1)] * len(keys)})
        assert len(ScoreStore(torn)) == 4


def test_a_tail_of_zeros_is_cut_off(tmp_path: Path) -> None:
    store = fill(tmp_path / "scores.arrows")
    with store.path.open("ab") as file:
        file.write(bytes(4096))
    assert contents(ScoreStore(store.path)) == contents(store)
    ScoreStore(store.path).append(["k"], ["k"], {"tokens": [np.ones(2)]})
    assert "k" in ScoreStore(store.path)


def test_another_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "scores.arrows"
    path.write_text("my notes")
    with pytest.raises(InputError, match=r"scores\.arrows: not a file of scores"):
        ScoreStore(path)
    assert path.read_text() == "my notes"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, pa.schema([("a", pa.int8())])):
        pass
    with pytest.raises(InputError, match="scores of another version"):
        ScoreStore(path)


def test_the_key_covers_all_that_a_scorer_sees_and_nothing_else(tmp_path: Path) -> None:
    def key(item: ProbeItem = ITEM, scorer: str = "w", version: str = "1", space: AnswerSpace = SPACE) -> str:
        return request_key(item, {"s": space}, scorer, version)

    truth = {"id": "j", "split": "D", "gold": ("b",), "also_true": ("a",), "object": "b", "meta": {"n": 1}}
    assert key(replace(ITEM, **truth)) == key()  # type: ignore[arg-type]
    (tmp_path / "one.png").write_bytes(b"1")
    (tmp_path / "same.png").write_bytes(b"1")
    (tmp_path / "two.png").write_bytes(b"2")
    pictured = [key(replace(ITEM, image=str(tmp_path / f"{name}.png"))) for name in ("one", "same", "two")]
    assert pictured[0] == pictured[1]
    renamed = AnswerSpace("s", (Candidate("a", "A"), Candidate("b", "C")))
    others = [
        key(scorer="v"),
        key(version="2"),
        key(replace(ITEM, query="another")),
        key(replace(ITEM, subject="y")),
        key(replace(ITEM, relation="q")),
        key(space=renamed),
        *pictured[1:],
    ]
    assert len({key(), *others}) == 1 + len(others)
