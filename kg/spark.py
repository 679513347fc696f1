"""The reading of dumps on Apache Spark: each task takes a range of lines with the loops of `kg.lines`.

Spark hands out the work and brings back what was numbered; reading, joining and writing are those of every build, so
the result is the same to the byte. Dumps may lie where pyarrow reads from (`s3://`, `gs://`, `hdfs://`, local paths).
"""

from __future__ import annotations

import io
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from kg.compression import STDIN, SUFFIXES, Dump, is_remote, open_remote
from kg.dumps import reader_of
from kg.errors import InputError
from kg.meta import Source
from kg.policy import Tally
from kg.progress import progress
from kg.rdf import LineReader, line_blocks
from kg.reading import REJECTED, Refusals, Task, read_dump
from kg.shards import Part, Shard, finish_shard
from kg.storage import sha256_file

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RANGE = 1 << 26
"""Bytes of a dump that one task reads."""
HELD = 1 << 28
"""Bytes that a task holds before it hands a part over."""
Row = tuple[int, str, bytes]
"""(range, name, content): what a task sends; the name is empty for its report, else that of a file of a part."""


def session(master: str | None, cores: int) -> SparkSession:
    """The Spark that `spark-submit` gave, or one on this machine.

    Raises:
        InputError: when pyspark or Java is not there.
    """
    try:
        from pyspark.errors import PySparkException, PySparkRuntimeError
        from pyspark.sql import SparkSession as Builder
    except ImportError:
        raise InputError("--engine spark needs pyspark: pip install 'kept-toolkit[spark]'") from None
    builder = Builder.builder.appName("kept build-kg").config("spark.ui.showConsoleProgress", "false")
    if master is not None:
        builder = builder.master(master)
    elif not Builder.getActiveSession():
        builder = builder.master(f"local[{cores}]")
    try:
        return builder.getOrCreate()
    except (PySparkException, PySparkRuntimeError, RuntimeError, OSError) as error:
        raise InputError(f"--engine spark: {' '.join(str(error).split())}; is Java installed?") from None


def read_dumps(tasks: Sequence[Task], master: str | None, cores: int) -> list[Shard]:
    """The shards of all tasks; lines are read on Spark, other syntaxes here."""
    spark = session(master, cores)
    shards = []
    for task in tasks:
        if isinstance(reader_of(task.path, task.syntax), LineReader) and task.path != STDIN:
            shards.append(read_lines(spark, task))
        elif is_remote(task.path):
            raise InputError(f"{task.path}: of what lies elsewhere only lines are read (N-Triples, N-Quads)")
        else:
            shards.append(read_dump(task, keep=True))
    return shards


@dataclass(frozen=True)
class Range:
    """The lines that begin from `start` to before `stop`; to the end where `stop` is None."""

    number: int
    start: int
    stop: int | None


def ranges_of(path: str, size: int) -> list[Range]:
    """Ranges of about `RANGE` bytes; a compressed dump is one."""
    if Path(path).suffix.lower() in SUFFIXES or size <= RANGE:
        return [Range(0, 0, None)]
    starts = range(0, size, RANGE)
    return [Range(number, start, min(start + RANGE, size)) for number, start in enumerate(starts)]


def read_lines(spark: SparkSession, task: Task) -> Shard:
    """One dump of lines, range by range."""
    shutil.rmtree(task.folder, ignore_errors=True)
    task.folder.mkdir(parents=True)
    record = {} if is_remote(task.path) else task.record()
    size = size_of(task.path)
    ranges = ranges_of(task.path, size)
    context = spark.sparkContext
    found = context.parallelize(ranges, len(ranges)).flatMap(lambda one: read_range(task, one))
    reports: dict[int, dict[str, Any]] = {}
    with progress() as display:
        bar = display.add_task("reading ranges", total=len(ranges))
        for number, name, content in found.toLocalIterator(prefetchPartitions=True):
            if name:
                place = task.folder / name
                place.parent.mkdir(exist_ok=True)
                place.write_bytes(content)
            else:
                reports[number] = json.loads(content)
                display.advance(bar)
    rejected = list_refusals(task, [reports[number] for number in sorted(reports)])
    counts = sum((Counter(report["counts"]) for report in reports.values()), Counter())
    tally = Tally.of(
        task.policy,
        counts["statements"],
        quoted=counts["quoted"],
        foreign=counts["foreign"],
        unwanted=counts["unwanted"],
        in_graphs=counts["graphs"],
    )
    digest = "" if is_remote(task.path) else sha256_file(Path(task.path))
    source = Source(task.path, size, digest, tally.statements)
    finish_shard(task.folder, {**record, "rejected": rejected, "source": asdict(source)}, tally)
    return Shard.open(task.folder)


def list_refusals(task: Task, reports: Sequence[dict[str, Any]]) -> int:
    """Write what was refused, in the order of lines; returns how many.

    Raises:
        InputError: for the first one, or for one too many, as the task's policy has it.
    """
    before = 0
    with (task.folder / REJECTED).open("w", encoding="utf-8") as listing:
        reject = Refusals(task, listing)
        for report in reports:
            for line, reason in report["refused"]:
                reject(before + line + 1, reason)
            before += report["lines"]
    return reject.count


def read_range(task: Task, lines: Range) -> Iterator[Row]:
    """What a range holds, in a process of Spark's."""
    from kg.lines import BLOCK, TAIL, Scanner

    parts: list[Part] = []
    scanner = Scanner(cast(LineReader, reader_of(task.path, task.syntax)), task.policy, task.scope, Collected(parts))
    count, refused = 0, []
    with open_range(task.path, lines) as stream:
        for block in line_blocks(cast(BinaryIO, stream), BLOCK, TAIL, begins=not lines.start):
            read, wrong = scanner.scan(block)
            refused += [(count + line, reason) for line, reason in wrong]
            count += read
            if refused and task.on_error == "raise":
                break
    parts.append(scanner.finish())
    for number, part in enumerate(parts):
        for name, content in part.files().items():
            yield lines.number, f"part-{lines.number:05}-{number:03}/{name}", content
    report = {"lines": count, "refused": refused, "counts": scanner.counts}
    yield lines.number, "", json.dumps(report).encode()


class Collected:
    """Takes the parts of a scanner into a list."""

    limit = HELD

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts

    def __call__(self, part: Part) -> None:
        self.parts.append(part)


def size_of(path: str) -> int:
    """How many bytes a dump has as stored.

    Raises:
        InputError: when it is not there.
    """
    if not is_remote(path):
        return Path(path).stat().st_size
    with open_remote(path) as file:
        return int(file.size())


def open_range(path: str, lines: Range) -> io.RawIOBase:
    """The bytes of a range's lines, decompressed."""
    if lines.stop is None:
        return Dump(path, hashes=False)
    return RangeStream(open_remote(path) if is_remote(path) else Path(path).open("rb"), lines)


class RangeStream(io.RawIOBase):
    """The lines of a file that begin within a range.

    >>> text = b"one\\ntwo\\nthree\\n"
    >>> [RangeStream(io.BytesIO(text), Range(0, start, start + 5)).readall() for start in (0, 5, 10)]
    [b'one\\ntwo\\n', b'three\\n', b'']
    """

    def __init__(self, file: Any, lines: Range) -> None:
        self._file, self._stop = file, lines.stop
        self._ended = False
        self._place = lines.start
        file.seek(max(0, lines.start - 1))
        if lines.start:
            while (block := file.read(1 << 16)) and b"\n" not in block:
                self._place += len(block)
            skipped = block.find(b"\n") + 1 if block else 0
            # The byte before the range was read too, in case a line ends with it.
            self._place += skipped - 1
            self._ended = not block
            file.seek(self._place)
        if self._stop is not None and self._place >= self._stop:
            self._ended = True

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()

    def readinto(self, buffer: Any, /) -> int:
        if self._ended:
            return 0
        view = memoryview(buffer).cast("B")
        block = self._file.read(len(view))
        if self._stop is not None and self._place + len(block) >= self._stop:
            # The line that the range ends in is read to its end.
            cut = block.find(b"\n", max(0, self._stop - 1 - self._place)) + 1
            if cut:
                block, self._ended = block[:cut], True
        view[: len(block)] = block
        self._place += len(block)
        return len(block)
