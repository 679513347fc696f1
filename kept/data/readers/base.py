"""What every reader has: files, a root of pictures, and a way to refuse."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

from kept.data.readers.rejects import Rejects, Unfit
from kept.data.record import Record
from kg.compression import SUFFIXES
from kg.errors import InputError
from kg.registry import Registry

MAX_PIXELS = 40_000_000
MAX_NAMES = 100_000
RANGE = re.compile(r"\{(\d{1,9})\.\.(\d{1,9})\}")

Taken = TypeVar("Taken")


class Reader(Protocol):
    """Makes records of files, one after the other; equal files and options give equal records, each under its own id.

    Only what must be joined is read before the first record.
    """

    def records(self) -> Iterator[Record]:
        """Yield the records."""

    @property
    def root(self) -> Path:
        """The folder that the records name pictures relative to."""


READERS: Registry[type[Reader]] = Registry("media reader")


@dataclass(frozen=True, kw_only=True)
class Files:
    """The options that all readers share.

    Args:
        paths: files, or folders in which the format's files lie.
        pictures: the root of the pictures; records name them relative to it. Default: the folder that the paths share.
        check_pictures: decode every picture, and refuse the records of those that are missing, broken or too large.
        max_pixels: the most pixels of a picture that is checked.
        rejects: what becomes of what cannot be read.
    """

    paths: tuple[str, ...]
    pictures: str | None = None
    check_pictures: bool = False
    max_pixels: int = MAX_PIXELS
    rejects: Rejects = field(default_factory=Rejects, repr=False, compare=False)
    named: dict[str, Path] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def inputs(self) -> list[Path]:
        """The paths, patterns such as `train-{000..010}.tar` written out.

        Raises:
            InputError: when there are none, or one is absent.
        """
        found = [Path(path) for pattern in self.paths for path in expanded(pattern)]
        if not found:
            raise InputError("no paths to read")
        for path in found:
            if not path.exists():
                raise InputError(f"{path}: no such file")
        return found

    @cached_property
    def shared(self) -> Path:
        """The folder that the paths share."""
        folders = [path if path.is_dir() else path.parent for path in map(Path.absolute, self.inputs)]
        return Path(os.path.commonpath(folders))

    @property
    def root(self) -> Path:
        """Where the pictures lie."""
        return self.shared if self.pictures is None else Path(self.pictures)

    def find(self, *patterns: str) -> list[Path]:
        """The files among the paths, and those in folders among them whose names match, plain or compressed.

        Raises:
            InputError: when none is found.
        """
        endings = [pattern + suffix for pattern in patterns for suffix in ("", *SUFFIXES)]
        found = [
            file
            for path in self.inputs
            for file in (sorted({f for end in endings for f in shown(path, end)}) if path.is_dir() else [path])
        ]
        if not found:
            raise InputError(f"{self.paths[0]}: no {' or '.join(patterns)} here")
        return list(dict.fromkeys(found))

    def name(self, path: Path) -> str:
        """A file's part of record ids: its path below the shared folder, without its suffix.

        Raises:
            InputError: when two files would have the same.
        """
        place = path.absolute().relative_to(self.shared)
        plain = place.with_suffix("") if place.suffix in SUFFIXES else place
        name = plain.with_suffix("").as_posix()
        if self.named.setdefault(name, path) != path:
            raise InputError(f"{path}: {self.named[name]} has the same name, so ids would be equal; read one at a time")
        return name

    def picture(self, name: str) -> str:
        """A picture's name below the root, looked at if that is wanted.

        Raises:
            Unfit: when it leaves the root, or is missing, broken or too large.
        """
        if is_outside(name):
            raise Unfit("picture outside its root", name)
        if self.check_pictures:
            from kept.data.pictures import read_picture

            try:
                read_picture(self.root / name, 1, max_pixels=self.max_pixels)
            except InputError as error:
                raise Unfit("picture", str(error)) from None
        return name

    def taken(self, path: Path, key: Any, make: Callable[[], Taken]) -> Taken | None:
        """What is made, or None when it is unfit and was refused."""
        try:
            return make()
        except Unfit as unfit:
            self.rejects(path, key, unfit)
            return None

    def each(
        self, path: Path, items: Iterable[tuple[Any, Any]], make: Callable[[Any, Any], Iterable[Record]]
    ) -> Iterator[Record]:
        """The records made of a file's items, each under its key; what is unfit is refused."""
        for key, item in items:
            try:
                yield from make(key, item)
            except Unfit as unfit:
                self.rejects(path, key, unfit)


def shown(folder: Path, pattern: str) -> Iterator[Path]:
    """The files of a folder that fit a pattern, without hidden ones and those in hidden folders: caches lie there."""
    for path in folder.glob(pattern):
        if not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def is_outside(name: str) -> bool:
    """Whether a name from a file would lead out of the folder that it is put behind.

    >>> is_outside("train/1.jpg"), is_outside("../1.jpg"), is_outside("/1.jpg")
    (False, True, True)
    """
    parts = name.replace("\\", "/").split("/")
    return not name or "\0" in name or not parts[0] or ".." in parts or ":" in parts[0]


def expanded(pattern: str) -> list[str]:
    """The names that a pattern with ranges of numbers stands for.

    Raises:
        InputError: when they are more than `MAX_NAMES`.

    >>> expanded("train-{008..010}.tar")
    ['train-008.tar', 'train-009.tar', 'train-010.tar']
    """
    match = RANGE.search(pattern)
    if match is None:
        return [pattern]
    first, last = int(match[1]), int(match[2])
    if last - first >= MAX_NAMES:
        raise InputError(f"{pattern}: more than {MAX_NAMES:,} names")
    names = [f"{pattern[: match.start()]}{n:0{len(match[1])}d}{pattern[match.end() :]}" for n in range(first, last + 1)]
    found = [name for middle in names for name in expanded(middle)]
    if not 0 < len(found) <= MAX_NAMES:
        raise InputError(f"{pattern}: stands for {len(found):,} names; between 1 and {MAX_NAMES:,} are read")
    return found


def numbered(name: str, items: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Items under the places that messages name them by.

    >>> list(numbered("images", ["a", "b"]))
    [('images[0]', 'a'), ('images[1]', 'b')]
    """
    for place, item in enumerate(items):
        yield f"{name}[{place}]", item
