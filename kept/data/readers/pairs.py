"""Pictures with texts, however they come: a folder, a table, or JSON lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kept.data.readers.base import READERS, Files
from kept.data.readers.fields import text, written
from kept.data.readers.lines import json_lines, lines, rows
from kept.data.readers.rejects import Unfit
from kept.data.record import Record
from kg.errors import InputError, nearest

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"})
TABLES = {".tsv": "table", ".csv": "table", ".jsonl": "json", ".ndjson": "json"}


@READERS.register("pairs")
@dataclass(frozen=True, kw_only=True)
class Pairs(Files):
    """Pictures and their texts: a folder of pictures with .txt files of the same name, a .tsv or .csv, or .jsonl.

    In a folder, each line of a picture's .txt is a text of its own. A table has the picture in its first column and
    the text in its second, or names its columns in its first row. `question`, `answer` and `choices` of JSON lines are
    taken, too. Pictures of a table or of JSON lines are named relative to the pictures' root. Files may be compressed.

    Args:
        image: the name of the column or key of pictures.
        text: the name of the column or key of texts.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "pairs.tsv"
    >>> _ = path.write_text("a.jpg\\tA cat.\\n")
    >>> next(Pairs(paths=(str(path),)).records()).text
    'A cat.'
    """

    image: str = "image"
    text: str = "text"

    def records(self) -> Iterator[Record]:
        for path in self.inputs:
            if path.is_dir():
                yield from self.of_folder(path)
                continue
            kind = next((TABLES[suffix] for suffix in path.suffixes if suffix in TABLES), None)
            if kind == "table":
                yield from self.of_table(path)
            elif kind == "json":
                yield from self.each(path, json_lines(path, self.rejects), partial(self.of_object, path))
            else:
                raise InputError(f"{path}: neither a folder nor one of {', '.join(TABLES)}")

    def of_folder(self, folder: Path) -> Iterator[Record]:
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())
        if not found:
            raise InputError(f"{folder}: no pictures here ({', '.join(sorted(PICTURES))})")
        by_texts: dict[Path, Path] = {}
        for path in found:
            texts = path.with_suffix(".txt")
            place = path.absolute().relative_to(self.shared if self.pictures is None else self.root.absolute())
            if not texts.is_file():
                self.rejects(path, path.name, Unfit("text missing", texts.name))
            elif texts in by_texts:
                self.rejects(path, path.name, Unfit("said twice", f"{by_texts[texts].name} has the same name"))
            else:
                by_texts[texts] = path
                yield from self.each(texts, lines(texts, self.rejects), partial(self.captioned, place.as_posix()))

    def captioned(self, image: str, number: int, line: str) -> Iterator[Record]:
        key = f"{image}:{number}"
        yield Record(id=key, source="pairs", text=written(line, "text"), image=self.picture(image))

    def of_table(self, path: Path) -> Iterator[Record]:
        table = rows(path, self.rejects)
        number, first = next(table, (1, []))
        names = [cell.strip().lower() for cell in first]
        columns = (0, 1)
        if self.image.lower() in names and self.text.lower() in names:
            columns = names.index(self.image.lower()), names.index(self.text.lower())
        else:
            for key, name in (("image", self.image), ("text", self.text)):
                if name != key:
                    raise InputError(f"{path}:1: no column is called {name!r}; {nearest(name, names)}")
            yield from self.each(path, [(number, first)] if first else [], partial(self.of_row, path, columns))
        yield from self.each(path, table, partial(self.of_row, path, columns))

    def of_row(self, path: Path, columns: tuple[int, int], number: int, cells: list[str]) -> Iterator[Record]:
        if len(cells) <= max(columns):
            raise Unfit("malformed", f"{len(cells)} columns")
        values = {"image": cells[columns[0]], "text": cells[columns[1]]}
        yield self.record(path, number, written(values["image"], "image"), text=written(values["text"], "text"))

    def of_object(self, path: Path, number: int, item: Mapping[str, Any]) -> Iterator[Record]:
        others: dict[str, Any] = {key: text(item, key) for key in ("question", "answer") if item.get(key) is not None}
        if item.get(self.text) is not None or not others:
            others["text"] = text(item, self.text)
        if isinstance(choices := item.get("choices"), list):
            others["choices"] = tuple(written(choice, "choices") for choice in choices)
        yield self.record(path, number, text(item, self.image), **others)

    def record(self, path: Path, number: int, image: str, **others: Any) -> Record:
        return Record(id=f"{self.name(path)}:{number}", source="pairs", image=self.picture(image), **others)
