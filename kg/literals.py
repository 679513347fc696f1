"""Labels, aliases, descriptions, pictures and all other literals: one sorted, memory-mapped table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kg.arrays import id_type, offsets_of
from kg.predicates import Predicates, Role

if TYPE_CHECKING:
    import pyarrow as pa

IRI_VALUE = "@id"
"""The datatype of a value that is an IRI (a picture's address), after JSON-LD."""

COLUMNS = ("subject", "role", "predicate", "language", "datatype", "value")
"""The columns of the table; its rows ascend in this order, null first, predicates of a role by precedence."""


@dataclass(frozen=True, slots=True)
class Literal:
    """One literal statement of an entity. `datatype` is None for plain strings and language-tagged ones.

    >>> Literal("http://www.w3.org/2000/01/rdf-schema#label", "Paris", None, "fr").language
    'fr'
    """

    predicate: str
    value: str
    datatype: str | None = None
    language: str | None = None


class LiteralTable:
    """The literals of all subjects, those of one subject side by side, labels first.

    Args:
        table: Arrow table with `COLUMNS`, sorted.
        offsets: (N + 1,) int64; the rows of subject s are `offsets[s] : offsets[s + 1]`.
    """

    def __init__(self, table: pa.Table, offsets: np.ndarray) -> None:
        self.table = table
        self.offsets = offsets
        self._columns = [one_array(table[name]) for name in ("predicate", "value", "datatype", "language")]
        self._roles = table["role"].to_numpy()

    @classmethod
    def of(cls, rows: pa.Table, num_subjects: int, predicates: Predicates) -> LiteralTable:
        """Sort rows of (subject, predicate, value, datatype, language), give them roles and drop duplicates."""
        import pyarrow as pa

        subjects = rows["subject"].to_numpy().astype(np.int64)
        values = one_array(rows["value"])
        predicate, predicate_names = coded(rows["predicate"])
        language, language_names = coded(rows["language"])
        datatype, datatype_names = coded(rows["datatype"])
        roles, places = meanings(predicate_names.to_pylist(), predicates)

        kinds = (
            (places[predicate] * (len(language_names) + 1) + language + 1) * (len(datatype_names) + 1) + datatype + 1
        )
        distinct, kind = np.unique(kinds, return_inverse=True)
        kept = distinct_order(subjects * max(1, len(distinct)) + kind, values)
        columns = {
            "subject": pa.array(subjects[kept].astype(id_type(num_subjects))),
            "role": pa.array(roles[predicate[kept]]),
            "predicate": dictionary(predicate[kept], predicate_names),
            "language": dictionary(language[kept], language_names),
            "datatype": dictionary(datatype[kept], datatype_names),
            "value": values.take(pa.array(kept)),
        }
        return cls(pa.table(columns), offsets_of(subjects[kept], num_subjects))

    def __len__(self) -> int:
        return len(self.table)

    def rows(self, subject: int, first: Role = Role.LABEL, last: Role = Role.OTHER) -> list[Literal]:
        """The literals of one subject with roles from `first` to `last`; without these, all, labels first."""
        start, stop = int(self.offsets[subject]), int(self.offsets[subject + 1])
        if (first, last) != (Role.LABEL, Role.OTHER):
            roles = self._roles[start:stop]
            start, stop = (
                start + int(roles.searchsorted(int(first))),
                start + int(roles.searchsorted(int(last), "right")),
            )
        if start >= stop:
            return []
        return list(map(Literal, *(column.slice(start, stop - start).to_pylist() for column in self._columns)))

    def iterate(self) -> Iterator[tuple[int, Literal]]:
        """(subject, literal) over the whole table, in constant memory."""
        subjects = self.table["subject"].to_numpy()
        for start in range(0, len(self), 1 << 14):
            part = (column.slice(start, 1 << 14).to_pylist() for column in self._columns)
            yield from zip(subjects[start : start + (1 << 14)].tolist(), map(Literal, *part), strict=True)

    def label(self, subject: int, languages: Sequence[str | None]) -> str | None:
        """The label in the first of `languages` that has one (None is "without a tag"), else in any."""
        return best_label(self.rows(subject, Role.LABEL, Role.LABEL), languages)


def best_label(labels: Sequence[Literal], languages: Sequence[str | None]) -> str | None:
    """The value that a reader of `languages` should see; a tag also stands for its regions (en for en-GB)."""
    for language in languages:
        for exact in (True, False):
            for literal in labels:
                if speaks(literal.language, language, exact=exact):
                    return literal.value
    return labels[0].value if labels else None


def speaks(tag: str | None, language: str | None, *, exact: bool = False) -> bool:
    """Whether a language tag is `language` or, unless `exact`, one of its regions (RFC 4647, basic filtering).

    >>> speaks("en-gb", "en"), speaks("en-gb", "en", exact=True), speaks(None, None)
    (True, False, True)
    """
    if tag is None or language is None or exact:
        return tag == language
    return tag == language or tag.startswith(f"{language}-")


def meanings(names: Sequence[str], predicates: Predicates) -> tuple[np.ndarray, np.ndarray]:
    """The role of each predicate, int8, and its place in the order of (role, precedence, name)."""
    roles = [predicates.role(name) for name in names]
    order = sorted(range(len(names)), key=lambda code: (roles[code], predicates.precedence(names[code]), names[code]))
    places = np.empty(len(names), dtype=np.int64)
    places[order] = np.arange(len(names))
    return np.array(roles, dtype=np.int8), places


def distinct_order(keys: np.ndarray, values: pa.LargeStringArray) -> np.ndarray:
    """The rows in ascending order of (key, value), each pair once. Only rows with equal keys compare strings."""
    import pyarrow as pa
    import pyarrow.compute as pc

    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    same = ordered[1:] == ordered[:-1]
    tied = np.zeros(len(keys), dtype=bool)
    tied[1:] |= same
    tied[:-1] |= same
    places = np.flatnonzero(tied)
    if not len(places):
        return order
    group, texts = ordered[places], values.take(pa.array(order[places]))
    table = pa.table({"group": pa.array(group), "text": texts})
    inner = np.asarray(pc.sort_indices(table, [("group", "ascending"), ("text", "ascending")])).astype(np.int64)
    order[places] = order[places[inner]]
    texts = texts.take(pa.array(inner))
    repeated = np.zeros(len(keys), dtype=bool)
    repeated[places[1:]] = (group[1:] == group[:-1]) & np.asarray(pc.equal(texts[1:], texts[:-1]))
    return order[~repeated]


def coded(column: pa.ChunkedArray) -> tuple[np.ndarray, pa.LargeStringArray]:
    """A column of few strings as codes into its sorted distinct values; -1 stands for null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    array = one_array(column)
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    codes = np.asarray(pc.fill_null(array.indices, -1)).astype(np.int64)
    used = np.unique(codes[codes >= 0])
    names = array.dictionary.take(pa.array(used))
    order = np.asarray(pc.sort_indices(names)).astype(np.int64)
    rank = np.full(len(array.dictionary) + 1, -1, dtype=np.int64)
    rank[used[order]] = np.arange(len(used))
    return rank[codes], names.take(pa.array(order))


def dictionary(codes: np.ndarray, names: pa.LargeStringArray) -> pa.DictionaryArray:
    """The inverse of `coded`."""
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=codes < 0), names)


def one_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column as one array; without a copy where it is one already."""
    import pyarrow as pa

    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    return column.unify_dictionaries().combine_chunks()
