"""The one shape of training data: text, pictures and knowledge of one sample, and Parquet shards of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from kept.linking.mention import Mention
from kg.errors import InputError
from kg.storage import atomic_directory

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Grounding", "Mention", "Record", "Region", "Relation", "Subtitle", "read_records", "write_records"]

SHARD = 50_000
LATER = frozenset({"relations", "grounding"})
"""Columns that shards of before lack; they are read as empty."""
Box = tuple[float, float, float, float]
Triple = tuple[int, int, int]


class Region(NamedTuple):
    """A part of a picture: its box (left, top, right, bottom; shares of width and height), and what it shows."""

    box: Box
    label: str | None = None
    attributes: tuple[str, ...] = ()
    feature: tuple[float, ...] | None = None


class Relation(NamedTuple):
    """What one region is to another, such as (0, "left of", 2): places in `Record.regions` on both sides."""

    subject: int
    predicate: str
    object: int


class Grounding(NamedTuple):
    """The words `text[start:end]` name the region at this place in `Record.regions`."""

    start: int
    end: int
    region: int


class Subtitle(NamedTuple):
    """A text that is heard or shown from `start` to `end`, in seconds."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One sample; what it lacks is None or empty.

    Args:
        id: unique in its data set; the noise of a record is drawn from it.
        text: what is written.
        mentions: where the text names entities.
        image: the path of a picture, relative to the pictures' root.
        regions: parts of the picture.
        frames: paths of the pictures of a video, in order.
        subtitles: what is said in the video.
        audio: the path of a sound file.
        question, answer, choices: a question about the above, its answer, and the answers to choose from.
        triples: the facts (head, relation, tail) that the record states, as ids of the graph.
        subgraph: rows of the graph's triples that belong to the record as context.
        parse: for each token of a syntax tree its parent, -1 at the root.
        documents: retrieved texts.
        source: where the record comes from, such as "fact" or "caption".
        depicts: the entity that the picture shows. For bookkeeping and evaluation; no model is given it.
        head, tail: which of `mentions` is the head and the tail of the stated fact.
        relations: what regions are to each other.
        grounding: which words of the text name which regions.

    >>> Record(id="a", text="Paris is large.", mentions=(Mention(0, 5, 7),)).image is None
    True
    """

    id: str
    text: str | None = None
    mentions: tuple[Mention, ...] = ()
    image: str | None = None
    regions: tuple[Region, ...] = ()
    frames: tuple[str, ...] = ()
    subtitles: tuple[Subtitle, ...] = ()
    audio: str | None = None
    question: str | None = None
    answer: str | None = None
    choices: tuple[str, ...] = ()
    triples: tuple[Triple, ...] = ()
    subgraph: tuple[int, ...] = ()
    parse: tuple[int, ...] = ()
    documents: tuple[str, ...] = ()
    source: str | None = None
    depicts: int | None = None
    head: int | None = None
    tail: int | None = None
    relations: tuple[Relation, ...] = ()
    grounding: tuple[Grounding, ...] = ()

    def strings(self) -> Iterator[str]:
        """Every text that the record carries, whatever its role."""
        yield from (text for text in (self.text, self.question, self.answer) if text)
        yield from self.choices
        yield from self.documents
        yield from (subtitle.text for subtitle in self.subtitles)
        for region in self.regions:
            yield from (region.label,) if region.label else ()
            yield from region.attributes

    def pictures(self) -> Iterator[str]:
        """Every picture that the record carries."""
        yield from (self.image,) if self.image else ()
        yield from self.frames


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
        ]
    )
    subtitle = pa.struct([("start", pa.float64()), ("end", pa.float64()), ("text", pa.string())])
    triple = pa.struct([("head", pa.int64()), ("relation", pa.int64()), ("tail", pa.int64())])
    relation = pa.struct([("subject", pa.int32()), ("predicate", pa.string()), ("object", pa.int32())])
    grounding = pa.struct([("start", pa.int32()), ("end", pa.int32()), ("region", pa.int32())])
    strings, integers = pa.list_(pa.string()), pa.list_(pa.int64())
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            ("text", pa.string()),
            ("mentions", pa.list_(mention)),
            ("image", pa.string()),
            ("regions", pa.list_(region)),
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
            ("relations", pa.list_(relation)),
            ("grounding", pa.list_(grounding)),
        ]
    )


def to_row(record: Record) -> dict[str, Any]:
    """A record as a row of the schema."""
    row = {field.name: getattr(record, field.name) for field in fields(record)}
    row["mentions"] = [{"start": m.start, "end": m.end, "entity": m.entity} for m in record.mentions]
    row["regions"] = [region._asdict() for region in record.regions]
    row["subtitles"] = [subtitle._asdict() for subtitle in record.subtitles]
    row["triples"] = [dict(zip(("head", "relation", "tail"), triple, strict=True)) for triple in record.triples]
    row["relations"] = [relation._asdict() for relation in record.relations]
    row["grounding"] = [grounding._asdict() for grounding in record.grounding]
    return row


def from_row(row: dict[str, Any]) -> Record:
    """A row of the schema as a record."""
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    values["mentions"] = tuple(Mention(**mention) for mention in row["mentions"] or ())
    values["regions"] = tuple(
        Region(
            tuple(region["box"]),
            region["label"],
            tuple(region["attributes"] or ()),
            None if region["feature"] is None else tuple(region["feature"]),
        )
        for region in row["regions"] or ()
    )
    values["subtitles"] = tuple(Subtitle(**subtitle) for subtitle in row["subtitles"] or ())
    values["triples"] = tuple((t["head"], t["relation"], t["tail"]) for t in row["triples"] or ())
    values["relations"] = tuple(Relation(**relation) for relation in row.get("relations") or ())
    values["grounding"] = tuple(Grounding(**grounding) for grounding in row.get("grounding") or ())
    return Record(**values)


def write_records(folder: Path | str, records: Iterable[Record], *, shard: int = SHARD) -> int:
    """Write Parquet shards of at most `shard` records, whole or not at all; returns how many records there were."""
    import pyarrow as pa
    from pyarrow import parquet

    stream = iter(records)
    count = 0
    with atomic_directory(Path(folder)) as partial:
        for number in range(10**5):
            rows = [to_row(record) for record in islice(stream, shard)]
            if not rows and number:
                break
            count += len(rows)
            parquet.write_table(pa.Table.from_pylist(rows, schema=schema()), partial / f"part-{number:05d}.parquet")
    return count


def read_records(folder: Path | str) -> Iterator[Record]:
    """Read what `write_records` wrote, in order.

    Raises:
        InputError: when there are no shards, or one is not Parquet or has other columns; the message names the file.
    """
    import pyarrow as pa
    from pyarrow import parquet

    shards = sorted(Path(folder).glob("*.parquet"))
    if not shards:
        raise InputError(f"{folder}: no records here (no *.parquet)")
    expected = schema()
    for path in shards:
        try:
            with parquet.ParquetFile(path) as file:
                missing = set(expected.names) - set(file.schema_arrow.names)
                if missing - LATER:
                    raise InputError(f"{path}: not records of this version; column {min(missing - LATER)!r} is missing")
                for batch in file.iter_batches(columns=[name for name in expected.names if name not in missing]):
                    yield from map(from_row, batch.to_pylist())
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{path}: not a Parquet file ({' '.join(str(error).split())})") from None
