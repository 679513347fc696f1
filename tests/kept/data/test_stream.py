"""The stream of records: everything once, and the same after any interruption."""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kept.data.shards
from kept.data.record import Record
from kept.data.shards import write_records
from kept.data.stream import RecordStream
from kg import InputError

SIZES = (5, 1, 8, 3)
TOTAL = 3 * 7 + sum(SIZES)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Parquet of small groups of rows, and tars, 38 records in all."""
    folder = tmp_path_factory.mktemp("shards")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept.data.shards, "GROUP", 2)
        write_records(folder / "records", [Record(id=f"p{number}", text="a") for number in range(3 * 7)], shard=7)
    for shard, size in enumerate(SIZES):
        with tarfile.open(folder / f"t-{shard}.tar", "w") as tar:
            for number in range(size):
                info = tarfile.TarInfo(f"{number}.txt")
                info.size = 3
                tar.addfile(info, io.BytesIO(b"One"))
    return [folder / "records", folder / "t-{0..3}.tar"]


def ids(stream: RecordStream, count: int | None = None) -> list[str]:
    """The ids of the next records, or of all that are left in the epoch."""
    found: list[str] = []
    for record in stream:
        found.append(record.id)
        if len(found) == count:
            break
    return found


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 9), st.integers(0, 3), st.integers(0, 2))
def test_every_record_comes_once_an_epoch(
    shards: list[Path], ranks: int, workers: int, shuffle: int, seed: int, epochs: int
) -> None:
    streams = [
        RecordStream(shards, seed=seed, rank=rank, ranks=ranks, worker=worker, workers=workers, shuffle=shuffle)
        for rank in range(ranks)
        for worker in range(workers)
    ]
    for epoch in range(epochs + 1):
        assert {stream.epoch for stream in streams} == {epoch}
        found = Counter(key for stream in streams for key in ids(stream))
        assert len(found) == TOTAL and set(found.values()) == {1}


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_restored_stream_gives_what_was_left(shards: list[Path], data: Any) -> None:
    workers = data.draw(st.sampled_from([1, 3, 9]))
    options = {
        "workers": workers,
        "worker": data.draw(st.integers(0, workers - 1)),
        "seed": data.draw(st.integers(0, 3)),
    }
    stream = RecordStream(shards, shuffle=(shuffle := data.draw(st.integers(0, 12))), **options)
    for _ in range(data.draw(st.integers(0, 1))):
        ids(stream)
    for _ in range(data.draw(st.integers(1, 2))):
        ids(stream, data.draw(st.integers(1, 12)))
    state = json.loads(json.dumps(stream.state()))
    other = RecordStream(shards, shuffle=shuffle, **options)
    other.restore(state)
    assert other.state() == state
    assert ids(other) == ids(stream)
    assert ids(other) == ids(stream)


def test_orders_differ_by_seed_and_epoch_and_nothing_else(shards: list[Path]) -> None:
    stream = RecordStream(shards, seed=1, shuffle=10)
    first, second = ids(stream), ids(stream)
    assert first != second
    assert ids(RecordStream(shards, seed=1, shuffle=10)) == first
    assert ids(RecordStream(shards, seed=2, shuffle=10)) != first


def test_without_a_buffer_shards_keep_their_order(shards: list[Path]) -> None:
    found = ids(RecordStream(shards, seed=0))
    for part in ([f"p{number}" for number in range(7)], [f"t-2/{number}" for number in range(8)]):
        place = found.index(part[0])
        assert found[place : place + len(part)] == part


def test_a_buffer_mixes_and_holds_no_more(shards: list[Path]) -> None:
    stream = RecordStream(shards[:1], seed=0, shuffle=4)
    found = ids(stream, 1)
    assert len(stream.state()["buffer"]) == 4
    found += ids(stream)
    places = {key: place for place, key in enumerate(ids(RecordStream(shards[:1], seed=0)))}
    assert found != sorted(found, key=places.__getitem__)
    assert all(place >= places[key] - 4 for place, key in enumerate(found))


def test_groups_before_the_place_are_not_read(shards: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A restored stream reads on from its row; it does not make the records before it again."""
    stream = RecordStream(shards[:1], seed=0)
    ids(stream, 15)
    state = stream.state()
    made: list[str] = []
    from_row = kept.data.shards.from_row

    def noted(row: dict[str, Any]) -> Record:
        made.append(row["id"])
        return from_row(row)

    monkeypatch.setattr("kept.data.stream.from_row", noted)
    other = RecordStream(shards[:1], seed=0)
    other.restore(state)
    assert ids(other) == made and len(made) == 6


def test_pictures_of_tars_are_written(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("x.png")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    (record,) = RecordStream(tmp_path, seed=0, pictures=str(tmp_path / "pictures"))
    assert record.image == "a/x.png" and (tmp_path / "pictures" / "a" / "x.png").read_bytes() == b"abc"


def test_states_of_other_streams_are_refused(shards: list[Path]) -> None:
    state = RecordStream(shards, seed=0, workers=2).state()
    for options, message in (
        ({"seed": 1, "workers": 2}, "seed was 0, here it is 1"),
        ({"seed": 0, "workers": 3}, "workers was 2, here it is 3"),
        ({"seed": 0, "workers": 2, "worker": 1}, "worker was 0, here it is 1"),
        ({"seed": 0, "workers": 2, "shuffle": 5}, "shuffle was 0, here it is 5"),
    ):
        with pytest.raises(InputError, match=message):
            RecordStream(shards, **options).restore(state)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="shards was"):
        RecordStream(shards[:1], seed=0, workers=2).restore(state)


def test_what_is_no_shard_is_named(shards: list[Path], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    for path, message in (
        (tmp_path / "absent.tar", r"absent\.tar: no such file"),
        (tmp_path / "a.txt", r"a\.txt: no shards here"),
        (tmp_path, "no shards here"),
    ):
        with pytest.raises(InputError, match=message):
            RecordStream(path, seed=0)
    with pytest.raises(InputError, match="rank: 2 is not one of 2"):
        RecordStream(shards, seed=0, rank=2, ranks=2)
    with pytest.raises(InputError, match="not negative"):
        RecordStream(shards, seed=-1)
    with pytest.raises(InputError, match="no shards to read"):
        RecordStream([], seed=0)
