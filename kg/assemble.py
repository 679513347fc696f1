"""From unsorted keys, triples and literals to a finished graph: the last step of every way to make one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kg.arrays import id_type, sort_triples
from kg.literals import LiteralTable, one_array
from kg.predicates import DIRECT_CLAIM, Predicates, Role
from kg.vocabulary import NameIndex, Vocabulary, fold, local_name

if TYPE_CHECKING:
    import pyarrow as pa


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
    """All that a graph directory holds besides its meta data."""

    entities: Vocabulary
    relations: Relations
    triples: np.ndarray
    literals: LiteralTable
    names: NameIndex

    def vocabulary_hash(self) -> str:
        """The hash of everything but the triples."""
        digest = hashlib.sha256()
        for array in (self.entities.array, self.relations.vocabulary.array):
            _update(digest, array)
        for literals in (self.literals, self.relations.literals):
            for name in ("subject", "predicate", "language", "value", "datatype"):
                _update(digest, literals.table[name])
        return digest.hexdigest()


def content_hash(vocabulary_hash: str, triples: np.ndarray) -> str:
    """The hash of a graph: of its vocabulary and its triples."""
    digest = hashlib.sha256(vocabulary_hash.encode())
    digest.update(np.ascontiguousarray(triples).data)
    return digest.hexdigest()


def literal_rows(
    subjects: Sequence[int] | np.ndarray,
    predicates: Sequence[str],
    values: Sequence[str],
    datatypes: Sequence[str | None],
    languages: Sequence[str | None],
) -> pa.Table:
    """Columns as the table that `assemble` takes."""
    import pyarrow as pa

    columns: dict[str, Any] = {"subject": pa.array(np.asarray(subjects, dtype=np.int64))}
    for name, column in (
        ("predicate", predicates),
        ("value", values),
        ("datatype", datatypes),
        ("language", languages),
    ):
        columns[name] = pa.array(column, pa.large_string())
    return pa.table(columns)


def assemble(
    entity_keys: pa.LargeStringArray,
    relation_keys: pa.LargeStringArray,
    triples: np.ndarray,
    literals: pa.Table,
    predicates: Predicates,
) -> Parts:
    """Sort, deduplicate and index.

    Ids follow the order of keys, so the same statements give the same graph in whatever order they came.

    Args:
        entity_keys: keys of subjects and objects, unique, in any order.
        relation_keys: keys of the predicates between entities, unique, in any order.
        triples: (T, 3) int; places in the two arrays above.
        literals: see `literal_rows`; subjects are places in `entity_keys`.
        predicates: which literals are labels, and so on.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    connected = np.zeros(len(entity_keys), dtype=bool)
    connected[triples[:, 0]] = connected[triples[:, 2]] = True
    as_relation = np.asarray(pc.fill_null(pc.index_in(entity_keys, value_set=relation_keys), -1), dtype=np.int64)
    only_relation = ~connected & (as_relation >= 0)

    entities, entity_ids = _sorted_vocabulary(entity_keys, ~only_relation, "entity")
    relations, relation_ids = _sorted_vocabulary(relation_keys, np.ones(len(relation_keys), dtype=bool), "relation")
    mapped = np.column_stack((entity_ids[triples[:, 0]], relation_ids[triples[:, 1]], entity_ids[triples[:, 2]]))
    ordered = sort_triples(mapped, len(entities), len(relations))
    ordered.flags.writeable = False

    subjects = literals["subject"].to_numpy()
    of_relation = only_relation[subjects]
    own = _with_subjects(literals.filter(pa.array(~of_relation)), entity_ids[subjects[~of_relation]])
    theirs = _with_subjects(literals.filter(pa.array(of_relation)), relation_ids[as_relation[subjects[of_relation]]])
    table = LiteralTable.of(own, len(entities), predicates)
    return Parts(
        entities,
        Relations(
            relations,
            LiteralTable.of(theirs, len(relations), predicates),
            describing_entities(entities, relations, ordered),
        ),
        ordered,
        table,
        name_index(entities, table),
    )


def describing_entities(entities: Vocabulary, relations: Vocabulary, triples: np.ndarray) -> np.ndarray:
    """(R,) the entity that carries each relation's labels: itself, or the page that claims it; -1 for none."""
    described = np.full(len(relations), -1, dtype=np.int64)
    claim = relations.get(DIRECT_CLAIM)
    claims = triples[triples[:, 1] == claim] if claim is not None else triples[:0]
    pages = dict(zip(claims[:, 2].tolist(), claims[:, 0].tolist(), strict=True))
    for relation, key in enumerate(relations):
        entity = entities.get(key)
        if entity is not None:
            described[relation] = pages.get(entity, entity)
    return described


def name_index(entities: Vocabulary, literals: LiteralTable) -> NameIndex:
    """All labels and aliases, and the local name of every entity that has no label."""
    import pyarrow as pa
    import pyarrow.compute as pc

    roles = literals.table["role"].to_numpy()
    subjects = literals.table["subject"].to_numpy()
    named = np.flatnonzero(roles <= Role.ALIAS)
    unlabelled = np.ones(len(entities), dtype=bool)
    unlabelled[subjects[roles == Role.LABEL]] = False
    bare = np.flatnonzero(unlabelled)

    texts = [fold(name) for name in literals.table["value"].take(pa.array(named)).to_pylist()]
    texts += [fold(local_name(key)) for key in entities.keys(bare)]
    names = pa.array(texts, pa.large_string())
    owners = np.concatenate((subjects[named], bare))
    by_owner = np.argsort(owners, kind="stable")
    order = by_owner[np.asarray(pc.sort_indices(names.take(pa.array(by_owner)))).astype(np.int64)]
    names, owners = names.take(pa.array(order)), owners[order].astype(id_type(len(entities)))
    first = np.ones(len(order), dtype=bool)
    first[1:] = (owners[1:] != owners[:-1]) | np.asarray(pc.not_equal(names[1:], names[:-1]))
    return NameIndex(names.filter(pa.array(first)), owners[first])


def _sorted_vocabulary(keys: pa.LargeStringArray, kept: np.ndarray, kind: str) -> tuple[Vocabulary, np.ndarray]:
    """The kept keys in ascending order, and for each old place its new id (-1 where it was dropped)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    places = np.flatnonzero(kept)
    order = places[np.asarray(pc.sort_indices(keys.take(pa.array(places)))).astype(np.int64)]
    ids = np.full(len(keys), -1, dtype=np.int64)
    ids[order] = np.arange(len(order))
    dtype = id_type(len(order))
    return Vocabulary(one_array(keys.take(pa.array(order))), np.arange(len(order), dtype=dtype), kind), ids


def _with_subjects(rows: pa.Table, subjects: np.ndarray) -> pa.Table:
    import pyarrow as pa

    return rows.set_column(rows.schema.get_field_index("subject"), "subject", pa.array(subjects))


def _update(digest: Any, array: Any) -> None:
    """Hash an Arrow column of strings or ids by its logical content."""
    import pyarrow as pa
    import pyarrow.compute as pc

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
        digest.update(np.ascontiguousarray(pc.fill_null(column, -1)))
