"""Graphs out of Python objects: numbering what fits in memory."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kg.assemble import Parts, Run, assemble
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
    predicate_ids = dict(relation_ids)
    kinds: dict[tuple[str | None, str | None], int] = {}
    rows: list[tuple[int, int, int]] = []
    values: list[str] = []
    for subject, literal in literals:
        rows.append(
            (
                entity_ids.setdefault(subject, len(entity_ids)),
                predicate_ids.setdefault(literal.predicate, len(predicate_ids)),
                kinds.setdefault((literal.datatype, literal.language), len(kinds)),
            )
        )
        values.append(literal.value)
    for entity in entities:
        entity_ids.setdefault(entity, len(entity_ids))
    run = Run(
        pa.array(list(entity_ids), pa.large_string()),
        pa.array(list(predicate_ids), pa.large_string()),
        np.array(ids, dtype=np.int64).reshape(-1, 3),
        np.array(rows, dtype=np.int64).reshape(-1, 3),
        list(kinds),
        pa.array(values, pa.large_string()),
    )
    return assemble([run], predicates)


def sort_out(
    statements: Iterable[Statement], predicates: Predicates
) -> tuple[list[Triple], list[tuple[str, Literal]], int]:
    """Statements as triples and literals, and how many there were; what is only quoted is left out."""
    triples: list[Triple] = []
    literals: list[tuple[str, Literal]] = []
    images = frozenset(predicates.image)
    total = 0
    for subject, predicate, target, datatype, language, graph, _ in statements:
        total += 1
        if graph == FORMULA:
            continue
        if datatype == IRI_VALUE and predicate not in images:
            triples.append((subject, predicate, target))
        elif datatype != QUOTED:
            literals.append((subject, Literal(predicate, target, datatype, language)))
    return triples, literals, total
