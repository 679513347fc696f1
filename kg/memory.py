"""Graphs out of Python objects: numbering what fits in memory."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kg.assemble import Parts, assemble, literal_rows
from kg.literals import IRI_VALUE, Literal
from kg.predicates import Predicates
from kg.rdf import FORMULA, QUOTED, Statement

Triple = tuple[str, str, str]


def number(
    triples: Iterable[Triple],
    literals: Iterable[tuple[str, Literal]],
    entities: Iterable[str],
    predicates: Predicates,
) -> Parts:
    """Parts of a graph from keys.

    Args:
        triples: (head, relation, tail) keys.
        literals: (subject key, literal).
        entities: further entities, which may have neither.
        predicates: which literals are labels, and so on.
    """
    import pyarrow as pa

    entity_ids: dict[str, int] = {}
    relation_ids: dict[str, int] = {}
    ids = [
        (
            entity_ids.setdefault(head, len(entity_ids)),
            relation_ids.setdefault(relation, len(relation_ids)),
            entity_ids.setdefault(tail, len(entity_ids)),
        )
        for head, relation, tail in triples
    ]
    said = list(literals)
    rows = literal_rows(
        [entity_ids.setdefault(subject, len(entity_ids)) for subject, _ in said],
        [literal.predicate for _, literal in said],
        [literal.value for _, literal in said],
        [literal.datatype for _, literal in said],
        [literal.language for _, literal in said],
    )
    for entity in entities:
        entity_ids.setdefault(entity, len(entity_ids))
    return assemble(
        pa.array(list(entity_ids), pa.large_string()),
        pa.array(list(relation_ids), pa.large_string()),
        np.array(ids, dtype=np.int64).reshape(-1, 3),
        rows,
        predicates,
    )


def sort_out(
    statements: Iterable[Statement], predicates: Predicates
) -> tuple[list[Triple], list[tuple[str, Literal]], int]:
    """Statements as triples and literals, and how many there were; what is only quoted is left out."""
    triples: list[Triple] = []
    literals: list[tuple[str, Literal]] = []
    images = frozenset(predicates.image)
    total = 0
    for subject, predicate, target, datatype, language, graph in statements:
        total += 1
        if graph == FORMULA:
            continue
        if datatype == IRI_VALUE and predicate not in images:
            triples.append((subject, predicate, target))
        elif datatype != QUOTED:
            literals.append((subject, Literal(predicate, target, datatype, language)))
    return triples, literals, total
