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

COLUMNS = ("subject", "role", "predicate", "language", "value", "datatype")
"""The columns of the table; its rows ascend in this order, where null is the least."""


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

    @classmethod
    def of(cls, rows: pa.Table, num_subjects: int, predicates: Predicates) -> LiteralTable:
        """Sort rows of (subject, predicate, value, datatype, language), give them roles and drop duplicates."""
        import pyarrow as pa

        rows = _with_roles(rows.select(["subject", "predicate", "value", "datatype", "language"]), predicates)
        keys = [("subject", "ascending"), ("role", "ascending"), ("rank", "ascending")]
        keys += [(name, "ascending") for name in ("predicate", "language", "value", "datatype")]
        ordered = rows.sort_by(keys) if len(rows) else rows
        unique = ordered.filter(pa.array(_first_of_equals(ordered))) if len(ordered) else ordered
        subjects = unique["subject"].to_numpy()
        columns = {
            "subject": pa.array(subjects.astype(id_type(num_subjects))),
            "role": unique["role"],
            "predicate": unique["predicate"].dictionary_encode(),
            "language": unique["language"].dictionary_encode(),
            "value": unique["value"],
            "datatype": unique["datatype"].dictionary_encode(),
        }
        table = pa.table(columns).combine_chunks()
        return cls(table, offsets_of(subjects, num_subjects))

    def __len__(self) -> int:
        return len(self.table)

    def rows(self, subject: int) -> list[tuple[Role, Literal]]:
        """The literals of one subject with their roles, labels first."""
        start, stop = int(self.offsets[subject]), int(self.offsets[subject + 1])
        if start == stop:
            return []
        return list(_literals(self.table.slice(start, stop - start)))

    def iterate(self) -> Iterator[tuple[int, Literal]]:
        """(subject, literal) over the whole table, in constant memory."""
        for start in range(0, len(self.table), 1 << 14):
            part = self.table.slice(start, 1 << 14)
            for subject, (_, literal) in zip(part["subject"].to_pylist(), _literals(part), strict=True):
                yield subject, literal

    def label(self, subject: int, languages: Sequence[str | None]) -> str | None:
        """The label in the first of `languages` that has one (None is "without a tag"), else in any."""
        return best_label([literal for role, literal in self.rows(subject) if role is Role.LABEL], languages)


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


def _literals(part: pa.Table) -> Iterator[tuple[Role, Literal]]:
    columns = [part[name].to_pylist() for name in ("role", "predicate", "value", "datatype", "language")]
    for role, predicate, value, datatype, language in zip(*columns, strict=True):
        yield Role(role), Literal(predicate, value, datatype, language)


def _with_roles(rows: pa.Table, predicates: Predicates) -> pa.Table:
    """Add `role` and `rank`, the place of a predicate among those of its role."""
    import pyarrow as pa

    roles = predicates.roles()
    ranks = {
        predicate: place
        for group in (predicates.label, predicates.alias, predicates.description, predicates.image)
        for place, predicate in enumerate(group)
    }
    encoded = rows["predicate"].combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    codes = np.asarray(encoded.indices)
    role = np.array([roles.get(name, Role.OTHER) for name in names] or [0], dtype=np.int8)[codes]
    rank = np.array([ranks.get(name, 0) for name in names] or [0], dtype=np.int16)[codes]
    return rows.append_column("role", pa.array(role)).append_column("rank", pa.array(rank))


def _first_of_equals(ordered: pa.Table) -> np.ndarray:
    """(n,) bool: False where a row equals the one before it."""
    import pyarrow.compute as pc

    changed = np.zeros(len(ordered) - 1, dtype=bool)
    for name in ("subject", "predicate", "language", "value", "datatype"):
        column = ordered[name].combine_chunks()
        left, right = column[:-1], column[1:]
        differs = pc.fill_null(pc.not_equal(left, right), True)
        both_null = pc.and_(pc.is_null(left), pc.is_null(right))
        changed |= np.asarray(pc.and_not(differs, both_null))
    return np.concatenate(([True], changed))
