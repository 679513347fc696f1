"""Statements added to a graph and taken from it, with the ids of all that stays.

What is there already is not read from its dumps again: the graph directory is one more run beside those of the new
dumps. Entities and relations keep their ids, new ones come behind them, and an entity that lost its last statement
stays, with none.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kg.arrays import Adjacency, bits, offsets_of, pack, ranges, sort_triples
from kg.assemble import Joined, Parts, Relations, Run, assemble
from kg.build import refuse_remote, refuse_unknown, rejections, workplace, write
from kg.dumps import find_dumps
from kg.errors import InputError
from kg.graph import KnowledgeGraph
from kg.literals import LiteralTable, in_order, one_array
from kg.meta import GraphMeta
from kg.policy import Policy, nonzero
from kg.predicates import Predicates
from kg.reading import MAX_ERRORS, REJECTED, Task, read_dumps
from kg.same_as import other_keys
from kg.shards import Shard
from kg.strings import inverse, merge, take
from kg.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Change:
    """What an update did.

    Attributes:
        added, removed: statements.
        absent: statements that were to be removed and are not in the graph.
        new_entities, new_relations: with ids behind those of before.
    """

    added: int
    removed: int
    absent: int
    new_entities: int
    new_relations: int


def update(
    path: str | Path,
    dumps: Sequence[str | Path] = (),
    *,
    remove: Sequence[str | Path] = (),
    out: str | Path | None = None,
    on_error: str = "raise",
    max_errors: int = MAX_ERRORS,
    syntax: str | None = None,
    base: str | None = None,
    workers: int = 1,
) -> tuple[GraphMeta, Change]:
    """Add the statements of `dumps` to a graph, and take those of `remove` from it.

    Languages, named graphs and the meaning of predicates are those that the graph was built with. A statement that is
    both removed and added is there afterwards. Blank nodes of a dump are never those of another, so statements about
    them cannot be removed.

    Args:
        path: a graph directory; replaced in one move, unless `out` names another place for the result.
        on_error, max_errors, syntax, base, workers: as in `kg.build.build`.

    Raises:
        InputError: as `kg.build.build` does; the graph is then as it was.

    >>> import tempfile
    >>> place = Path(tempfile.mkdtemp())
    >>> KnowledgeGraph.from_triples([("urn:a", "urn:p", "urn:b")]).save(place / "a.kg")
    >>> _ = (place / "b.nt").write_text("<urn:0> <urn:p> <urn:b> .")
    >>> meta, change = update(place / "a.kg", [place / "b.nt"])
    >>> list(KnowledgeGraph.open(place / "a.kg").entities), change.added
    (['urn:a', 'urn:b', 'urn:0'], 1)
    """
    graph = KnowledgeGraph.open(path)
    out = Path(out) if out is not None else Path(path)
    if not dumps and not remove:
        raise InputError("nothing to add and nothing to remove")
    options = graph.meta.options
    predicates = Predicates(**{role: tuple(keys) for role, keys in options.get("predicates", {}).items()})
    languages = options.get("languages")
    policy = Policy(
        predicates,
        tuple(languages) if languages is not None else None,
        options.get("named_graphs", "keep"),
        options.get("same_as", "keep"),
        tuple(options["literals"]) if options.get("literals") is not None else None,
    )
    added = find_dumps(dumps) if dumps else []
    paths = [*added, *(find_dumps(remove) if remove else [])]
    refuse_unknown(on_error=on_error)
    refuse_remote(paths)
    with workplace(out) as work:
        tasks = [
            Task(
                path=dump,
                folder=work / f"shard-{place:05}",
                scope=f"f{place + len(graph.meta.sources)}.",
                syntax=syntax,
                base=base,
                on_error=on_error,
                max_errors=max_errors,
                policy=policy,
            )
            for place, dump in enumerate(paths)
        ]
        shards = read_dumps(tasks, workers)
        malformed = rejections(tasks, shards)
        new = [run for shard in shards[: len(added)] for run in shard.runs]
        wanted_away = [run for shard in shards[len(added) :] for run in shard.runs]
        held = runs_of(graph)
        kept, absent = without(held, wanted_away)
        fixed = (graph.num_entities, graph.num_relations)
        merges = policy.same_as == "merge"
        known = [_once_more(graph, predicates)] if merges else []
        joined = assemble([*kept, *new, *known], predicates, workers, fixed=fixed, merges_same=merges)
        parts = renumbered(joined, graph)
        left = sum(map(rows_of, kept))
        change = Change(
            added=parts.statements - left,
            removed=sum(map(rows_of, held)) - left,
            absent=absent,
            new_entities=len(parts.entities) - graph.num_entities,
            new_relations=len(parts.relations.vocabulary) - graph.num_relations,
        )
        meta = described(graph, parts, policy, shards[: len(added)], change, malformed, sum(map(rows_of, new)))
        listings = [task.folder / REJECTED for task in tasks]
        write(parts, lambda: meta, out, work, listings, Adjacency.of(parts.triples, len(parts.entities)))
    return meta, change


def described(
    graph: KnowledgeGraph,
    parts: Parts,
    policy: Policy,
    added: Sequence[Shard],
    change: Change,
    malformed: int,
    read: int,
) -> GraphMeta:
    """The meta data after an update: counters go on from where they stood."""
    skipped = sum((Counter(shard.tally.skipped) for shard in added), Counter(graph.meta.skipped))
    skipped["duplicate"] += read - change.added
    skipped["malformed"] += malformed
    counted = sum((Counter(shard.tally.counted) for shard in added), Counter(graph.meta.counted))
    counted["removed"] += change.removed
    return KnowledgeGraph.of_parts(
        parts,
        language=graph.meta.language,
        statements=graph.meta.statements + sum(shard.tally.statements for shard in added),
        skipped=dict(sorted(nonzero(skipped).items())),
        counted=nonzero(counted),
        sources=(*graph.meta.sources, *(shard.source() for shard in added)),
        type_predicates=policy.predicates.type,
        options=graph.meta.options,
    ).meta


def _once_more(graph: KnowledgeGraph, predicates: Predicates) -> Run:
    """What was merged, as the statements that it was merged by."""
    import pyarrow as pa

    subjects, others = other_keys(graph.parts.literals, predicates.same_as)
    keys: dict[str, int] = {}
    columns = (graph.entities.keys(subjects), others.to_pylist())
    ends = [[keys.setdefault(key, len(keys)) for key in names] for names in columns]
    edges = np.column_stack((ends[0], np.zeros(len(subjects), np.int64), ends[1])).astype(np.int64)
    nothing = pa.array([], pa.large_string())
    names = pa.array(predicates.same_as[:1], pa.large_string())
    return Run(pa.array(list(keys), pa.large_string()), names, edges, np.empty((0, 3), np.int64), [], nothing)


def rows_of(run: Run) -> int:
    return len(run.edges) + len(run.literals)


def runs_of(graph: KnowledgeGraph) -> list[Run]:
    """A graph as `assemble` takes it: its entities and triples, and what is said of relations that are no entities.

    The first entities and predicates of the first run are the graph's entities and relations, by id.
    """
    import pyarrow as pa

    relations = graph.parts.relations
    tables = (graph.parts.literals.table, relations.literals.table)
    keys = dict.fromkeys(relations.vocabulary)
    for table in tables:
        keys.update(dict.fromkeys(one_array(table["predicate"]).dictionary.to_pylist()))
    predicates = pa.array(list(keys), pa.large_string())
    places = {key: place for place, key in enumerate(keys)}
    edges = np.asarray(graph.triples)
    return [
        Run(subjects, predicates, rows, *_said(table, places), weights)
        for subjects, rows, table, weights in (
            (graph.entities.array, edges, tables[0], graph.weights),
            (relations.vocabulary.array, edges[:0], tables[1], None),
        )
    ]


def _said(
    table: pa.Table, places: dict[str, int]
) -> tuple[np.ndarray, list[tuple[str | None, str | None]], pa.LargeStringArray]:
    """(literals, kinds, values) of a `Run`, out of a table of literals."""
    codes, names = {}, {}
    for column in ("predicate", "datatype", "language"):
        array = one_array(table[column])
        codes[column] = np.asarray(array.indices.fill_null(-1)).astype(np.int64)
        names[column] = array.dictionary.to_pylist()
    width = len(names["language"]) + 1
    kinds = [(datatype, language) for datatype in (None, *names["datatype"]) for language in (None, *names["language"])]
    predicate = np.array([places[name] for name in names["predicate"]], np.int64)
    rows = (
        table["subject"].to_numpy().astype(np.int64),
        predicate[codes["predicate"]] if len(predicate) else codes["predicate"],
        (codes["datatype"] + 1) * width + codes["language"] + 1,
    )
    return np.column_stack(rows), kinds, one_array(table["value"])


def without(held: Sequence[Run], away: Sequence[Run]) -> tuple[list[Run], int]:
    """Runs without the statements of others; and how many of those there were not."""
    if not away:
        return list(held), 0
    joined = Joined.of([*held, *away])
    edges = np.concatenate(list(joined.edges()))
    ours = sum(len(run.edges) for run in held)
    numbers = numbered(edges, len(joined.keys), len(joined.predicate_keys))
    gone = np.isin(numbers[:ours], numbers[ours:])
    absent = len(np.setdiff1d(numbers[ours:], numbers[:ours]))

    rows = joined.literals()
    order, again = in_order(rows.subjects, rows.meanings, rows.values)
    group = np.cumsum(~again)
    theirs = sum(len(run.literals) for run in held)
    unwanted, known = np.zeros(len(order) + 1, dtype=bool), np.zeros(len(order) + 1, dtype=bool)
    unwanted[group[order >= theirs]] = True
    known[group[order < theirs]] = True
    said_no_more = np.zeros(theirs, dtype=bool)
    said_no_more[order[unwanted[group] & (order < theirs)]] = True
    absent += int((unwanted & ~known).sum())

    kept = []
    for run in held:
        edges_kept, gone = ~gone[: len(run.edges)], gone[len(run.edges) :]
        rows_kept, said_no_more = ~said_no_more[: len(run.literals)], said_no_more[len(run.literals) :]
        kept.append(
            dataclasses.replace(
                run,
                edges=run.edges[edges_kept],
                weights=None if run.weights is None else run.weights[edges_kept],
                literals=run.literals[rows_kept],
                values=run.values if rows_kept.all() else take(run.values, np.flatnonzero(rows_kept)),
            )
        )
    return kept, absent


def numbered(triples: np.ndarray, num_entities: int, num_relations: int) -> np.ndarray:
    """(T,) int64: equal numbers for equal triples, and for no others."""
    entity_bits, relation_bits = bits(num_entities), bits(num_relations)
    if 2 * entity_bits + relation_bits <= 63:
        return pack(triples, entity_bits, relation_bits)
    return np.unique(triples, axis=0, return_inverse=True)[1].reshape(-1)


def renumbered(parts: Parts, graph: KnowledgeGraph) -> Parts:
    """Parts in which all that a graph knows has the ids that it has there."""
    entities, entity_ids = _continued(parts.entities, graph.entities)
    relations, relation_ids = _continued(parts.relations.vocabulary, graph.relations)
    heads, types, tails = parts.triples.T
    mapped = np.column_stack((entity_ids[heads], relation_ids[types], entity_ids[tails]))
    triples = sort_triples(mapped, len(entities), len(relations))
    triples.flags.writeable = False
    weights = None if parts.weights is None else parts.weights[np.lexsort(mapped.T[::-1])]
    pages = parts.relations.described_by
    described_by = np.full(len(pages), -1, np.int64)
    described_by[relation_ids] = np.where(pages >= 0, entity_ids[pages], -1)
    own = Relations(relations, _moved(parts.relations.literals, relation_ids), described_by)
    return Parts(entities, own, triples, _moved(parts.literals, entity_ids), weights)


def _continued(sorted_keys: Vocabulary, known: Vocabulary) -> tuple[Vocabulary, np.ndarray]:
    """Keys with the ids of those that are known, new ones behind; and the ids in the order of keys."""
    _, (places, _) = merge([known.array, sorted_keys.array])
    ids = np.full(len(sorted_keys), -1, np.int64)
    ids[places] = np.arange(len(known))
    ids[ids < 0] = np.arange(len(known), len(sorted_keys))
    keys = take(sorted_keys.array, inverse(ids))
    return Vocabulary(keys, ids.astype(sorted_keys.order.dtype), sorted_keys.kind), ids


def _moved(literals: LiteralTable, ids: np.ndarray) -> LiteralTable:
    """The literals of subjects that get other ids."""
    import pyarrow as pa

    rows = ranges(literals.offsets, inverse(ids))
    table = literals.table.take(pa.array(rows))
    subjects = ids[literals.table["subject"].to_numpy()[rows]]
    column = pa.array(subjects.astype(literals.table["subject"].to_numpy().dtype))
    moved = table.set_column(table.schema.get_field_index("subject"), "subject", column)
    return LiteralTable(moved, offsets_of(subjects, len(ids)))
