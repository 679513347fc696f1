"""Labels, aliases, descriptions, pictures and all other literals: one sorted, memory-mapped table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kg.arrays import bits, id_type, offsets_of
from kg.arrow import of_columns, of_numbers, of_texts, to_numbers
from kg.predicates import Predicates, Role
from kg.strings import repeated, sort_within, take

if TYPE_CHECKING:
    import pyarrow as pa

    from kg.strings import Strings

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


class Meaning(NamedTuple):
    """What a literal is said with: its predicate, and the datatype or language of its value."""

    predicate: str
    datatype: str | None = None
    language: str | None = None

    def rank(self, predicates: Predicates) -> tuple[object, ...]:
        """The place of such literals among those of a subject, null first."""
        role, precedence = predicates.role(self.predicate), predicates.precedence(self.predicate)
        none_first = (
            (self.language is not None, self.language or ""),
            (self.datatype is not None, self.datatype or ""),
        )
        return (role, precedence, self.predicate, *none_first)


@dataclass(frozen=True)
class LiteralRows:
    """Literals in any order.

    Attributes:
        subjects: (n,) int.
        meanings: (n,) int, places in `legend`.
        legend: what the literals are said with, each once.
        values: (n,) Arrow large strings, perhaps in chunks.
    """

    subjects: np.ndarray
    meanings: np.ndarray
    legend: Sequence[Meaning]
    values: Strings

    def of_rows(self, chosen: np.ndarray, subjects: np.ndarray) -> LiteralRows:
        """Some of the rows, with other numbers for their subjects."""
        if len(chosen) == len(self.subjects):
            return LiteralRows(subjects, self.meanings, self.legend, self.values)
        return LiteralRows(subjects, self.meanings[chosen], self.legend, take(self.values, chosen))


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
        self._roles = to_numbers(table["role"])

    @classmethod
    def of(cls, rows: LiteralRows, num_subjects: int, predicates: Predicates, threads: int = 1) -> LiteralTable:
        """Sort rows, give them roles and drop duplicates."""
        used = np.flatnonzero(np.bincount(rows.meanings, minlength=len(rows.legend)))
        table = cls.sorted_table(rows, num_subjects, predicates, used, threads)
        return cls(table, offsets_of(to_numbers(table["subject"]), num_subjects))

    @staticmethod
    def sorted_table(
        rows: LiteralRows, num_subjects: int, predicates: Predicates, used: np.ndarray, threads: int = 1
    ) -> pa.Table:
        """The table of `of`, over the names of those meanings of the legend that are `used`, here or elsewhere."""
        import pyarrow as pa

        order = sorted(used.tolist(), key=lambda code: rows.legend[code].rank(predicates))
        ranks = np.zeros(len(rows.legend), np.int64)
        ranks[order] = np.arange(len(order))
        sorted_rows, again = in_order(rows.subjects, ranks[rows.meanings], rows.values)
        kept = sorted_rows[~again]
        subjects, meanings = rows.subjects[kept], rows.meanings[kept]
        roles = np.zeros(len(rows.legend), np.int8)
        roles[order] = [predicates.role(rows.legend[code].predicate) for code in order]
        columns = {"subject": of_numbers(subjects.astype(id_type(num_subjects))), "role": of_numbers(roles[meanings])}
        for name in ("predicate", "language", "datatype"):
            given = {code: getattr(rows.legend[code], name) for code in order}
            names = sorted({value for value in given.values() if value is not None})
            place = {value: number for number, value in enumerate(names)}
            codes = np.full(len(rows.legend), -1, np.int32)
            codes[order] = [place.get(given[code], -1) for code in order]
            column = codes[meanings]
            columns[name] = pa.DictionaryArray.from_arrays(
                of_numbers(column, column < 0 if (codes[order] < 0).any() else None),
                of_texts(names),
            )
        columns["value"] = take(rows.values, kept, threads)
        return of_columns(columns)

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
        subjects = to_numbers(self.table["subject"])
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


def in_order(subjects: np.ndarray, ranks: np.ndarray, values: Strings) -> tuple[np.ndarray, np.ndarray]:
    """(rows, again): the rows in ascending order of (subject, rank, value), and whether each equals the one before.

    Only ties compare strings.
    """
    order, keys = ordered_by(subjects, ranks)
    again = np.zeros(len(order), dtype=bool)
    same = np.zeros(len(order) + 1, dtype=bool)
    np.equal(keys[1:], keys[:-1], out=same[1 : len(order)])
    places = np.flatnonzero(same[:-1] | same[1:])
    if len(places):
        texts, tied = take(values, order[places]), same[places]
        starts = np.flatnonzero(~tied)
        inner = np.arange(len(places))
        sort_within(texts, inner, np.column_stack((starts, np.append(starts[1:], len(places)))))
        order[places] = order[places][inner]
        again[places] = repeated(texts, inner) & tied
    return order, again


def ordered_by(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows, keys) in ascending order of two columns of numbers; equal keys for equal pairs."""
    count = int(second.max()) + 1 if len(second) else 1
    # In place, since fresh memory costs the system more than the arithmetic.
    keys = first.astype(np.int64)
    keys *= count
    keys += second
    row_bits = bits(len(keys))
    if len(keys) and bits(int(keys.max()) + 1) + row_bits <= 63:
        # numpy sorts numbers many times faster than it says where they went
        keys <<= row_bits
        keys |= np.arange(len(keys))
        keys.sort()
        order = keys & ((1 << row_bits) - 1)
        keys >>= row_bits
        return order, keys
    order = np.argsort(keys, kind="stable")
    return order, keys[order]


def one_array(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column as one array; without a copy where it is one already."""
    import pyarrow as pa

    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    if not column.num_chunks:
        return pa.nulls(0, column.type)
    return pa.concat_arrays(column.unify_dictionaries().chunks)
