"""WebDataset: tar files in which the members of a sample share a name and differ in their suffix."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kept.data.readers.base import READERS, Files, is_outside
from kept.data.readers.fields import mapping, text, written
from kept.data.readers.lines import open_bytes
from kept.data.readers.pairs import PICTURES
from kept.data.readers.rejects import Rejects, Unfit
from kept.data.record import Record
from kg.errors import InputError
from kg.storage import atomic_file

MAX_MEMBER = 1 << 26
"""Bytes of one member."""
MAX_HEADER = 1 << 16
"""Bytes of a long name."""
LONG = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
TEXT, JSON = ".txt", ".json"
USED = PICTURES | {TEXT, JSON}


@READERS.register("webdataset")
@dataclass(frozen=True, kw_only=True)
class WebDataset(Files):
    """WebDataset shards: one record a sample, of its .jpg, .png or .webp and its .txt or .json.

    Shards are files, plain or compressed, folders of them, or patterns such as `train-{000..010}.tar`. The bytes of
    each picture are written below the pictures' root, which must be given, and nothing else leaves the shard. From a
    .json `text` is taken, or else `caption`, and `question`, `answer` and `choices`; a .txt goes first.
    Source: https://github.com/webdataset/webdataset.

    Args:
        max_member: bytes of a member; longer ones are refused.

    >>> reader = WebDataset(paths=("train-{000..010}.tar",), pictures="pictures")         # doctest: +SKIP
    >>> next(reader.records())                                                            # doctest: +SKIP
    Record(id='train-000/sample1', text='A cat.', image='train-000/sample1.jpg', ...)
    """

    max_member: int = MAX_MEMBER

    def records(self) -> Iterator[Record]:
        for path in self.find("*.tar"):
            for key, members in samples(path, self.rejects, self.max_member):
                record = self.taken(path, key, partial(self.record, path, key, members))
                if record is not None:
                    yield record

    def record(self, path: Path, key: str, members: dict[str, bytes]) -> Record:
        """The record of one sample; its picture is written."""
        if is_outside(key):
            raise Unfit("picture outside its root", key)
        said = described(members[JSON]) if JSON in members else {}
        if TEXT in members:
            said["text"] = written(decoded(members[TEXT]), "text")
        suffix = next((suffix for suffix in members if suffix in PICTURES), None)
        if suffix is None and not said:
            raise Unfit("neither picture nor text", ", ".join(members))
        name = f"{self.name(path)}/{key}"
        image = None if suffix is None else self.put(name + suffix, members[suffix])
        return Record(id=name, source="webdataset", image=image, **said)

    def put(self, name: str, data: bytes) -> str:
        """Write a picture below the root, and look at it if that is wanted."""
        if self.pictures is None:
            raise InputError("pictures: name a folder to write the pictures of the shards to")
        target = self.root / name
        try:
            with atomic_file(target) as partial_file:
                partial_file.write_bytes(data)
        except OSError as error:
            raise InputError(f"{target}: {error.strerror or error}") from None
        try:
            return self.picture(name)
        except Unfit:
            target.unlink()
            raise


class Header(tarfile.TarInfo):
    """A header whose long names are bounded; one that is damaged is an error, which for tarfile would be the end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Header:
        try:
            info = super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from None
        if info.type in LONG and info.size > MAX_HEADER:
            raise tarfile.ReadError(f"a header of {info.size:,} bytes")
        return info


def samples(path: Path, rejects: Rejects, max_member: int = MAX_MEMBER) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The samples of a shard, one after the other: the key and the members by their suffixes, those that are used.

    Raises:
        InputError: when the shard is no tar file, or is cut off.
    """
    done: set[str] = set()
    key, members, fit = "", dict[str, bytes](), True
    try:
        with open_bytes(path) as file, tarfile.open(fileobj=file, mode="r|", tarinfo=Header) as tar:
            for info in tar:
                if not info.isreg():
                    continue
                stem, suffix = parts_of(info.name)
                if suffix not in USED:
                    continue
                if stem != key:
                    if members and fit:
                        yield key, members
                    done.add(key)
                    key, members, fit = stem, {}, True
                    if stem in done:
                        fit = False
                        rejects(path, stem, Unfit("said twice", "the members of a sample must follow each other"))
                if not fit:
                    continue
                if info.size > max_member or suffix in members:
                    fit = False
                    much = f"{info.name} has {info.size:,} bytes, more than {max_member:,}"
                    rejects(
                        path, stem, Unfit("said twice", info.name) if suffix in members else Unfit("too large", much)
                    )
                    continue
                data = tar.extractfile(info)
                assert data is not None
                members[suffix] = data.read()
            if members and fit:
                yield key, members
    except (tarfile.TarError, EOFError) as error:
        raise InputError(f"{path}: not a tar file that can be read ({error})") from None


def parts_of(name: str) -> tuple[str, str]:
    """A member's key and its suffix: all from the first dot of its last part on.

    >>> parts_of("./train/a.1.JPG"), parts_of("b.txt")
    (('train/a', '.1.jpg'), ('b', '.txt'))
    """
    folder, slash, last = name.removeprefix("./").rpartition("/")
    stem, dot, suffix = last.partition(".")
    return folder + slash + stem, (dot + suffix).lower()


def described(data: bytes) -> dict[str, Any]:
    """The fields of a record that a .json has."""
    try:
        item = mapping(json.loads(data))
    except (ValueError, RecursionError) as error:
        raise Unfit("not JSON", str(error)) from None
    names = {"text": "text" if "text" in item else "caption", "question": "question", "answer": "answer"}
    found: dict[str, Any] = {name: text(item, key) for name, key in names.items() if item.get(key) is not None}
    if isinstance(choices := item.get("choices"), list):
        found["choices"] = tuple(written(choice, "choices") for choice in choices)
    return found


def decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unfit("not UTF-8", str(error)) from None
