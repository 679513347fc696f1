"""Flickr30k: five captions a picture."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from kept.data.readers.base import READERS, Files
from kept.data.readers.fields import listing, written
from kept.data.readers.lines import lines, rows
from kept.data.readers.rejects import Unfit
from kept.data.record import Record
from kg.errors import InputError

BARS = ("image_name", "comment_number", "comment")


@READERS.register("flickr30k")
@dataclass(frozen=True, kw_only=True)
class Flickr30k(Files):
    """Flickr30k: one record a caption, from the .token file or a .csv.

    The .csv is `image_name| comment_number| comment`, `image,caption` (as of Flickr8k), or a list of captions in a
    column `raw` beside the picture's `filename`.
    Source: Young et al. 2014, "From image descriptions to visual denotations".

    >>> next(Flickr30k(paths=("results_20130124.token",)).records())                      # doctest: +SKIP
    Record(id='1000092795.jpg#0', text='Two young guys with shaggy hair ...', image='1000092795.jpg', ...)
    """

    def records(self) -> Iterator[Record]:
        seen: set[tuple[str, str]] = set()
        for path in self.find("*.token", "*.csv"):
            if ".csv" not in path.suffixes:
                yield from self.each(path, lines(path, self.rejects), partial(self.of_token, seen))
                continue
            _, header = next(lines(path, self.rejects), (1, ""))
            if tuple(cell.strip() for cell in header.split("|")) == BARS:
                found = ((number, line) for number, line in lines(path, self.rejects) if number > 1)
                yield from self.each(path, found, partial(self.of_bars, seen))
                continue
            table = rows(path, self.rejects)
            _, names = next(table, (1, []))
            if names == ["image", "caption"]:
                yield from self.each(path, table, partial(self.of_pair, seen))
            elif {"raw", "filename"} <= set(names):
                places = names.index("filename"), names.index("raw")
                yield from self.each(path, table, partial(self.of_list, seen, places))
            else:
                raise InputError(f"{path}:1: not the columns of Flickr30k: {header[:80]}")

    def of_token(self, seen: set[tuple[str, str]], number: int, line: str) -> Iterator[Record]:
        name, tab, caption = line.partition("\t")
        image, mark, place = name.rpartition("#")
        if not tab or not mark:
            raise Unfit("malformed", "expected NAME#NUMBER<TAB>caption")
        yield self.record(seen, image, place, caption)

    def of_bars(self, seen: set[tuple[str, str]], number: int, line: str) -> Iterator[Record]:
        cells = line.split("|", 2)
        if len(cells) < 3:
            raise Unfit("malformed", "expected NAME| NUMBER| caption")
        yield self.record(seen, cells[0].strip(), cells[1].strip(), cells[2])

    def of_pair(self, seen: set[tuple[str, str]], number: int, cells: list[str]) -> Iterator[Record]:
        if len(cells) != 2:
            raise Unfit("malformed", f"{len(cells)} columns")
        yield self.record(seen, cells[0], f"line {number}", cells[1])

    def of_list(
        self, seen: set[tuple[str, str]], places: tuple[int, int], number: int, cells: list[str]
    ) -> Iterator[Record]:
        if len(cells) <= max(places):
            raise Unfit("malformed", f"{len(cells)} columns")
        try:
            captions = listing({"raw": json.loads(cells[places[1]])}, "raw")
        except (ValueError, RecursionError) as error:
            raise Unfit("not JSON", str(error)) from None
        for place, caption in enumerate(captions):
            yield self.record(seen, cells[places[0]], str(place), caption)

    def record(self, seen: set[tuple[str, str]], image: str, place: str, caption: object) -> Record:
        image, said = written(image, "image"), written(caption, "caption")
        if (image, place) in seen:
            raise Unfit("said twice", f"{image}#{place}")
        record = Record(id=f"{image}#{place}", source="flickr30k", text=said, image=self.picture(image))
        seen.add((image, place))
        return record
