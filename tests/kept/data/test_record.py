from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from kept.data.record import (
    Grounding,
    Mention,
    Record,
    Region,
    Relation,
    Subtitle,
    read_records,
    schema,
    to_row,
    write_records,
)
from kg import InputError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ids = st.integers(0, 2**40)
small = st.integers(0, 1000)
shares = st.floats(0, 1, width=32)
seconds = st.floats(0, 1e6)
records = st.builds(
    Record,
    id=texts,
    text=st.none() | texts,
    mentions=st.lists(st.builds(Mention, small, small, ids), max_size=3).map(tuple),
    image=st.none() | texts,
    regions=st.lists(
        st.builds(
            Region,
            st.tuples(shares, shares, shares, shares),
            st.none() | texts,
            st.lists(texts, max_size=2).map(tuple),
            st.none() | st.lists(shares, max_size=3).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    frames=st.lists(texts, max_size=2).map(tuple),
    subtitles=st.lists(st.builds(Subtitle, seconds, seconds, texts), max_size=2).map(tuple),
    question=st.none() | texts,
    choices=st.lists(texts, max_size=2).map(tuple),
    triples=st.lists(st.tuples(ids, ids, ids), max_size=2).map(tuple),
    parse=st.lists(st.integers(-1, 5), max_size=3).map(tuple),
    depicts=st.none() | ids,
    head=st.none() | st.integers(0, 5),
    relations=st.lists(st.builds(Relation, small, texts, small), max_size=2).map(tuple),
    grounding=st.lists(st.builds(Grounding, small, small, small), max_size=2).map(tuple),
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(records, max_size=6), st.integers(1, 3))
def test_records_survive_the_disk(tmp_path: Path, written: list[Record], shard: int) -> None:
    assert write_records(tmp_path / "records", written, shard=shard) == len(written)
    assert list(read_records(tmp_path / "records")) == written
    assert len(list((tmp_path / "records").glob("*.parquet"))) == max(1, -(-len(written) // shard))


def test_shards_are_plain_parquet(tmp_path: Path) -> None:
    """Nothing but strings, numbers, lists and structs, which every Parquet reader takes."""
    write_records(tmp_path / "records", [Record(id="a", text="Paris", mentions=(Mention(0, 5, 7),))])
    table = parquet.read_table(tmp_path / "records" / "part-00000.parquet")
    assert table.schema.remove_metadata() == schema()
    assert table.to_pylist()[0]["mentions"] == [{"start": 0, "end": 5, "entity": 7}]


def test_shards_of_before_have_no_relations_and_no_grounding(tmp_path: Path) -> None:
    now = schema()
    old = pa.schema([field for field in now if field.name not in ("relations", "grounding")])
    row = {name: value for name, value in to_row(Record(id="a", text="Paris")).items() if name in old.names}
    parquet.write_table(pa.Table.from_pylist([row], schema=old), tmp_path / "part-00000.parquet")
    assert list(read_records(tmp_path)) == [Record(id="a", text="Paris")]


def test_hugging_face_datasets_reads_the_shards(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    write_records(
        tmp_path / "records", [Record(id=str(i), text="Paris", triples=((1, 2, 3),)) for i in range(5)], shard=2
    )
    loaded = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "records" / "*.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded["id"][:] == ["0", "1", "2", "3", "4"]
    assert loaded[0]["triples"] == [{"head": 1, "relation": 2, "tail": 3}]


def test_a_failing_source_leaves_the_old_records(tmp_path: Path) -> None:
    write_records(tmp_path / "records", [Record(id="old")])

    def broken() -> object:
        yield Record(id="new")
        raise RuntimeError("torn")

    with pytest.raises(RuntimeError):
        write_records(tmp_path / "records", broken())  # type: ignore[arg-type]
    assert [record.id for record in read_records(tmp_path / "records")] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["records"]


def test_what_is_no_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no records here"):
        list(read_records(tmp_path))
    (tmp_path / "junk.parquet").write_bytes(b"PAR1 junk")
    with pytest.raises(InputError, match=r"junk\.parquet: not a Parquet file"):
        list(read_records(tmp_path))
    parquet.write_table(pa.table({"id": ["a"]}), tmp_path / "junk.parquet")
    with pytest.raises(InputError, match=r"junk\.parquet: not records of this version; column 'answer' is missing"):
        list(read_records(tmp_path))
