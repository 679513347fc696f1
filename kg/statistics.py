"""What a graph is made of, in numbers."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np

from kg.graph import KnowledgeGraph
from kg.predicates import Role
from kg.vocabulary import local_name

NAME_LIKE = {"name", "label", "title", "preflabel", "prefname", "fullname"}


def statistics(kg: KnowledgeGraph, *, top: int = 20) -> dict[str, Any]:
    """Counts of relations, types, degrees, languages and gaps, ready for JSON.

    >>> statistics(KnowledgeGraph.from_triples([("a", "p", "b"), ("a", "p", "c")]))["relations"][0]["triples"]
    2
    """
    degrees = kg.adjacency.degrees()
    named = labelled(kg)
    return {
        "entities_with_label": int(named.sum()),
        "entities_without_triples": int((degrees == 0).sum()),
        "relations_without_label": unlabelled_relations(kg),
        "degree": {
            "mean": round(float(degrees.mean()), 3) if len(degrees) else 0.0,
            "median": float(np.median(degrees)) if len(degrees) else 0.0,
            "most": int(degrees.max(initial=0)),
        },
        "relations": relation_counts(kg)[:top],
        "types": type_counts(kg)[:top],
        "languages": language_counts(kg)[:top],
        "literal_predicates": predicate_counts(kg)[:top],
    }


def labelled(kg: KnowledgeGraph) -> np.ndarray:
    """(N,) bool: which entities have a label of their own."""
    table = kg.parts.literals.table
    named = np.zeros(kg.num_entities, dtype=bool)
    named[table["subject"].to_numpy()[table["role"].to_numpy() == Role.LABEL]] = True
    return named


def unlabelled_relations(kg: KnowledgeGraph) -> int:
    """How many relations are shown by their local name for want of a label."""
    relations = kg.parts.relations
    own = {subject for subject, _ in relations.literals.iterate()}
    named = labelled(kg)
    return sum(
        relation not in own and (page < 0 or not named[page])
        for relation, page in enumerate(relations.described_by.tolist())
    )


def relation_counts(kg: KnowledgeGraph) -> list[dict[str, Any]]:
    """Relations by falling number of triples, with the number of distinct heads and tails."""
    order = np.argsort(kg.triples[:, 1], kind="stable")
    starts = np.searchsorted(kg.triples[order, 1], np.arange(kg.num_relations + 1))
    rows = []
    for relation, (start, stop) in enumerate(pairwise(starts)):
        part = kg.triples[order[start:stop]]
        rows.append(
            {
                "relation": kg.relations.key(relation),
                "label": kg.relation_label(relation),
                "triples": len(part),
                "heads": len(np.unique(part[:, 0])),
                "tails": len(np.unique(part[:, 2])),
            }
        )
    return sorted(rows, key=lambda row: (-row["triples"], row["relation"]))


def type_counts(kg: KnowledgeGraph) -> list[dict[str, Any]]:
    """Classes by falling number of members."""
    typed = kg.triples[kg.is_type(kg.triples[:, 1])]
    kinds, counts = np.unique(typed[:, 2], return_counts=True)
    rows = [
        {"type": kg.entities.key(kind), "label": kg.label(int(kind)), "entities": int(count)}
        for kind, count in zip(kinds, counts, strict=True)
    ]
    return sorted(rows, key=lambda row: (-row["entities"], row["type"]))


def language_counts(kg: KnowledgeGraph) -> list[dict[str, Any]]:
    """Languages by falling number of literals; null stands for literals without a tag."""
    return [{"language": name, "literals": count} for name, count in _counts(kg, "language")]


def predicate_counts(kg: KnowledgeGraph) -> list[dict[str, Any]]:
    """Predicates of literals by falling number, with the role each is taken in."""
    roles = dict(zip(*(kg.parts.literals.table[name].to_pylist() for name in ("predicate", "role")), strict=True))
    return [
        {"predicate": name, "role": Role(roles[name]).name.lower(), "literals": count}
        for name, count in _counts(kg, "predicate")
    ]


def label_candidates(kg: KnowledgeGraph) -> list[str]:
    """Literal predicates that look like names but are not taken as labels."""
    return [
        row["predicate"]
        for row in predicate_counts(kg)
        if row["role"] == "other" and local_name(row["predicate"]).replace(" ", "").lower() in NAME_LIKE
    ]


def _counts(kg: KnowledgeGraph, column: str) -> list[tuple[str | None, int]]:
    import pyarrow.compute as pc

    counts = Counter(
        {row["values"]: row["counts"] for row in pc.value_counts(kg.parts.literals.table[column]).to_pylist()}
    )
    return sorted(counts.items(), key=lambda item: (-item[1], item[0] or ""))
