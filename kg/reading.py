"""Dumps into shards: which are read again, by how many, and what becomes of lines that cannot be read."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from kg.compression import STDIN, SUFFIXES, Dump, compression_of_file, open_dump
from kg.digests import HashedBeside, Hashing
from kg.dumps import reader_of
from kg.errors import InputError
from kg.loops import knows_sha256
from kg.meta import Source
from kg.policy import Policy, Tally
from kg.progress import progress
from kg.rdf import LineReader, NTriples, Turtle
from kg.shards import Part, Shard, Spill, finish_shard, finished, number_statements

REJECTED = "rejected.tsv"
MAX_ERRORS = 10_000
PARTS = 4
"""A part that is read takes at most this part of the memory: it is held twice while it is written."""
SEVERAL = 4
"""With fewer threads than these there is but one, or one pair, that takes lines apart."""
COMPILED_FROM = 1 << 22
"""Stored bytes of a dump from which on the fast lane is taken."""


@dataclass(frozen=True)
class Task:
    """One dump to read: all that its shard depends on, so that another process can do it."""

    path: str
    folder: Path
    scope: str
    syntax: str | None
    base: str | None
    on_error: str
    max_errors: int
    policy: Policy
    memory: int | None = None

    def record(self) -> dict[str, Any]:
        """What a shard must have been made from to be used again."""
        stat = None if self.path == STDIN else Path(self.path).stat()
        settings = {key: value for key, value in asdict(self).items() if key not in ("folder", "policy", "memory")}
        return {
            **settings,
            "policy": repr(self.policy),
            "size": stat and stat.st_size,
            "modified": stat and stat.st_mtime_ns,
        }


def read_dumps(tasks: Sequence[Task], workers: int) -> list[Shard]:
    """The shards of all tasks: those that are done already, and those that are made now.

    Lines are read by several threads, dump by dump; other syntaxes by several processes at a time. Where there is more
    than one dump, each is kept on disk as soon as it is read.
    """
    readers = [reader_of(task.path, task.syntax) for task in tasks]
    shards: dict[int, Shard] = {
        place: Shard.open(task.folder)
        for place, task in enumerate(tasks)
        if task.path != STDIN and finished(task.folder, task.record())
    }
    waiting = [place for place in range(len(tasks)) if place not in shards]
    size = sum(Path(tasks[place].path).stat().st_size for place in waiting if tasks[place].path != STDIN)
    documents = [place for place in waiting if not isinstance(readers[place], LineReader)]
    side_by_side = documents if workers > 1 and len(documents) > 1 else []
    with progress() as display:
        bar = display.add_task("reading bytes", total=size or None)
        with ExitStack() as stack:
            if side_by_side:
                from concurrent.futures import ProcessPoolExecutor
                from multiprocessing import get_context

                pool = stack.enter_context(ProcessPoolExecutor(workers, mp_context=get_context("spawn")))
                stack.callback(pool.shutdown, cancel_futures=True)
                running = [pool.submit(read_document, tasks[place]) for place in side_by_side]
            for place in waiting:
                if place not in side_by_side:
                    kept = len(tasks) > 1 or tasks[place].memory is not None
                    shards[place] = read_dump(
                        tasks[place], lambda count: display.advance(bar, count), workers, keep=kept
                    )
            for place, future in zip(side_by_side, running if side_by_side else [], strict=True):
                display.advance(bar, future.result())
                shards[place] = Shard.open(tasks[place].folder)
    return [shards[place] for place in range(len(tasks))]


class Refusals:
    """What of a dump cannot be read: the first stops it, or all are listed and counted, as the task has it."""

    def __init__(self, task: Task, listing: TextIO) -> None:
        self.task, self.listing = task, listing
        self.count = 0

    def __call__(self, line: int | None, reason: str) -> None:
        """Refuse a line.

        Raises:
            InputError: when it stops the build.
        """
        task = self.task
        place = task.path if line is None else f"{task.path}:{line}"
        if task.on_error == "raise":
            raise InputError(f"{place}: {reason}")
        self.count += 1
        if self.count > task.max_errors:
            raise InputError(f"{place}: {reason}; that makes more than {task.max_errors} errors, so the build stops")
        self.listing.write(f"{task.path}\t{'' if line is None else line}\t{' '.join(reason.split())}\n")


def read_document(task: Task) -> int:
    """Read one dump in a process of its own; returns its stored size."""
    return read_dump(task, keep=True).record["source"]["bytes"]


def read_dump(
    task: Task, on_bytes: Callable[[int], None] | None = None, threads: int = 1, *, keep: bool = False
) -> Shard:
    """Read one dump; with `keep`, its shard is written to its folder as well."""
    shutil.rmtree(task.folder, ignore_errors=True)
    task.folder.mkdir(parents=True)
    record = task.record()
    reader = reader_of(task.path, task.syntax)
    base = task.base or f"file:///{Path(task.path).name}"
    spill = None if task.memory is None else Spill(task.folder, task.memory // (PARTS * threads))
    compiled = compiled_pays(task.path)
    hashing = hashing_of(task.path, compiled and isinstance(reader, LineReader), threads, spill is not None)
    with (
        open_dump(task.path, on_bytes, threads, hashes=hashing is None) as dump,
        (task.folder / REJECTED).open("w", encoding="utf-8") as listing,
    ):
        reject = Refusals(task, listing)
        stream: Any = dump if isinstance(reader, LineReader) else io.BufferedReader(dump, 1 << 20)
        found = lines_of_turtle(task, threads, spill) if compiled and isinstance(reader, Turtle) else None
        if found is not None:
            tally, parts = found
        elif compiled and isinstance(reader, LineReader):
            from kg.lines import scan_dump

            beside = hashing if isinstance(hashing, HashedBeside) else None
            tally, parts = scan_dump(stream, reader, task.policy, reject, task.scope, threads, spill, hashing=beside)
        else:
            statements = reader.statements(stream, reject=reject, scope=task.scope, base=base)
            tally, part = number_statements(statements, task.policy, spill)
            parts = [part]
        # To the end even after an error, so that a truncated dump is found out; lines of Turtle were read apart.
        while found is None and stream.read(1 << 20):
            pass
        size = dump.size if task.path == STDIN else Path(task.path).stat().st_size
        digest = cast(Dump, dump).sha256 if hashing is None else hashing.result() if keep else ""
        source = Source(task.path, size, digest, tally.statements)
    record = {**record, "rejected": reject.count, "source": asdict(source)}
    if not keep:
        return Shard(record, tally, [part.run() for part in parts], hashing)
    save = spill or Spill(task.folder, 0)
    for part in parts:
        save(part)
    finish_shard(task.folder, record, tally)
    return Shard.open(task.folder)


def hashing_of(path: str, lines: bool, threads: int, spills: bool) -> Hashing | HashedBeside | None:
    """Who works out the hash of a dump; None where its reader does.

    Lines of a plain file that are read in their order are hashed beside their loop, where the processor helps; what
    else one thread reads, while it is at hand; and all the rest in the time that others leave idle.

    Args:
        lines: whether the fast lane reads it.
        spills: whether it does so in bounded memory.
    """
    in_order = threads == 1 or (threads < SEVERAL and not spills)
    if path != STDIN and lines and in_order and is_plain(path) and knows_sha256():
        return HashedBeside(Path(path))
    return None if path == STDIN or (lines and threads == 1) else Hashing(Path(path))


def is_plain(path: str) -> bool:
    """Whether a dump is a file that is stored as it is read."""
    return Path(path).suffix.lower() not in SUFFIXES and compression_of_file(path) is None


class NotLines(Exception):
    """A line that is no N-Triples."""


def lines_of_turtle(task: Task, threads: int, spill: Spill | None) -> tuple[Tally, list[Part]] | None:
    """Turtle that is N-Triples throughout, as DBpedia's dumps are, by the fast lane; None when it is not.

    Blank nodes are left to the reader of Turtle, which gives them names of its own.
    """
    from kg.lines import BlankNodeFound, scan_dump

    def reject(line: int | None, reason: str) -> None:
        raise NotLines

    if task.path == STDIN:
        return None
    try:
        with open_dump(task.path, None, threads) as dump:
            stream = cast(BinaryIO, dump)
            return scan_dump(stream, NTriples(), task.policy, reject, "", threads, spill, blank_nodes=False)
    except (NotLines, BlankNodeFound):
        for part in task.folder.glob("part-*"):
            shutil.rmtree(part)
        return None


def compiled_pays(path: str) -> bool:
    """Whether a dump is so large that loading the compiled loops pays."""
    return path == STDIN or Path(path).stat().st_size >= COMPILED_FROM
