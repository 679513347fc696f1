"""Which files are dumps, and which reader takes each."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from kg import tables  # noqa: F401 (registers its readers)
from kg.compression import STDIN, SUFFIXES, is_remote
from kg.errors import InputError, nearest
from kg.rdf import READERS, Reader


def reader_of(name: str, syntax: str | None = None) -> Reader:
    """The reader for a dump: by `syntax`, else by the suffix that is left when that of a compression is taken off.

    >>> type(reader_of("world.nt.gz")).__name__
    'NTriples'

    Raises:
        InputError: for an unknown syntax or suffix.
    """
    if syntax is None and name == STDIN:
        syntax = "nquads"
    if syntax is not None:
        return READERS[syntax]()
    suffix = suffix_of(name)
    for reader in READERS:
        if suffix in READERS[reader].suffixes:
            return READERS[reader]()
    known = sorted(suffix for reader in READERS for suffix in READERS[reader].suffixes)
    raise InputError(f"{name}: no reader for the suffix {suffix!r}; {nearest(suffix, known)}, or name a --syntax")


def suffix_of(name: str) -> str:
    """The suffix that tells of the syntax.

    >>> suffix_of("dumps/World.NT.gz")
    '.nt'
    """
    path = Path(name)
    return Path(path.stem).suffix.lower() if path.suffix.lower() in SUFFIXES else path.suffix.lower()


def is_dump(path: Path) -> bool:
    """Whether some reader takes the file, by its suffix."""
    return any(READERS[reader].takes(path.name, suffix_of(path.name)) for reader in READERS)


def find_dumps(dumps: Iterable[str | Path]) -> list[str]:
    """Files out of files, folders (all that a reader takes, in them and below), globs and "-"; each once, in order.

    Raises:
        InputError: when nothing is there.
    """
    found: dict[str, None] = {}
    for dump in map(str, dumps):
        path = Path(dump)
        if path.is_dir():
            matches = [str(file) for file in sorted(path.rglob("*")) if file.is_file() and is_dump(file)]
        elif dump == STDIN or is_remote(dump) or path.exists():
            matches = [dump]
        elif glob.has_magic(dump):
            matches = [file for file in sorted(glob.iglob(dump, recursive=True)) if Path(file).is_file()]  # noqa: PTH207
        else:
            raise InputError(f"{dump}: no such file or folder")
        if not matches:
            raise InputError(f"{dump}: no dump there that kept can read")
        found.update(dict.fromkeys(matches))
    if not found:
        raise InputError("no dump given")
    return list(found)
