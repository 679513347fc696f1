"""`kept read`: image-text data in the forms that people have it, as records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.options import Json, Out, Quiet, Settings, command, say

if TYPE_CHECKING:
    from kept.data.record import Record


@command
def read(
    form: Annotated[
        str,
        typer.Argument(metavar="FORMAT", help="The reader; kept parts 'media reader' lists them.", show_default=False),
    ],
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...", help="Files, folders, or patterns such as a-{000..010}.tar.", show_default=False
        ),
    ],
    out: Out,
    pictures: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="The root of the pictures, where those of webdataset go; default beside the texts."
        ),
    ] = None,
    on_error: Annotated[
        str, typer.Option(metavar="raise|skip", help="Stop at what cannot be read, or list it in rejected.tsv.")
    ] = "raise",
    max_errors: Annotated[int, typer.Option(help="With skip: stop after all past this many.")] = 10_000,
    settings: Settings = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Read pictures, texts, boxes, questions and scene graphs into records."""
    from kept.data.readers import READERS, Rejects
    from kept.data.shards import write_records
    from kg.progress import track

    refuse_to_replace(out)
    rejects = Rejects(on_error, max_errors)
    options = {"paths": tuple(paths), "pictures": pictures, "rejects": rejects}
    reader = READERS[form](**options, **chosen(READERS[form], settings or []))
    counts: Counter[str] = Counter()
    count = write_records(out, track(counted(reader.records(), counts), f"reading {form}"), finish=rejects.write)
    if not count:
        say(f"nothing to read in {', '.join(paths)}")
    summary = {
        "out": str(out),
        "pictures_root": str(reader.root),
        "records": count,
        **{kind: counts[kind] for kind in COUNTED},
        "skipped": dict(sorted(rejects.counts.items())),
    }
    tell(summary)
    return summary


def refuse_to_replace(out: Path) -> None:
    """Leave alone what is no folder of records."""
    from kg.errors import InputError

    if out.exists() and not (out.is_dir() and (any(out.glob("*.parquet")) or not any(out.iterdir()))):
        raise InputError(f"{out}: already there and no records; choose another place or remove it")


COUNTED = ("pictures", "captions", "questions", "regions", "relations")


def counted(records: Iterable[Record], counts: Counter[str]) -> Iterator[Record]:
    """The records, while what they carry is counted."""
    pictures: set[int] = set()
    for record in records:
        pictures.update(map(hash, record.pictures()))
        counts["pictures"] = len(pictures)
        counts["captions"] += record.text is not None
        counts["questions"] += record.question is not None
        counts["regions"] += len(record.regions)
        counts["relations"] += len(record.relations)
        yield record


def chosen(reader: Any, settings: list[str]) -> dict[str, Any]:
    """The settings of a reader, each of the kind that it must have."""
    from kg.embedding.config import parse_value
    from kg.errors import InputError, nearest

    known = {field.name: field for field in fields(reader) if field.init and field.name not in GIVEN}
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting}: expected KEY=VALUE")
        if key not in known:
            raise InputError(f"--set {setting}: no such setting; {nearest(key, known)}")
        kind = str(known[key].type).split(" | ")[0]
        value = text if kind == "str" else parse_value(setting, text)
        if type(value).__name__ != kind:
            raise InputError(f"--set {setting}: expected {KINDS[kind]}")
        values[key] = value
    return values


GIVEN = frozenset({"paths", "pictures", "rejects"})
KINDS = {"bool": "true or false", "int": "a whole number"}


def tell(summary: dict[str, Any]) -> None:
    """What was read, what was skipped, and what to do next."""
    parts = [f"{summary[kind]:,} {kind}" for kind in COUNTED if summary[kind]]
    say(f"{summary['records']:,} records ({', '.join(parts) or 'empty'}): {summary['out']}")
    if summary["skipped"]:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in summary["skipped"].items())
        say(f"skipped: {reasons}; each is listed in {summary['out']}/rejected.tsv")
    say(f"next: name {summary['out']} and pictures: {summary['pictures_root']} in a recipe, see kept recipes")
