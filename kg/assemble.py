"""From unsorted keys, triples and literals to a finished graph: the last step of every way to make one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from kg.arrays import MANY, id_type, number_triples, renamed
from kg.arrow import to_numbers
from kg.literals import LiteralRows, LiteralTable, Meaning, one_array
from kg.loops import Loop
from kg.predicates import DIRECT_CLAIM, Predicates, Role
from kg.strings import folded, found_in, merge, named_once, take
from kg.vocabulary import NameIndex, Vocabulary, local_names

if TYPE_CHECKING:
    import pyarrow as pa

    from kg.strings import Strings


mark, mark_pairs, resolve = (Loop("kg.linking", name) for name in ("mark", "mark_pairs", "resolve"))
MANY_PAIRS = 1 << 24
"""With more pairs of predicate and kind than these there is no table of them all."""


@dataclass(frozen=True)
class Relations:
    """The relations: their keys, their own literals, and the entity that describes each (-1 where there is none).

    A property that a dump only names and never relates is no entity: its labels live here.
    """

    vocabulary: Vocabulary
    literals: LiteralTable
    described_by: np.ndarray


@dataclass(frozen=True)
class Parts:
    """All that a graph directory holds besides its meta data.

    What is called how is worked out when first asked, where `naming` is not doing so already.
    """

    entities: Vocabulary
    relations: Relations
    triples: np.ndarray
    literals: LiteralTable
    weights: np.ndarray | None = None
    known_names: NameIndex | None = None
    naming: Future[NameIndex] | None = field(default=None, repr=False, compare=False)
    threads: int = field(default=1, repr=False, compare=False)
    _asking: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)

    @property
    def names(self) -> NameIndex:
        """The index of all names; a thread that asks while another works it out waits for that one."""
        with self._asking:
            if self.known_names is None:
                found = self._worked_out() if self.naming is None else self.naming.result()
                object.__setattr__(self, "known_names", found)
        assert self.known_names is not None
        return self.known_names

    def _worked_out(self) -> NameIndex:
        table = self.literals.table
        subjects, roles = to_numbers(table["subject"]), to_numbers(table["role"])
        return name_index(self.entities, one_array(table["value"]), subjects, roles, self.threads)

    @property
    def statements(self) -> int:
        """How many triples and literals there are."""
        return len(self.triples) + len(self.literals) + len(self.relations.literals)

    def vocabulary_hash(self) -> str:
        """The hash of everything but the triples."""
        digest = hashlib.sha256()
        for array in (self.entities.array, self.relations.vocabulary.array):
            _update(digest, array)
        for literals in (self.literals, self.relations.literals):
            for name in ("subject", "predicate", "language", "value", "datatype"):
                _update(digest, literals.table[name])
        return digest.hexdigest()


def content_hash(vocabulary_hash: str, triples: np.ndarray, weights: np.ndarray | None = None) -> str:
    """The hash of a graph: of its vocabulary, its triples, and their weights if it has any."""
    digest = hashlib.sha256(vocabulary_hash.encode())
    digest.update(np.ascontiguousarray(triples).data)
    if weights is not None:
        digest.update(np.ascontiguousarray(weights).data)
    return digest.hexdigest()


@dataclass(frozen=True)
class Run:
    """Statements in numbers of their own: what one reader made of a dump, or of a part of one.

    Attributes:
        entities: keys of subjects and objects, unique, in any order.
        predicates: keys of predicates, likewise.
        edges: (E, 3) int; places of subject and object in `entities`, of the predicate in `predicates`.
        literals: (L, 3) int; places of the subject, of the predicate, and in `kinds`; further columns are no matter.
        kinds: (datatype, language).
        values: (L,) Arrow large strings.
        weights: (E,) float32 of the edges; None where all are 1.
    """

    entities: pa.LargeStringArray
    predicates: pa.LargeStringArray
    edges: np.ndarray
    literals: np.ndarray
    kinds: Sequence[tuple[str | None, str | None]]
    values: pa.LargeStringArray
    weights: np.ndarray | None = None


@dataclass(frozen=True)
class Joined:
    """Runs over one numbering.

    Attributes:
        keys, predicate_keys: of all runs, each once, ascending.
        places, predicate_places: for each run, the places of its own in them.
        gone: the places of keys that are no entities of their own any more.
    """

    runs: Sequence[Run]
    keys: pa.LargeStringArray
    places: Sequence[np.ndarray]
    predicate_keys: pa.LargeStringArray
    predicate_places: Sequence[np.ndarray]
    gone: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    @classmethod
    def of(cls, runs: Sequence[Run], threads: int = 1) -> Joined:
        """Number the keys of all runs."""
        keys, places = merge([run.entities for run in runs], threads)
        return cls(runs, keys, places, *merge([run.predicates for run in runs], threads))

    def edges(self) -> Iterator[np.ndarray]:
        """(E, 3) of each run, over the one numbering."""
        for run, ours, theirs in zip(self.runs, self.places, self.predicate_places, strict=True):
            yield renamed(run.edges, ours, theirs)

    def literals(self, threads: int = 1) -> LiteralRows:
        """Those of all runs, one behind the other."""
        import pyarrow as pa

        legend: dict[Meaning, int] = {}
        adding = Lock()
        values = pa.chunked_array([run.values for run in self.runs], pa.large_string())
        subjects, meanings = np.empty(len(values), np.int64), np.empty(len(values), np.int64)
        starts = np.cumsum([0, *(len(run.literals) for run in self.runs)]).tolist()

        def fill(run: Run, ours: np.ndarray, start: int) -> None:
            rows = slice(start, start + len(run.literals))
            if len(run.literals) < MANY or pairs_of_all(run) > MANY_PAIRS:
                used, codes = pairs_of(run)
                with adding:
                    table = codes_of(run, used, legend)
                subjects[rows], meanings[rows] = ours[run.literals[:, 0]], table[codes]
                return
            literals, pairs = np.ascontiguousarray(run.literals), np.zeros(pairs_of_all(run), np.bool_)
            mark_pairs(literals, len(run.kinds), pairs)
            used, by_pair = np.flatnonzero(pairs), np.zeros(len(pairs), np.int64)
            with adding:
                by_pair[used] = codes_of(run, used, legend)
            resolve(literals, ours, len(run.kinds), by_pair, subjects[rows], meanings[rows])

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fill, self.runs, self.places, starts))
        return LiteralRows(subjects, meanings, list(legend), values)


def pairs_of_all(run: Run) -> int:
    """How many pairs of predicate and kind a run could have."""
    return len(run.predicates) * len(run.kinds)


def pairs_of(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """(used, codes): the pairs of predicate and kind that a run's literals have, and which of them each has."""
    said = run.literals[:, 1].astype(np.int64) * len(run.kinds) + run.literals[:, 2]
    pairs = pairs_of_all(run)
    if pairs > MANY_PAIRS:
        return np.unique(said, return_inverse=True)
    used = np.flatnonzero(np.bincount(said, minlength=pairs))
    codes = np.zeros(pairs, np.int64)
    codes[used] = np.arange(len(used))
    return used, codes[said]


def codes_of(run: Run, used: np.ndarray, legend: dict[Meaning, int]) -> np.ndarray:
    """The codes of the pairs that a run uses in a legend, which grows by those that are new."""
    names = take(run.predicates, used // max(1, len(run.kinds))).to_pylist()
    kinds = [run.kinds[code] for code in (used % max(1, len(run.kinds))).tolist()]
    said = [Meaning(name, *kind) for name, kind in zip(names, kinds, strict=True)]
    return np.array([legend.setdefault(meaning, len(legend)) for meaning in said], np.int64)


def assemble(
    runs: Sequence[Run],
    predicates: Predicates,
    threads: int = 1,
    *,
    fixed: tuple[int, int] = (0, 0),
    merges_same: bool = False,
) -> Parts:
    """Sort, deduplicate and index what was read.

    Ids follow the order of keys, so the same statements give the same graph in whatever order they came and however
    they lay in runs.

    Args:
        predicates: which literals are labels, and so on.
        threads: how many may work.
        fixed: the first so many entities and predicates of the first run are entities and relations, whatever is said
            of them.
        merges_same: make one of entities that are the same, see `kg.same_as`.
    """
    joined = Joined.of(runs, threads)
    del runs
    keys = joined.keys
    always = np.zeros(len(keys), dtype=bool)
    always[joined.places[0][: fixed[0]]] = True
    if merges_same:
        from kg.same_as import merge_same

        joined = merge_same(joined, predicates.same_as, always)
    connected, relates = np.zeros(len(keys), dtype=bool), np.zeros(len(joined.predicate_keys), dtype=bool)
    relates[joined.predicate_places[0][: fixed[1]]] = True
    for run, ours, theirs in zip(joined.runs, joined.places, joined.predicate_places, strict=True):
        ends, between = marked(run)
        connected[ours[ends]] = True
        relates[theirs[between]] = True

    relation_keys = take(joined.predicate_keys, np.flatnonzero(relates))
    as_key = found_in(keys, relation_keys)
    as_relation = np.full(len(keys), -1, np.int64)
    as_relation[as_key[as_key >= 0]] = np.flatnonzero(as_key >= 0)
    only_relation = ~connected & ~always & (as_relation >= 0)
    stays = ~only_relation
    stays[joined.gone] = always[joined.gone]
    entities = Vocabulary.ascending(keys if stays.all() else take(keys, np.flatnonzero(stays)))
    relations = Vocabulary.ascending(relation_keys, "relation")
    ids, relation_ids = np.cumsum(stays) - 1, np.cumsum(relates) - 1

    def connect(joined: Joined) -> tuple[np.ndarray, np.ndarray | None]:
        edges, size = [run.edges for run in joined.runs], (len(entities), len(relations))
        of_runs = [ids[ours] for ours in joined.places], [relation_ids[theirs] for theirs in joined.predicate_places]
        triples, weights = number_triples(edges, *of_runs, size), given_weights(joined.runs)
        if weights is not None:
            numbered = np.concatenate([renamed(*one) for one in zip(edges, *of_runs, strict=True)])
            weights = greatest_weights(numbered, weights)
        triples.flags.writeable = False
        return triples, weights

    with ThreadPoolExecutor(1) as aside:
        connecting = aside.submit(connect, joined)
        rows = joined.literals(threads)
        del joined  # what is not needed any more makes room for what comes
        of_relation = only_relation[rows.subjects]
        own, other = np.flatnonzero(~of_relation), np.flatnonzero(of_relation)
        of_relations = LiteralTable.of(
            rows.of_rows(other, as_relation[rows.subjects[other]]), len(relations), predicates
        )
        rows = rows.of_rows(own, ids[rows.subjects[own]])
        naming = None if threads == 1 else names_of(rows, entities, predicates, threads)
        literals = LiteralTable.of(rows, len(entities), predicates, threads)
        del rows
        triples, weights = connecting.result()
    named = np.where((as_key >= 0) & stays[as_key], ids[as_key], -1) if len(keys) else as_key
    described = describing_entities(named, relations, triples)
    of_all = Relations(relations, of_relations, described)
    return Parts(entities, of_all, triples, literals, weights, naming=naming, threads=threads)


def marked(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """(ends, between): which keys of a run, and which of its predicates, are in its edges; (N,) and (P,) bool."""
    ends, between = np.zeros(len(run.entities), dtype=bool), np.zeros(len(run.predicates), dtype=bool)
    if len(run.edges) < MANY:
        ends[run.edges[:, 0]] = ends[run.edges[:, 2]] = True
        between[run.edges[:, 1]] = True
    else:
        mark(np.ascontiguousarray(run.edges), ends, between)
    return ends, between


def greatest_weights(triples: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(T,) float32: of each different triple, in ascending order, the greatest weight that it was given."""
    order = np.lexsort(triples.T[::-1])
    ordered = triples[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return np.maximum.reduceat(weights[order], np.flatnonzero(first)) if len(order) else weights


def given_weights(runs: Sequence[Run]) -> np.ndarray | None:
    """(E,) float32 of the edges of all runs; None where all are 1."""
    if all(run.weights is None for run in runs):
        return None
    return np.concatenate([np.ones(len(r.edges), np.float32) if r.weights is None else r.weights for r in runs])


def describing_entities(named: np.ndarray, relations: Vocabulary, triples: np.ndarray) -> np.ndarray:
    """(R,) the entity that carries each relation's labels: itself, or the page that claims it; -1 for none.

    Args:
        named: (R,) the entity with the relation's own key, -1 for none.
    """
    claim = relations.get(DIRECT_CLAIM)
    if claim is None:
        return named
    claims = triples[triples[:, 1] == claim]
    pages = dict(zip(claims[:, 2].tolist(), claims[:, 0].tolist(), strict=True))
    return np.array([pages.get(entity, entity) for entity in named.tolist()], np.int64)


def names_of(rows: LiteralRows, entities: Vocabulary, predicates: Predicates, threads: int) -> Future[NameIndex]:
    """`name_index` of what literals say, while others work on."""
    roles = np.array([predicates.role(meaning.predicate) for meaning in rows.legend], np.int8)
    pool = ThreadPoolExecutor(1)
    naming = pool.submit(name_index, entities, rows.values, rows.subjects, roles[rows.meanings], threads)
    pool.shutdown(wait=False)
    return naming


def name_index(
    entities: Vocabulary, values: Strings, subjects: np.ndarray, roles: np.ndarray, threads: int = 1
) -> NameIndex:
    """All labels and aliases, and the local name of every entity that has no label.

    Args:
        values: (n,) what literals in any order say, maybe in chunks.
        subjects: (n,) of which entity.
        roles: (n,) as what, see `Role`.
    """
    import pyarrow as pa

    named = np.flatnonzero(roles <= Role.ALIAS)
    unlabelled = np.ones(len(entities), dtype=bool)
    unlabelled[subjects[roles == Role.LABEL]] = False
    bare = np.flatnonzero(unlabelled)
    said = values if len(named) == len(values) else take(values, named, threads)
    chunks = said.chunks if isinstance(said, pa.ChunkedArray) else [said]
    owners = np.concatenate((subjects[named], bare)).astype(id_type(len(entities)))
    return NameIndex(*named_once(folded(*chunks, local_names(take(entities.array, bare))), owners, threads))


def _update(digest: Any, array: Any) -> None:
    """Hash an Arrow column of strings or ids by its logical content."""
    import pyarrow as pa

    column = one_array(array)
    if pa.types.is_dictionary(column.type):
        _update(digest, column.dictionary)
        column = column.indices
    digest.update(len(column).to_bytes(8, "little"))
    if pa.types.is_large_string(column.type):
        offsets = np.frombuffer(column.buffers()[1], dtype=np.int64)[column.offset : column.offset + len(column) + 1]
        if len(offsets):
            digest.update(np.diff(offsets))
            digest.update(memoryview(column.buffers()[2] or b"")[offsets[0] : offsets[-1]])
    else:
        digest.update(to_numbers(column))
