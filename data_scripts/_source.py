"""What every source has in common: its files, their licence, what is unpacked of them, and counts that must fit."""

from __future__ import annotations

import argparse
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import yaml

from data_scripts._download import File, fingerprint, obtain
from kg.errors import InputError
from kg.storage import atomic_file

REPORT = "source.yaml"
"""Beside what was fetched; of a suffix that no reader of graphs takes."""
MOST = 1 << 40
"""Bytes that an archive may unpack to."""
CHUNK = 1 << 20


@dataclass(frozen=True)
class Source:
    """A data set and how to get it.

    Attributes:
        name, about, home, licence: what it is, where it is described, under what licence it stands.
        files: what is downloaded.
        members: unpacked name -> (archive, name in it).
        lines: name -> how many lines a file must have.
        next: the command that goes on from there; `{out}` is the folder.
    """

    name: str
    about: str
    home: str
    licence: str
    files: Sequence[File]
    next: str
    members: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)


def fetch(source: Source, out: Path, local: Path | None = None) -> list[Path]:
    """Get a source into a folder and check it; what is there already is kept.

    Args:
        local: a folder with copies of its files (or the one file), instead of the network.

    Returns:
        What the next command reads: the unpacked files, or the downloaded ones where nothing is unpacked.

    Raises:
        InputError: when a file cannot be had, is another one, or does not hold what it must.
    """
    had = {file.name: obtain(file, out, local) for file in source.files}
    made = [unpack(had[archive], inside, out / name) for name, (archive, inside) in source.members.items()]
    for name, expected in source.lines.items():
        found = count_lines(out / name)
        if found != expected:
            raise InputError(f"{out / name}: {found:,} lines, but {source.name} has {expected:,} there")
    about = {"name": source.name, "about": source.about, "home": source.home, "licence": source.licence}
    files = [{"url": file.url, **fingerprint(had[file.name])} for file in source.files]
    with atomic_file(out / REPORT) as partial:
        report = {**about, "files": files, "lines": dict(source.lines)}
        partial.write_text(yaml.safe_dump(report, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return made or list(had.values())


def unpack(archive: Path, inside: str, target: Path) -> Path:
    """One file out of an archive (tar, plain or compressed, or zip)."""
    if target.exists():
        return target
    with ExitStack() as stack:
        stream: IO[bytes] | None
        try:
            if zipfile.is_zipfile(archive):
                stream = stack.enter_context(stack.enter_context(zipfile.ZipFile(archive)).open(inside))
            else:
                stream = stack.enter_context(tarfile.open(archive)).extractfile(inside)
        except (KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
            raise InputError(f"{archive}: {' '.join(str(error).split())}") from None
        if stream is None:
            raise InputError(f"{archive}: {inside} is no file")
        with atomic_file(target) as partial, partial.open("wb") as out:
            written = 0
            while block := stream.read(CHUNK):
                written += out.write(block)
                if written > MOST:
                    raise InputError(f"{archive}: {inside} grows beyond {MOST:,} bytes")
    return target


def count_lines(path: Path) -> int:
    """How many lines a file has, whether or not the last one ends."""
    lines, last = 0, b"\n"
    with path.open("rb") as handle:
        while block := handle.read(CHUNK):
            lines += block.count(b"\n")
            last = block[-1:]
    return lines + (last != b"\n")


def run(source: Source, arguments: Sequence[str] | None = None) -> int:
    """A source as a script: 0 when it is there, 2 with one line when it is not."""
    return run_one_of({source.name: source}, source.name, arguments)


def run_one_of(sources: Mapping[str, Source], default: str, arguments: Sequence[str] | None = None) -> int:
    """A script for one of several sets of a family."""
    first = sources[default]
    parser = argparse.ArgumentParser(description=f"{first.about} Licence: {first.licence}. See {first.home}.")
    parser.add_argument("--out", type=Path, required=True, help="the folder to fill; a broken download goes on there")
    parser.add_argument("--local", type=Path, help="a copy of the file, or a folder with copies; nothing is downloaded")
    if len(sources) > 1:
        parser.add_argument("--set", choices=list(sources), default=default)
    options = parser.parse_args(arguments)
    source = sources[getattr(options, "set", default)]
    try:
        made = fetch(source, options.out, options.local)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from there", file=sys.stderr)
        return 130
    print(f"{source.name}: {', '.join(str(path) for path in made)}")
    print(f"licence: {source.licence}")
    print(f"next: {source.next.format(out=options.out)}")
    return 0
