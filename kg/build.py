"""From RDF dumps to a graph directory.

Each dump is read once, as a stream, into a shard (`kg.shards`); the shards are joined, sorted and written in one move.
Ids follow the order of keys, so the result does not depend on the order of statements, the number of workers, or on
whether the build was interrupted.
"""

from __future__ import annotations

import errno
import gc
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from kg.arrays import Adjacency
from kg.arrow import to_numbers
from kg.assemble import Parts, Run, assemble
from kg.columns import Forgetting
from kg.compression import is_remote
from kg.directory import META, fill_directory, is_graph_directory
from kg.dumps import find_dumps
from kg.errors import InputError, nearest
from kg.graph import KnowledgeGraph
from kg.literals import one_array
from kg.meta import GraphMeta
from kg.policy import Policy, nonzero
from kg.predicates import QUALIFIER, REIFYING, Predicates, Role
from kg.reading import MAX_ERRORS, REJECTED, Task, read_dumps
from kg.shards import Shard
from kg.storage import replace_directory, write_json

ROLES = tuple(role.name.lower() for role in Role)
CHOICES = {
    "on_error": ("raise", "skip"),
    "named_graphs": ("keep", "drop"),
    "same_as": ("keep", "merge"),
    "engine": ("local", "spark"),
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
    same_as: str = "keep",
    literals: Sequence[str] | None = None,
    predicates: Predicates | None = None,
    syntax: str | None = None,
    base: str | None = None,
    memory: int | None = None,
    engine: str = "local",
    master: str | None = None,
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
        language: the language in which the graph's labels are shown; several, "en,de", are tried in their order.
        languages: keep only literals in these languages or without a tag; default all.
        named_graphs: "keep" their statements as plain ones, or "drop" them.
        literals: keep only literals whose predicate has one of these roles: "label", "alias", "description", "image",
            "other"; default all.
        same_as: "merge" entities that owl:sameAs connects into one, which keeps the keys of the others as values of
            that predicate; or "keep" them apart, with a triple between them.
        predicates: which predicates are labels, types, and so on.
        syntax: the reader for all dumps, by name; default by suffix.
        base: the IRI for relative ones; default `file:///NAME` of each dump.
        memory: bytes that may be held; beyond them names, triples and literals go to disk beside `out` and are joined
            there. Default: as much as it takes.
        engine: "spark" has lines read by Apache Spark, see `kg.spark`.
        master: the address of a Spark master; default what spark-submit gave, else this machine with `workers` cores.
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
    refuse_unknown(on_error=on_error, named_graphs=named_graphs, same_as=same_as, engine=engine)
    for role in literals or ():
        if role not in ROLES:
            raise InputError(f"literals: {role!r} is no role; {nearest(role, ROLES)}")
    if memory is not None and same_as == "merge":
        raise InputError("same_as: entities cannot be merged within bounded memory; leave one of the two out")
    out = Path(out)
    if out.exists() and not is_graph_directory(out):
        raise InputError(f"{out}: already there and not a graph directory; choose another place or remove it")
    chosen = tuple(languages) if languages is not None else None
    roles = None if literals is None else tuple(literals)
    policy = Policy(predicates or Predicates(), chosen, named_graphs, same_as, roles)
    paths = find_dumps(dumps)
    if engine != "spark":
        refuse_remote(paths)
    with uncollected(), workplace(out, resume=resume) as work, Forgetting(memory // 2) if memory else nullcontext():
        tasks = [
            Task(
                path=path,
                folder=work / f"shard-{place:05}",
                scope=f"f{place}." if len(paths) > 1 else "",
                syntax=syntax,
                base=base,
                on_error=on_error,
                max_errors=max_errors,
                policy=policy,
                memory=memory,
            )
            for place, path in enumerate(paths)
        ]
        if engine == "spark":
            from kg import spark

            shards = spark.read_dumps(tasks, master, workers)
        else:
            shards = read_dumps(tasks, workers)
        parts, meta, adjacency = join(tasks, shards, language, workers, work / "columns")

        def about() -> GraphMeta:
            return replace(meta, sources=tuple(shard.source() for shard in shards))

        return write(parts, about, out, work, [task.folder / REJECTED for task in tasks], adjacency)


def refuse_unknown(**given: str) -> None:
    """Raise InputError for a value that is none of an option's `CHOICES`."""
    for name, value in given.items():
        if value not in CHOICES[name]:
            raise InputError(f"{name}: {value!r} is no choice; {nearest(value, CHOICES[name])}")


def refuse_remote(paths: Sequence[str]) -> None:
    """Raise InputError for a dump that only Spark reads."""
    for path in paths:
        if is_remote(path):
            raise InputError(f"{path}: only the engine spark reads what lies elsewhere")


@contextmanager
def uncollected() -> Iterator[None]:
    """Without Python's search for cycles: a build makes none, and the compiler's objects are many to look through."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def workplace(out: Path, *, resume: bool = False) -> Iterator[Path]:
    """A hidden folder beside `out` for what is half done; it stays when the person interrupts, and then only."""
    work = out.with_name(f".{out.name}.partial")
    if not resume:
        shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir(parents=True, exist_ok=True)
        yield work
    except InputError:
        shutil.rmtree(work, ignore_errors=True)
        raise
    except OSError as error:
        shutil.rmtree(work, ignore_errors=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EROFS):
            raise InputError(f"{out}: {os.strerror(error.errno)}") from None
        raise
    shutil.rmtree(work)


def join(
    tasks: Sequence[Task], shards: Sequence[Shard], language: str, threads: int, columns: Path
) -> tuple[Parts, GraphMeta, Adjacency]:
    """One graph out of shards; where memory is bounded, mapped from the folder `columns`.

    Its meta data says nothing of its sources yet.
    """
    first = tasks[0]
    read = sum(shard.rows for shard in shards)
    merges = first.policy.same_as == "merge"
    if first.memory is None:
        parts = assemble(given_up(shards), first.policy.predicates, threads, merges_same=merges)
        adjacency = Adjacency.of(parts.triples, len(parts.entities))
    else:
        from kg.bounded import assemble_bounded

        shutil.rmtree(columns, ignore_errors=True)
        parts, adjacency = assemble_bounded(given_up(shards), first.policy.predicates, columns, first.memory)
    skipped = sum((Counter(shard.tally.skipped) for shard in shards), Counter())
    skipped["duplicate"] = read - parts.statements
    skipped["malformed"] = rejections(tasks, shards)
    counted = sum((Counter(shard.tally.counted) for shard in shards), Counter())
    counted.update(about_statements(parts))
    if merges:
        from kg.same_as import other_keys

        counted["entities merged into others"] = len(other_keys(parts.literals, first.policy.predicates.same_as)[0])
    graph = KnowledgeGraph.of_parts(
        parts,
        language=language,
        statements=sum(shard.tally.statements for shard in shards),
        skipped=dict(sorted(nonzero(skipped).items())),
        counted=nonzero(counted),
        type_predicates=first.policy.predicates.type,
        options={
            "on_error": first.on_error,
            "languages": first.policy.languages,
            "named_graphs": first.policy.named_graphs,
            "same_as": first.policy.same_as,
            "literals": None if first.policy.literals is None else list(first.policy.literals),
            "syntax": first.syntax,
            "base": first.base,
            **own_predicates(first.policy.predicates),
        },
    )
    return parts, graph.meta, adjacency


def given_up(shards: Sequence[Shard]) -> list[Run]:
    """The runs of shards, which hold them no longer, so that what is joined can be freed."""
    runs = [run for shard in shards for run in shard.runs]
    for shard in shards:
        shard.runs.clear()
    return runs


def about_statements(parts: Parts) -> dict[str, int]:
    """How much of a graph speaks of statements, which are nodes like any other in it."""
    relations = list(parts.relations.vocabulary)
    triples = np.bincount(parts.triples[:, 1], minlength=len(relations)).tolist() if len(relations) else []
    said = one_array(parts.literals.table["predicate"])
    rows = np.bincount(to_numbers(said.indices), minlength=len(said.dictionary)).tolist()
    by_key = Counter(dict(zip(relations, triples, strict=True)))
    by_key.update(dict(zip(said.dictionary.to_pylist(), rows, strict=True)))
    return {
        "qualifiers": sum(count for key, count in by_key.items() if key.startswith(QUALIFIER)),
        "reified statements": sum(by_key[key] for key in REIFYING),
    }


def own_predicates(predicates: Predicates) -> dict[str, dict[str, list[str]]]:
    """What `meta.json` says of predicates: nothing of the usual ones."""
    if predicates == Predicates():
        return {}
    return {"predicates": {role: list(keys) for role, keys in asdict(predicates).items()}}


def rejections(tasks: Sequence[Task], shards: Sequence[Shard]) -> int:
    """How many malformed statements all dumps had.

    Raises:
        InputError: when they are more than the tasks allow.
    """
    rejected = sum(shard.record["rejected"] for shard in shards)
    if rejected > tasks[0].max_errors:
        most = tasks[0].max_errors
        raise InputError(f"{rejected} malformed statements in all, more than {most}; the build stops")
    return rejected


def write(
    parts: Parts,
    about: Callable[[], GraphMeta],
    out: Path,
    work: Path,
    listings: Sequence[Path],
    adjacency: Adjacency,
) -> GraphMeta:
    """Write a graph directory in `work` and move it to `out`, with what was refused if anything was.

    Args:
        about: what the graph says of itself, asked last of all.
    """
    folder = work / "graph"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    fill_directory(folder, parts, adjacency)
    meta = about()
    write_json(folder / META, meta.to_json())
    rejected = "".join(listing.read_text(encoding="utf-8") for listing in listings)
    if rejected:
        (folder / REJECTED).write_text("file\tline\treason\n" + rejected, encoding="utf-8")
    replace_directory(folder, out)
    return meta
