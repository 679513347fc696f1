from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

import kept.data.shards
from kept.data.record import Mention, Record, Region, Relation, Subtitle
from kept.data.shards import count_records, read_records, record_shards, schema, write_records
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
            st.none() | st.lists(shares, max_size=3).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    relations=st.lists(st.builds(Relation, small, texts, small), max_size=2).map(tuple),
    frames=st.lists(texts, max_size=2).map(tuple),
    subtitles=st.lists(st.builds(Subtitle, seconds, seconds, texts), max_size=2).map(tuple),
    question=st.none() | texts,
    choices=st.lists(texts, max_size=2).map(tuple),
    triples=st.lists(st.tuples(ids, ids, ids), max_size=2).map(tuple),
    parse=st.lists(st.integers(-1, 5), max_size=3).map(tuple),
    depicts=st.none() | ids,
    head=st.none() | st.integers(0, 5),
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(records, max_size=6), st.integers(1, 3))
def test_records_survive_the_disk(tmp_path: Path, written: list[Record], shard: int) -> None:
    assert write_records(tmp_path / "records", written, shard=shard) == len(written)
    assert list(read_records(tmp_path / "records")) == written
    assert len(list((tmp_path / "records").glob("*.parquet"))) == max(1, -(-len(written) // shard))


def test_features_are_written_and_read_in_small_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept.data.shards, "GROUP_NUMBERS", 8)
    monkeypatch.setattr(kept.data.shards, "GROUP_BYTES", 1)
    region = Region((0.0, 0.0, 1.0, 1.0), feature=(0.5,) * 4)
    written = [Record(id=str(number), regions=(region,)) for number in range(5)]
    write_records(tmp_path / "records", written)
    with parquet.ParquetFile(tmp_path / "records" / "part-00000.parquet") as file:
        assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [2, 2, 1]
    assert list(read_records(tmp_path / "records")) == written


@pytest.mark.parametrize("start", range(7))
def test_a_shard_is_read_from_any_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: int) -> None:
    monkeypatch.setattr(kept.data.shards, "GROUP", 2)
    write_records(tmp_path / "records", [Record(id=str(number)) for number in range(6)])
    rows = kept.data.shards.read_shard(tmp_path / "records" / "part-00000.parquet", start)
    assert [row["id"] for row in rows] == [str(number) for number in range(start, 6)]


def test_only_the_columns_asked_for_are_read(tmp_path: Path) -> None:
    regions = (Region((0.0, 0.5, 1.0, 1.0), "dog", ("brown",), (0.5, 0.25)), Region((0.0, 0.0, 1.0, 1.0)))
    written = Record(id="a", text="Paris", answer="yes", regions=regions, relations=(Relation(0, "on", 1),))
    write_records(tmp_path / "records", [written, Record(id="b", question="Where?")])
    (first, second) = read_records(tmp_path / "records", ["answer", "regions.label", "relations.predicate"])
    assert (first.id, first.text, first.answer) == ("", None, "yes")
    assert [(region.label, region.attributes, region.feature) for region in first.regions] == [
        ("dog", (), None),
        (None, (), None),
    ]
    assert [relation.predicate for relation in first.relations] == ["on"]
    assert second == Record(id="")
    features = [r.feature for record in read_records(tmp_path / "records", ["regions.feature"]) for r in record.regions]
    assert features == [(0.5, 0.25), None]
    whole = read_records(tmp_path / "records", ["id", "text", "answer", "regions", "relations", "question"])
    assert list(whole) == list(read_records(tmp_path / "records"))


def test_records_are_counted_without_being_read(tmp_path: Path) -> None:
    write_records(tmp_path / "records", [Record(id=str(number)) for number in range(5)], shard=3)
    assert [count_records(path) for path in record_shards(tmp_path / "records")] == [3, 2]


def test_shards_from_before_relations_are_read_as_without(tmp_path: Path) -> None:
    written = Record(id="a", regions=(Region((0.0, 0.0, 1.0, 1.0)),), relations=(Relation(0, "on", 0),))
    write_records(tmp_path / "records", [written])
    path = tmp_path / "records" / "part-00000.parquet"
    parquet.write_table(parquet.read_table(path).drop_columns(["relations"]), path)
    assert list(read_records(tmp_path / "records")) == [Record(id="a", regions=written.regions)]


def test_what_finishes_a_folder_is_moved_with_it(tmp_path: Path) -> None:
    write_records(tmp_path / "records", [], finish=lambda folder: (folder / "more.tsv").write_text("more") and None)
    assert (tmp_path / "records" / "more.tsv").read_text() == "more"


def test_shards_are_plain_parquet(tmp_path: Path) -> None:
    """Nothing but strings, numbers, lists and structs, which every Parquet reader takes."""
    write_records(tmp_path / "records", [Record(id="a", text="Paris", mentions=(Mention(0, 5, 7),))])
    table = parquet.read_table(tmp_path / "records" / "part-00000.parquet")
    assert table.schema.remove_metadata() == schema()
    assert table.to_pylist()[0]["mentions"] == [{"start": 0, "end": 5, "entity": 7}]


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
