"""Parquet shards of records, written and read a few at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kept.data.record import Grounding, Mention, Record, Region, Relation, Subtitle
from kg.errors import InputError
from kg.storage import atomic_directory

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

SHARD = 50_000
GROUP = 10_000
GROUP_NUMBERS = 4_000_000
GROUP_BYTES = 16_000_000
"""Of features there are so many that fewer records are held at once: numbers written, bytes read."""
LATER = frozenset({"relations", "grounding"})
"""Columns that older shards lack; they read as empty."""
LEVELS = frozenset({"list", "element", "item"})
"""What Parquet puts between the name of a list and those of its parts."""
NOWHERE = {"subject": -1, "predicate": "", "object": -1}
"""A relation of which only some columns are read."""


def schema() -> pa.Schema:
    """The Arrow schema of a shard; plain types, so `datasets.load_dataset("parquet", ...)` reads it."""
    import pyarrow as pa

    mention = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("entity", pa.int64())])
    region = pa.struct(
        [
            ("box", pa.list_(pa.float32())),
            ("label", pa.string()),
            ("attributes", pa.list_(pa.string())),
            ("feature", pa.list_(pa.float32())),
            ("scores", pa.list_(pa.float32())),
        ]
    )
    relation = pa.struct([("subject", pa.int32()), ("predicate", pa.string()), ("object", pa.int32())])
    grounding = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("region", pa.int32())])
    subtitle = pa.struct([("start", pa.float64()), ("end", pa.float64()), ("text", pa.string())])
    triple = pa.struct([("head", pa.int64()), ("relation", pa.int64()), ("tail", pa.int64())])
    strings, integers = pa.list_(pa.string()), pa.list_(pa.int64())
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            ("text", pa.string()),
            ("mentions", pa.list_(mention)),
            ("image", pa.string()),
            ("regions", pa.list_(region)),
            ("relations", pa.list_(relation)),
            ("grounding", pa.list_(grounding)),
            ("frames", strings),
            ("subtitles", pa.list_(subtitle)),
            ("audio", pa.string()),
            ("question", pa.string()),
            ("answer", pa.string()),
            ("choices", strings),
            ("triples", pa.list_(triple)),
            ("subgraph", integers),
            ("parse", integers),
            ("documents", strings),
            ("source", pa.string()),
            ("depicts", pa.int64()),
            ("head", pa.int32()),
            ("tail", pa.int32()),
        ]
    )


def to_row(record: Record) -> dict[str, Any]:
    """A record as a row of the schema."""
    row = {field.name: getattr(record, field.name) for field in fields(record)}
    row["mentions"] = [{"start": m.start, "end": m.end, "entity": m.entity} for m in record.mentions]
    row["regions"] = [region._asdict() for region in record.regions]
    row["relations"] = [relation._asdict() for relation in record.relations]
    row["grounding"] = [span._asdict() for span in record.grounding]
    row["subtitles"] = [subtitle._asdict() for subtitle in record.subtitles]
    row["triples"] = [dict(zip(("head", "relation", "tail"), triple, strict=True)) for triple in record.triples]
    return row


def from_row(row: dict[str, Any]) -> Record:
    """A row of the schema, or some columns of one, as a record."""
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    values["mentions"] = tuple(Mention(**mention) for mention in row.get("mentions") or ())
    values["regions"] = tuple(map(_region, row.get("regions") or ()))
    values["relations"] = tuple(Relation(**{**NOWHERE, **relation}) for relation in row.get("relations") or ())
    values["grounding"] = tuple(Grounding(**span) for span in row.get("grounding") or ())
    values["subtitles"] = tuple(Subtitle(**subtitle) for subtitle in row.get("subtitles") or ())
    values["triples"] = tuple((t["head"], t["relation"], t["tail"]) for t in row.get("triples") or ())
    return Record(**{"id": "", **values})


def _region(given: dict[str, Any]) -> Region:
    return Region(
        tuple(given.get("box") or (0.0, 0.0, 0.0, 0.0)),
        given.get("label"),
        tuple(given.get("attributes") or ()),
        None if given.get("feature") is None else tuple(given["feature"]),
        None if given.get("scores") is None else tuple(given["scores"]),
    )


def write_records(
    folder: Path | str,
    records: Iterable[Record],
    *,
    shard: int = SHARD,
    finish: Callable[[Path], None] | None = None,
) -> int:
    """Write Parquet shards of at most `shard` records, whole or not at all; returns how many records there were.

    No more than `GROUP` records, or `GROUP_NUMBERS` numbers of their features, are held at once.

    Args:
        finish: told the folder when all shards are in it and before it is moved to its place, to put more there.
    """
    import pyarrow as pa
    from pyarrow import parquet

    stream = iter(records)
    count = 0
    with atomic_directory(Path(folder)) as partial:
        for number in range(10**5):
            part = islice(stream, shard)
            first = next(part, None)
            if first is None and number:
                break
            with parquet.ParquetWriter(partial / f"part-{number:05d}.parquet", schema()) as writer:
                for group in groups(part if first is None else chain([first], part)):
                    count += len(group)
                    writer.write_table(pa.Table.from_pylist(list(map(to_row, group)), schema=schema()))
        if finish is not None:
            finish(partial)
    return count


def groups(records: Iterable[Record]) -> Iterator[list[Record]]:
    """Records, as many at a time as are held at once."""
    group: list[Record] = []
    numbers = 0
    for record in records:
        group.append(record)
        numbers += sum(len(region.feature or ()) + len(region.scores or ()) for region in record.regions)
        if len(group) >= GROUP or numbers >= GROUP_NUMBERS:
            yield group
            group, numbers = [], 0
    if group:
        yield group


def record_shards(folder: Path | str) -> list[Path]:
    """The shards that `write_records` wrote, in order.

    Raises:
        InputError: when there are none.
    """
    shards = sorted(Path(folder).glob("*.parquet"))
    if not shards:
        raise InputError(f"{folder}: no records here (no *.parquet)")
    return shards


def count_records(path: Path) -> int:
    """How many records a shard holds; nothing but its end is read."""
    with opened(path) as file:
        return int(file.metadata.num_rows)


def read_records(folder: Path | str, columns: Collection[str] | None = None) -> Iterator[Record]:
    """Read what `write_records` wrote, in order.

    Args:
        columns: read these only, such as "text" or "regions.label"; all else stays empty.

    Raises:
        InputError: when there are no shards, or one is not Parquet or has other columns; the message names the file.
    """
    for path in record_shards(folder):
        yield from map(from_row, read_shard(path, columns=columns))


def read_shard(path: Path, start: int = 0, columns: Collection[str] | None = None) -> Iterator[dict[str, Any]]:
    """The rows of one shard from row `start` on; groups of rows before it are not read.

    Args:
        columns: read these only, such as "text" or "regions.label".

    Raises:
        InputError: when it is not Parquet or has other columns.
    """
    with opened(path) as file:
        there = leaves(file, columns)
        for group in range(file.num_row_groups):
            about = file.metadata.row_group(group)
            if start >= about.num_rows:
                start -= about.num_rows
                continue
            size = max(1, min(GROUP, GROUP_BYTES * about.num_rows // max(1, about.total_byte_size)))
            for batch in file.iter_batches(size, row_groups=[group], columns=there):
                yield from batch.slice(start).to_pylist()
                start = max(0, start - len(batch))


def leaves(file: parquet.ParquetFile, columns: Collection[str] | None) -> list[str]:
    """The paths of what is to be read of a file, as Parquet names them."""
    known = set(schema().names)
    found = []
    for number in range(len(file.schema)):
        path = file.schema.column(number).path
        name = ".".join(part for part in path.split(".") if part not in LEVELS)
        wanted = columns is None or any(name == column or name.startswith(f"{column}.") for column in columns)
        if wanted and path.split(".")[0] in known:
            found.append(path)
    return found


@contextmanager
def opened(path: Path) -> Iterator[parquet.ParquetFile]:
    """A shard, open.

    Raises:
        InputError: when it is not Parquet or has other columns, then or while it is read.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            missing = set(schema().names) - set(file.schema_arrow.names) - LATER
            if missing:
                raise InputError(f"{path}: not records of this version; column {min(missing)!r} is missing")
            yield file
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a Parquet file ({' '.join(str(error).split())})") from None
