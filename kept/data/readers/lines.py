"""Lines and rows of text files, plain or compressed; what is not UTF-8 or too long is refused line by line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kept.data.readers.fields import MALFORMED, mapping
from kept.data.readers.rejects import Rejects, Unfit
from kg.compression import Dump

MAX_LINE = 1 << 20
"""Bytes in a line."""


def open_bytes(path: Path) -> io.BufferedReader:
    """The decompressed bytes of a file; `kg.compression.Dump` bounds them and refuses what is truncated."""
    return io.BufferedReader(Dump(path, hashes=False), 1 << 18)


def lines(path: Path, rejects: Rejects, *, max_line: int = MAX_LINE) -> Iterator[tuple[int, str]]:
    """The lines of a file that are not empty, each with its number, without their ends."""
    with open_bytes(path) as file:
        number = 0
        while line := file.readline(max_line + 1):
            number += 1
            if len(line) > max_line:
                while line and not line.endswith(b"\n"):
                    line = file.readline(max_line)
                rejects(path, number, Unfit("line too long", f"more than {max_line:,} bytes"))
                continue
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                rejects(path, number, Unfit("not UTF-8", str(error)))
                continue
            if text.strip():
                yield number, text


def json_lines(path: Path, rejects: Rejects, *, max_line: int = MAX_LINE) -> Iterator[tuple[int, dict[str, Any]]]:
    """The object of each line, with the line's number."""
    for number, line in lines(path, rejects, max_line=max_line):
        try:
            yield number, mapping(json.loads(line))
        except (ValueError, RecursionError) as error:
            rejects(path, number, Unfit("not JSON", str(error)))
        except Unfit as unfit:
            rejects(path, number, unfit)


def rows(path: Path, rejects: Rejects, *, max_line: int = MAX_LINE) -> Iterator[tuple[int, list[str]]]:
    """The cells of each row of a .csv, where quotes may hold line ends, or of tab-separated values, where they mean
    nothing; with the number of the row's last line."""
    tabs = ".csv" not in path.suffixes
    if tabs:
        yield from ((number, line.split("\t")) for number, line in lines(path, rejects, max_line=max_line))
        return
    last = 0

    def counted() -> Iterator[str]:
        nonlocal last
        for last, line in lines(path, rejects, max_line=max_line):  # noqa: B007
            yield line + "\n"

    source = counted()
    reader = csv.reader(source, strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            rejects(path, last, Unfit(MALFORMED, str(error)))
            reader = csv.reader(source, strict=True)
        else:
            yield last, cells
