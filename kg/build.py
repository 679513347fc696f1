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
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from kg.arrays import Adjacency
from kg.assemble import assemble
from kg.compression import STDIN, Dump
from kg.directory import fill_directory, is_graph_directory
from kg.dumps import find_dumps, reader_of
from kg.errors import InputError, nearest
from kg.graph import KnowledgeGraph
from kg.meta import GraphMeta, Source
from kg.predicates import Predicates
from kg.progress import progress
from kg.shards import Policy, finish_shard, finished, join_shards, nonzero, read_tally, write_shard
from kg.storage import replace_directory

REJECTED = "rejected.tsv"
MAX_ERRORS = 10_000
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
        read_dumps(tasks, workers)
        return finish(tasks, out, work, language)
    except InputError:
        shutil.rmtree(work, ignore_errors=True)
        raise
    except OSError as error:
        shutil.rmtree(work, ignore_errors=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise InputError(f"{out}: {error.strerror}") from None
        raise


def read_dumps(tasks: Sequence[Task], workers: int) -> None:
    """Make the shard of every task that has none yet."""
    for task in tasks:
        reader_of(task.path, task.syntax)
    waiting = [task for task in tasks if task.path == STDIN or not finished(task.folder, task.record())]
    size = sum(Path(task.path).stat().st_size for task in waiting if task.path != STDIN)
    with progress() as display:
        bar = display.add_task("reading bytes", total=size or None)
        if workers <= 1 or len(waiting) <= 1:
            for task in waiting:
                read_dump(task, lambda count: display.advance(bar, count))
            return
        with ProcessPoolExecutor(min(workers, len(waiting)), mp_context=get_context("spawn")) as pool:
            try:
                for count in pool.map(read_dump, waiting):
                    display.advance(bar, count)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise


def read_dump(task: Task, on_bytes: Callable[[int], None] | None = None) -> int:
    """Read one dump into its shard; returns its stored size."""
    shutil.rmtree(task.folder, ignore_errors=True)
    task.folder.mkdir(parents=True)
    record = task.record()
    reader = reader_of(task.path, task.syntax)
    base = task.base or f"file:///{Path(task.path).name}"
    rejected = 0
    with Dump(task.path, on_bytes) as dump, (task.folder / REJECTED).open("w", encoding="utf-8") as listing:

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

        stream: Any = io.BufferedReader(dump, 1 << 20)
        statements = reader.statements(stream, reject=reject, scope=task.scope, base=base)
        tally = write_shard(task.folder, statements, task.policy)
        while stream.read(1 << 20):
            pass
        source = Source(task.path, dump.size, dump.sha256, tally.statements)
    finish_shard(task.folder, {**record, "rejected": rejected, "source": asdict(source)}, tally)
    return source.bytes


def finish(tasks: Sequence[Task], out: Path, work: Path, language: str) -> GraphMeta:
    """Join the shards into a graph and move it to `out`."""
    first = tasks[0]
    records, tallies = zip(*(read_tally(task.folder) for task in tasks), strict=True)
    rejected = sum(record["rejected"] for record in records)
    if rejected > first.max_errors:
        raise InputError(f"{rejected} malformed statements in all, more than {first.max_errors}; the build stops")

    entity_keys, relation_keys, triples, literals = join_shards([task.folder for task in tasks])
    parts = assemble(entity_keys, relation_keys, triples, literals, first.policy.predicates)
    kept = len(parts.triples) + len(parts.literals) + len(parts.relations.literals)
    skipped = sum((Counter(tally.skipped) for tally in tallies), Counter())
    skipped["duplicate"] = len(triples) + len(literals) - kept
    skipped["malformed"] = rejected
    graph = KnowledgeGraph.of_parts(
        parts,
        language=language,
        statements=sum(tally.statements for tally in tallies),
        skipped=dict(sorted(nonzero(skipped).items())),
        counted=dict(sum((Counter(tally.counted) for tally in tallies), Counter())),
        sources=tuple(Source(**record["source"]) for record in records),
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
