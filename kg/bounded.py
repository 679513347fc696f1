"""Graphs larger than memory: runs on disk are joined range by range, each as `kg.assemble` joins what fits.

Keys are merged by ranges of keys; triples and literals are dealt out by ranges of subjects and sorted one range after
the other; tails and names likewise. What is in memory is one range, the numbers of one run, and a byte for each entity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kg.arrays import Adjacency, id_type, sort_triples
from kg.assemble import Parts, Relations, Run, codes_of, describing_entities, greatest_weights, pairs_of
from kg.bounded_names import join_names
from kg.columns import Column, Ranges, TextColumn, cuts_of
from kg.literals import LiteralRows, LiteralTable, Meaning, one_array
from kg.numbering import Numbering, chunks, number_keys, only_relations, without
from kg.predicates import Predicates
from kg.strings import found_in, take
from kg.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pyarrow as pa

STRETCHES = 1 << 12
"""Into so many stretches the numbers are divided to see how heavy each is."""
SHARE = 16
"""A range is at most this part of the memory: joining it takes several times its size."""
LEAST = 1 << 16
"""No range is smaller, in bytes, however little memory there is."""


def assemble_bounded(runs: Sequence[Run], predicates: Predicates, folder: Path, memory: int) -> tuple[Parts, Adjacency]:
    """What `assemble` makes of runs, with all that is large on disk.

    Args:
        runs: mapped.
        predicates: which literals are labels, and so on.
        folder: where columns are written, from which the parts are mapped.
        memory: bytes that may be held.
    """
    folder.mkdir(parents=True)
    bound = max(LEAST, memory // SHARE)
    numbering = number_keys(runs, folder, bound)
    survey = Survey.of(runs, numbering)
    relations = Vocabulary.ascending(take(numbering.predicate_keys, np.flatnonzero(survey.relates)), "relation")
    gone, as_relation = only_relations(numbering.keys, relations, survey.connected)
    entities = Vocabulary.ascending(without(numbering.keys, gone, folder))
    relation_ids = np.cumsum(survey.relates) - 1

    cuts = cuts_of(survey.heads, len(numbering.keys), bound)
    dealt = Dealt.of(runs, numbering, gone, relation_ids, cuts, folder)
    id_cuts = cuts - np.searchsorted(gone, cuts)
    tail_cuts = cuts_of(survey.tails, len(entities), bound)
    triples, weights, adjacency = join_triples(dealt, id_cuts, tail_cuts, len(entities), len(relations), folder)
    literals = join_literals(dealt, id_cuts, len(entities), predicates, folder)
    names = join_names(entities, literals, folder, bound)
    rows = dealt.relation_rows(as_relation)
    said = LiteralTable.of(rows, len(relations), predicates)
    described = describing_entities(found_in(entities.array, relations.array), relations, triples)
    return Parts(entities, Relations(relations, said, described), triples, literals, weights, names), adjacency


@dataclass(frozen=True)
class Survey:
    """What a first look over all runs tells.

    Attributes:
        connected: (N,) bool, which keys are in a triple.
        relates: (P,) bool, which predicates are relations.
        heads, tails: (STRETCHES,) bytes that lie in equal stretches of subjects, and of tails.
    """

    connected: np.ndarray
    relates: np.ndarray
    heads: np.ndarray
    tails: np.ndarray

    @classmethod
    def of(cls, runs: Sequence[Run], numbering: Numbering) -> Survey:
        count = len(numbering.keys)
        connected, relates = np.zeros(count, dtype=bool), np.zeros(len(numbering.predicate_keys), dtype=bool)
        heads, tails = np.zeros(STRETCHES), np.zeros(STRETCHES)
        for run, path, theirs in zip(runs, numbering.places, numbering.predicate_places, strict=True):
            ours = np.load(path)
            lengths = np.diff(_offsets(run.values))
            for rows in chunks(len(run.edges)):
                head, relation, tail = run.edges[rows].T
                connected[ours[head]] = connected[ours[tail]] = True
                relates[theirs[relation]] = True
                heads += 24 * np.bincount(ours[head] * STRETCHES // count, minlength=STRETCHES)
                tails += 16 * np.bincount(ours[tail] * STRETCHES // count, minlength=STRETCHES)
            for rows in chunks(len(run.literals)):
                stretch = ours[run.literals[rows, 0]] * STRETCHES // count
                heads += np.bincount(stretch, lengths[rows] + 24.0, minlength=STRETCHES)
        return cls(connected, relates, heads, tails)


@dataclass
class Dealt:
    """Triples and literals dealt out by ranges of subjects.

    Attributes:
        edges: (head, relation, tail) ids and weights.
        said: (subject id, meaning) and value.
        of_relations: (place, meaning, value) of what is said of relations that are no entities.
        legend: meanings and their codes.
    """

    edges: Ranges
    said: Ranges
    of_relations: list[tuple[np.ndarray, np.ndarray, pa.LargeStringArray]]
    legend: dict[Meaning, int]
    gone: np.ndarray
    weighs: bool

    @classmethod
    def of(
        cls,
        runs: Sequence[Run],
        numbering: Numbering,
        gone: np.ndarray,
        relation_ids: np.ndarray,
        cuts: np.ndarray,
        folder: Path,
    ) -> Dealt:
        edges = Ranges(
            cuts, lambda at: [Column(folder / f"edges-{at}", np.int64, 3), Column(folder / f"sure-{at}", np.float32)]
        )
        said = Ranges(
            cuts, lambda at: [Column(folder / f"said-{at}", np.int64, 2), TextColumn(folder / f"values-{at}")]
        )
        dealt = cls(edges, said, [], {}, gone, any(run.weights is not None for run in runs))
        for run, path, theirs in zip(runs, numbering.places, numbering.predicate_places, strict=True):
            dealt.deal(run, np.load(path), relation_ids[theirs])
            path.unlink()
        return dealt

    def deal(self, run: Run, places: np.ndarray, relation_ids: np.ndarray) -> None:
        """Deal out the rows of one run."""
        ids = places - np.searchsorted(self.gone, places)
        for rows in chunks(len(run.edges)):
            head, relation, tail = run.edges[rows].T
            found = np.column_stack((ids[head], relation_ids[relation], ids[tail]))
            sure = np.ones(len(found), np.float32) if run.weights is None else run.weights[rows]
            self.edges.deal(places[head], [found, sure])
        used, codes = pairs_of(run)
        meanings = codes_of(run, used, self.legend)[codes]
        for rows in chunks(len(run.literals)):
            subject, meaning = run.literals[rows, 0], meanings[rows]
            values = run.values.slice(rows.start, rows.stop - rows.start)
            place = places[subject]
            lost = np.isin(place, self.gone)
            if lost.any():
                self.of_relations.append((place[lost], meaning[lost], take(values, np.flatnonzero(lost))))
            kept = np.flatnonzero(~lost)
            self.said.deal(place[kept], [np.column_stack((ids[subject[kept]], meaning[kept])), take(values, kept)])

    def relation_rows(self, as_relation: np.ndarray) -> LiteralRows:
        """What is said of relations that are no entities."""
        import pyarrow as pa

        empty = (np.empty(0, np.int64), np.empty(0, np.int64), pa.array([], pa.large_string()))
        places, meanings, values = zip(*self.of_relations or [empty], strict=True)
        subjects = as_relation[np.searchsorted(self.gone, np.concatenate(places))]
        texts = pa.chunked_array(values, pa.large_string())
        return LiteralRows(subjects, np.concatenate(meanings), list(self.legend), texts)


def join_triples(
    dealt: Dealt, cuts: np.ndarray, tail_cuts: np.ndarray, num_entities: int, num_relations: int, folder: Path
) -> tuple[np.ndarray, np.ndarray | None, Adjacency]:
    """Triples in order, range by range, and where each entity's lie."""
    triples = Column(folder / "triples", id_type(max(num_entities, num_relations)), 3)
    weights = Column(folder / "weights", np.float32)
    outgoing, incoming = Offsets(folder / "out_offsets", cuts, num_entities), None
    tails = Ranges(tail_cuts, lambda at: [Column(folder / f"tails-{at}", np.int64, 2)])
    for number, columns in enumerate(dealt.edges.parts):
        edges, sure = columns
        assert isinstance(edges, Column) and isinstance(sure, Column)
        rows = edges.whole()
        ordered = sort_triples(rows, num_entities, num_relations)
        outgoing.append(number, ordered[:, 0])
        for at in chunks(len(ordered)):
            tail = ordered[at, 2].astype(np.int64)
            tails.deal(tail, [np.column_stack((tail, np.arange(at.start, at.stop) + triples.size))])
        triples.append(ordered)
        if dealt.weighs:
            weights.append(greatest_weights(rows, sure.whole()))
        edges.remove()
        sure.remove()
    in_order = Column(folder / "in_order", id_type(triples.size))
    incoming = Offsets(folder / "in_offsets", tail_cuts, num_entities)
    for number, (pairs,) in enumerate(tails.parts):
        assert isinstance(pairs, Column)
        tail, row = pairs.whole().reshape(-1, 2).T
        incoming.append(number, tail)
        in_order.append(row[np.argsort(tail, kind="stable")])
        pairs.remove()
    adjacency = Adjacency(outgoing.whole(), incoming.whole(), in_order.whole())
    return triples.whole(), weights.whole() if dealt.weighs else None, adjacency


class Offsets:
    """CSR offsets, range by range."""

    def __init__(self, path: Path, cuts: np.ndarray, count: int) -> None:
        self._column = Column(path, np.int64)
        self._column.append(np.zeros(1, np.int64))
        self._bounds = [0, *cuts.tolist(), count]
        self._used = 0

    def append(self, part: int, ids: np.ndarray) -> None:
        """Count the rows of a range, in any order."""
        first, stop = self._bounds[part], self._bounds[part + 1]
        ends = np.cumsum(np.bincount(ids - first, minlength=stop - first)) + self._used
        self._column.append(ends[: stop - first])
        self._used += len(ids)

    def whole(self) -> np.ndarray:
        return self._column.whole()


def join_literals(
    dealt: Dealt, cuts: np.ndarray, num_entities: int, predicates: Predicates, folder: Path
) -> LiteralTable:
    """The table of literals, range by range."""
    import pyarrow as pa

    legend = list(dealt.legend)
    used = np.zeros(len(legend), dtype=bool)
    for rows, _ in dealt.said.parts:
        assert isinstance(rows, Column)
        used[rows.whole().reshape(-1, 2)[:, 1]] = True
    types: dict[str, Any] = {"subject": id_type(num_entities), "role": np.int8}
    types |= dict.fromkeys(("predicate", "language", "datatype"), np.int32)
    columns = {name: Column(folder / f"literals-{name}", dtype) for name, dtype in types.items()}
    values, offsets = TextColumn(folder / "literals-value"), Offsets(folder / "literals-offsets", cuts, num_entities)
    names: dict[str, pa.LargeStringArray] = {}
    for number, (rows, texts) in enumerate(dealt.said.parts):
        assert isinstance(rows, Column) and isinstance(texts, TextColumn)
        subjects, meanings = rows.whole().reshape(-1, 2).T
        given = LiteralRows(subjects, meanings, legend, texts.whole())
        table = LiteralTable.sorted_table(given, num_entities, predicates, np.flatnonzero(used))
        for name, column in columns.items():
            array = one_array(table[name])
            if pa.types.is_dictionary(array.type):
                names[name] = array.dictionary
                array = array.indices.fill_null(-1)
            column.append(np.asarray(array))
        values.append(one_array(table["value"]))
        offsets.append(number, table["subject"].to_numpy())
        rows.remove()
        texts.remove()
    whole: dict[str, Any] = {}
    for name, column in columns.items():
        held = column.whole()
        whole[name] = _coded(held, names[name], folder / f"literals-{name}-valid") if name in names else pa.array(held)
    return LiteralTable(pa.table({**whole, "value": values.whole()}), offsets.whole())


def _coded(codes: np.ndarray, names: pa.LargeStringArray, path: Path) -> pa.DictionaryArray:
    """Codes, -1 for null, as an Arrow column over names; nothing is copied but a bit for each row, to a file."""
    import pyarrow as pa

    bits = Column(path, np.uint8)
    nulls = 0
    for rows in chunks(len(codes)):
        valid = codes[rows] >= 0
        nulls += int((~valid).sum())
        bits.append(np.packbits(valid, bitorder="little"))
    valid_bits = pa.py_buffer(bits.whole()) if nulls else None
    indices = pa.Array.from_buffers(pa.int32(), len(codes), [valid_bits, pa.py_buffer(codes)], null_count=nulls)
    return pa.DictionaryArray.from_arrays(indices, names)


def _offsets(strings: pa.LargeStringArray) -> np.ndarray:
    from kg.arrow import bytes_of

    return bytes_of(strings)[1]
