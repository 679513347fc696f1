"""From RDF dumps to a graph directory.

Each dump is read once, as a stream, into a shard (`kg.shards`); the shards are joined, sorted and written in one move.
Ids follow the order of keys, so the result does not depend on the order of statements, the number of workers, or on
whether the build was interrupted.
"""

from __future__ import annotations

import errno
import io
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from typing import Any, cast

from kg.arrays import Adjacency
from kg.assemble import assemble
from kg.compression import STDIN, Dump, open_dump
from kg.directory import fill_directory, is_graph_directory
from kg.dumps import find_dumps, reader_of
from kg.errors import InputError, nearest
from kg.graph import KnowledgeGraph
from kg.meta import GraphMeta, Source
from kg.predicates import Predicates
from kg.progress import progress
from kg.rdf import LineReader
from kg.shards import Policy, Shard, finished, nonzero, number_statements, save_shard
from kg.storage import replace_directory, sha256_file

REJECTED = "rejected.tsv"
MAX_ERRORS = 10_000
COMPILED_FROM = 1 << 22
"""Stored bytes of a dump from which on the fast lane is taken."""
CHOICES = {"on_error": ("raise", "skip"), "named_graphs": ("keep", "drop")}


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

    def record(self) -> dict[str, Any]:
        """What a shard must have been made from to be used again."""
        stat = None if self.path == STDIN else Path(self.path).stat()
        settings = {key: value for key, value in asdict(self).items() if key not in ("folder", "policy")}
        return {
            **settings,
            "policy": repr(self.policy),
            "size": stat and stat.st_size,
            "modified": stat and stat.st_mtime_ns,
        }


def build(
    dumps: Sequence[str | Path],
    out: str | Path,
    *,
    on_error: str = "raise",
    max_errors: int = MAX_ERRORS,
    language: str = "en",
    languages: Sequence[str] | None = None,
    named_graphs: str = "keep",
    predicates: Predicates | None = None,
    syntax: str | None = None,
    base: str | None = None,
    workers: int = 1,
    resume: bool = False,
) -> GraphMeta:
    """Build a graph directory from dumps in any RDF syntax, plain or compressed.

    Statements between IRIs or blank nodes become triples; literals, and the addresses of pictures, are kept beside
    them. A property that is only named and never related is a relation and no entity. Duplicates count once. A failed
    build leaves what was at `out` as it was; a killed one leaves a hidden sibling folder that `resume` goes on from.

    Args:
        dumps: files, folders, globs, or "-" for standard input.
        out: the graph directory; an older graph there is replaced when the new one is whole.
        on_error: what cannot be read stops the build ("raise"), or is left out, counted, and listed with file, line
            and reason in `rejected.tsv` of the graph directory ("skip").
        max_errors: with "skip", more errors than this stop the build after all.
        language: the language in which the graph's labels are shown.
        languages: keep only literals in these languages or without a tag; default all.
        named_graphs: "keep" their statements as plain ones, or "drop" them.
        predicates: which predicates are labels, types, and so on.
        syntax: the reader for all dumps, by name; default by suffix.
        base: the IRI for relative ones; default `file:///NAME` of each dump.
        workers: dumps that are read at the same time, each by a process of its own.
        resume: use the dumps that an interrupted build of the same dumps had finished.

    Raises:
        InputError: for a dump that is absent, truncated or malformed, naming file and line.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> _ = (place / "a.nt").write_text("<http://e.org/a> <http://e.org/p> <http://e.org/b> .")
    >>> build([place / "a.nt"], place / "a.kg").triples
    1
    """
    for name, value in (("on_error", on_error), ("named_graphs", named_graphs)):
        if value not in CHOICES[name]:
            raise InputError(f"{name}: {value!r} is no choice; {nearest(value, CHOICES[name])}")
    out = Path(out)
    if out.exists() and not is_graph_directory(out):
        raise InputError(f"{out}: already there and not a graph directory; choose another place or remove it")
    policy = Policy(predicates or Predicates(), tuple(languages) if languages is not None else None, named_graphs)
    work = out.with_name(f".{out.name}.partial")
    if not resume:
        shutil.rmtree(work, ignore_errors=True)
    paths = find_dumps(dumps)
    tasks = [
        Task(
            path,
            work / f"shard-{place:05}",
            f"f{place}." if len(paths) > 1 else "",
            syntax,
            base,
            on_error,
            max_errors,
            policy,
        )
        for place, path in enumerate(paths)
    ]
    try:
        work.mkdir(parents=True, exist_ok=True)
        return finish(tasks, read_dumps(tasks, workers), out, work, language, workers)
    except InputError:
        shutil.rmtree(work, ignore_errors=True)
        raise
    except OSError as error:
        shutil.rmtree(work, ignore_errors=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise InputError(f"{out}: {error.strerror}") from None
        raise


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
                pool = stack.enter_context(ProcessPoolExecutor(workers, mp_context=get_context("spawn")))
                stack.callback(pool.shutdown, cancel_futures=True)
                running = [pool.submit(read_document, tasks[place]) for place in side_by_side]
            for place in waiting:
                if place not in side_by_side:
                    shards[place] = read_dump(
                        tasks[place], lambda count: display.advance(bar, count), workers, keep=len(tasks) > 1
                    )
            for place, future in zip(side_by_side, running if side_by_side else [], strict=True):
                display.advance(bar, future.result())
                shards[place] = Shard.open(tasks[place].folder)
    return [shards[place] for place in range(len(tasks))]


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
    rejected = 0
    with (
        ThreadPoolExecutor(1) as aside,
        open_dump(task.path, on_bytes, threads) as dump,
        (task.folder / REJECTED).open("w", encoding="utf-8") as listing,
    ):
        hashing = aside.submit(sha256_file, Path(task.path)) if task.path != STDIN else None

        def reject(line: int | None, reason: str) -> None:
            nonlocal rejected
            place = task.path if line is None else f"{task.path}:{line}"
            if task.on_error == "raise":
                raise InputError(f"{place}: {reason}")
            rejected += 1
            if rejected > task.max_errors:
                raise InputError(
                    f"{place}: {reason}; that makes more than {task.max_errors} errors, so the build stops"
                )
            listing.write(f"{task.path}\t{'' if line is None else line}\t{' '.join(reason.split())}\n")

        stream: Any = dump if isinstance(reader, LineReader) else io.BufferedReader(dump, 1 << 20)
        if isinstance(reader, LineReader) and compiled_pays(task.path):
            from kg.lines import scan_dump

            tally, parts = scan_dump(stream, reader, task.policy, reject, task.scope, threads)
        else:
            statements = reader.statements(stream, reject=reject, scope=task.scope, base=base)
            tally, part = number_statements(statements, task.policy)
            parts = [part]
        while stream.read(1 << 20):
            pass
        digest = hashing.result() if hashing is not None else cast(Dump, dump).sha256
        source = Source(task.path, dump.size, digest, tally.statements)
    record = {**record, "rejected": rejected, "source": asdict(source)}
    if keep:
        save_shard(task.folder, record, tally, parts)
    return Shard(record, tally, [part.run() for part in parts])


def compiled_pays(path: str) -> bool:
    """Whether a dump is so large that loading the compiled loops pays."""
    return path == STDIN or Path(path).stat().st_size >= COMPILED_FROM


def finish(
    tasks: Sequence[Task], shards: Sequence[Shard], out: Path, work: Path, language: str, threads: int
) -> GraphMeta:
    """Join the shards into a graph and move it to `out`."""
    first = tasks[0]
    rejected = sum(shard.record["rejected"] for shard in shards)
    if rejected > first.max_errors:
        raise InputError(f"{rejected} malformed statements in all, more than {first.max_errors}; the build stops")

    runs = [run for shard in shards for run in shard.runs]
    parts = assemble(runs, first.policy.predicates, threads)
    Thread(target=lambda: parts.names).start()  # beside what follows, which needs them last
    kept = len(parts.triples) + len(parts.literals) + len(parts.relations.literals)
    skipped = sum((Counter(shard.tally.skipped) for shard in shards), Counter())
    skipped["duplicate"] = sum(len(run.edges) + len(run.literals) for run in runs) - kept
    skipped["malformed"] = rejected
    graph = KnowledgeGraph.of_parts(
        parts,
        language=language,
        statements=sum(shard.tally.statements for shard in shards),
        skipped=dict(sorted(nonzero(skipped).items())),
        counted=dict(sum((Counter(shard.tally.counted) for shard in shards), Counter())),
        sources=tuple(Source(**shard.record["source"]) for shard in shards),
        type_predicates=first.policy.predicates.type,
        options={
            "on_error": first.on_error,
            "languages": first.policy.languages,
            "named_graphs": first.policy.named_graphs,
            "syntax": first.syntax,
            "base": first.base,
        },
    )
    folder = work / "graph"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    fill_directory(folder, parts, graph.meta, Adjacency.of(parts.triples, graph.num_entities))
    if rejected:
        listings = [(task.folder / REJECTED).read_text(encoding="utf-8") for task in tasks]
        (folder / REJECTED).write_text("file\tline\treason\n" + "".join(listings), encoding="utf-8")
    replace_directory(folder, out)
    shutil.rmtree(work)
    return graph.meta
