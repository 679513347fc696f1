"""Records tokenised into files: the same arrays as in memory, whoever makes them and however often it is begun."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kept.data.shards
import kept.data.tokenized_files as files
from kept.data.columns import TextColumn
from kept.data.record import Record, Region
from kept.data.shards import record_shards, write_records
from kept.data.tokenized import TokenizedRecords
from kg.errors import InputError
from tests.kept import tiny

BLANK = TextColumn.build([""], tiny.tokenizer(), 128)
SEVERAL = replace(
    tiny.RECORDS[0],
    id="several",
    regions=(Region((0.0, 0.0, 0.5, 0.5), "flag", ("old", "capital", "flies"), (0.5,) * tiny.FEATURES, (0.25,) * 4),),
)
MIXED = [*tiny.RECORDS, SEVERAL]


def tokenized(records: Sequence[Record], folder: Path, group: int = 3, shard: int = 5) -> TokenizedRecords:
    """Records by way of shards and files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kept.data.shards, "GROUP", group)
        write_records(folder / "records", records, shard=shard)
        files.tokenize_shards(record_shards(folder / "records"), folder / "made", tiny.corpus, BLANK)
    opened = files.open_tokenized(folder / "made", pictures=tiny.pixels(), known=tiny.corpus().known)
    assert sorted(path.name for path in (folder / ".made.parts").iterdir() if path.is_dir()) == []
    return opened


def assert_same(one: TokenizedRecords, other: TokenizedRecords) -> None:
    left, right = files.arrays_of(one), files.arrays_of(other)
    assert left.keys() == right.keys()
    for name, array in left.items():
        assert array.dtype == right[name].dtype, name
        np.testing.assert_array_equal(array, right[name], name)
    assert one.pad == other.pad


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    chosen=st.lists(st.sampled_from(MIXED), min_size=1, max_size=9), group=st.integers(1, 4), shard=st.integers(1, 6)
)
def test_files_hold_what_memory_would(
    tmp_path_factory: pytest.TempPathFactory, chosen: list[Record], group: int, shard: int
) -> None:
    records = [replace(record, id=str(place)) for place, record in enumerate(chosen)]
    found = tokenized(records, tmp_path_factory.mktemp("files"), group, shard)
    assert_same(found, tiny.corpus(records))
    rows = np.arange(len(records))[::-1].copy()
    left, right = found.batch(rows, tiny.NOISE), tiny.corpus(records).batch(rows, tiny.NOISE)
    assert (left.text.ids == right.text.ids).all() and left.text.ids.dtype == right.text.ids.dtype
    assert (left.keys == right.keys).all() and (left.mentions.entity == right.mentions.entity).all()


def test_the_arrays_are_mapped(tmp_path: Path) -> None:
    found = tokenized(MIXED, tmp_path)
    assert all(isinstance(array, np.memmap) for array in files.arrays_of(found).values() if array.size)


@pytest.mark.parametrize("torn_at", range(1, 5))
def test_what_was_finished_is_not_done_again(tmp_path: Path, torn_at: int) -> None:
    write_records(tmp_path / "records", MIXED, shard=3)
    shards = record_shards(tmp_path / "records")
    calls: list[str] = []

    def build(records: list[Record]) -> TokenizedRecords:
        calls.append(records[0].id)
        if len(calls) == torn_at:
            raise KeyboardInterrupt
        return tiny.corpus(records)

    with pytest.raises(KeyboardInterrupt):
        files.tokenize_shards(shards, tmp_path / "made", build, BLANK)
    assert not (tmp_path / "made").exists()
    files.tokenize_shards(shards, tmp_path / "made", build, BLANK)
    assert len(calls) == len(shards) + 1
    assert_same(files.open_tokenized(tmp_path / "made"), replace(tiny.corpus(MIXED), pictures=None, known=None))
    files.tokenize_shards(shards, tmp_path / "made", build, BLANK)
    assert len(calls) == len(shards) + 1, "what is whole is left alone"


def test_two_at_once_share_the_shards(tmp_path: Path) -> None:
    write_records(tmp_path / "records", MIXED, shard=2)
    shards = record_shards(tmp_path / "records")
    both = threading.Barrier(2, timeout=20)
    calls: dict[int, list[str]] = {}

    def build(records: list[Record]) -> TokenizedRecords:
        own = calls.setdefault(threading.get_ident(), [])
        own.append(records[0].id)
        if len(own) == 1:
            both.wait()  # neither is done before the other has begun
        return tiny.corpus(records)

    threads = [
        threading.Thread(target=files.tokenize_shards, args=(shards, tmp_path / "made", build, BLANK)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one, other = calls.values()
    assert sorted(one + other) == sorted(record.id for record in MIXED[::2]) and one and other
    assert_same(files.open_tokenized(tmp_path / "made"), tiny.corpus(MIXED))


def wider(record: Record) -> Record:
    return replace(record, regions=tuple(region._replace(feature=(0.5,) * 9) for region in record.regions))


def without_scores(record: Record) -> Record:
    return replace(record, regions=tuple(region._replace(scores=None) for region in record.regions))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (wider, "some regions have features of 5 numbers, others of 9"),
        (without_scores, "some regions have scores and others have none"),
    ],
)
def test_regions_that_do_not_go_together_are_refused(
    tmp_path: Path, change: Callable[[Record], Record], message: str
) -> None:
    pictured = [record for record in tiny.RECORDS if record.regions]
    with pytest.raises(InputError, match=message):
        tokenized([*pictured, *map(change, pictured)], tmp_path, shard=len(pictured))
    assert not (tmp_path / "made").exists()
