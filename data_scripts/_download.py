"""Files from the network: resumed where they broke off, whole or absent, known by size and checksum."""

from __future__ import annotations

import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

from kg.errors import InputError
from kg.progress import progress
from kg.storage import read_json, sha256_file, write_json

CHUNK = 1 << 18
TRIES = 5
TIMEOUT = 60.0
"""Seconds without a byte after which a connection is given up."""
PAUSE = 1.0
"""Seconds before a second try; twice as many before each further one."""
AGENT = "kept-toolkit (data_scripts)"
VALIDATORS = ("ETag", "Last-Modified")


@dataclass(frozen=True)
class File:
    """A file of a source.

    Attributes:
        name: under which it is kept.
        url: where it is had.
        size: bytes, where they are known.
        sha256: of the whole file, where it is known; for what changes from day to day there is none.
    """

    name: str
    url: str
    size: int | None = None
    sha256: str | None = None

    def check(self, path: Path) -> None:
        """Compare a whole file with what is known of it.

        Raises:
            InputError: when it is another one.
        """
        found = path.stat().st_size
        if self.size is not None and found != self.size:
            raise InputError(f"{path}: {found:,} bytes, but {self.name} has {self.size:,}")
        if self.sha256 is not None and (digest := sha256_file(path)) != self.sha256:
            raise InputError(f"{path}: its sha256 is {digest}, not {self.sha256}; it is not the file that is known")


def obtain(file: File, folder: Path, local: Path | None = None) -> Path:
    """A file in `folder`: the one that is there, a local copy, or from the network.

    Args:
        local: a copy of the file, or a folder that holds one under its name.

    Raises:
        InputError: when it cannot be had or is not the one that is known; then nothing is left under its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / file.name
    if target.exists():
        file.check(target)
        return target
    if local is not None:
        given = local / file.name if local.is_dir() else local
        if not given.is_file():
            raise InputError(f"{given}: no such file")
        file.check(given)
        partial = target.with_name(f".{file.name}.partial")
        shutil.copyfile(given, partial)
        partial.replace(target)
        return target
    return download(file, target)


def download(file: File, target: Path) -> Path:
    """Fetch a file; one that broke off is gone on with, now or by the next call.

    The bytes so far lie in a hidden file beside the target, with what the server said of its version, so that a file
    that has changed meanwhile is begun again.
    """
    partial, notes = target.with_name(f".{target.name}.partial"), target.with_name(f".{target.name}.json")
    with progress() as display:
        bar = display.add_task(file.name, total=file.size)
        for attempt in range(TRIES):
            try:
                receive(file, partial, notes, lambda done, total: display.update(bar, completed=done, total=total))
                break
            except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
                refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
                if refused or attempt == TRIES - 1:
                    raise InputError(f"{file.url}: {error}") from None
                time.sleep(PAUSE * 2**attempt)
    try:
        file.check(partial)
    except InputError:
        partial.unlink()
        notes.unlink(missing_ok=True)
        raise
    partial.replace(target)
    notes.unlink(missing_ok=True)
    return target


def receive(file: File, partial: Path, notes: Path, told: Callable[[int, int | None], None]) -> None:
    """Append what is missing; returns when the server has sent all.

    Raises:
        ConnectionError: when it ended before.
    """
    known = read_json(notes) if partial.exists() and notes.exists() else {}
    start = partial.stat().st_size if known else 0
    request = urllib.request.Request(file.url, headers={"User-Agent": AGENT})
    if start:
        request.add_header("Range", f"bytes={start}-")
        if validator := next((known[name] for name in VALIDATORS if name in known), None):
            request.add_header("If-Range", validator)
    try:
        response: HTTPResponse = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start == known.get("size"):
            return
        raise
    with response:
        if response.status != 206:
            start = 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length is not None else None
        write_json(
            notes, {"size": total, **{name: response.headers[name] for name in VALIDATORS if name in response.headers}}
        )
        with partial.open("ab" if start else "wb") as out:
            done = start
            while block := response.read(CHUNK):
                out.write(block)
                done += len(block)
                told(done, total)
    if total is not None and done < total:
        raise ConnectionError(f"ended after {done:,} of {total:,} bytes")


def fingerprint(path: Path) -> dict[str, Any]:
    """What a report says of a file."""
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256_file(path)}
