"""What a graph says of the things that scenes draw: who they are, what belongs together, which facts they have."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kept.data.scenes.artwork import Thing
from kept.data.scenes.colours import NAMES

if TYPE_CHECKING:
    from kg import KnowledgeGraph

NEGATED = "not"
KIN = frozenset({"isa", "kindof", "instanceof", "synonym", "similarto", "formof", "subclassof", "hypernym", "hyponym"})
"""Relations, by their letters, between things that could be called by one another's names."""
LONGEST_TAIL = 30


class Fact(NamedTuple):
    """A fact about things by places among them: (relation, tail), their names, and all things that have it."""

    relation: int
    tail: int
    relation_label: str
    tail_label: str
    heads: frozenset[int]


@dataclass(frozen=True)
class Knowledge:
    """A graph as scenes use it.

    Args:
        entities: for each thing its entity's id, -1 where the graph has none of this name.
        joined: (N, N) bool, symmetric: which things the graph joins.
        kin: (N, N) bool, symmetric: which of them by a relation of KIN.
        facts: what can be asked, ascending by (relation, tail).
        by: what joined them: "edges"; "siblings" where no two share an edge, so those that share a fact; or "nothing".
        of: the rows of `facts` that each thing has.
    """

    entities: Sequence[int]
    joined: NDArray[np.bool_]
    kin: NDArray[np.bool_]
    facts: Sequence[Fact] = ()
    by: str = "nothing"
    of: dict[int, list[int]] = field(default_factory=dict)

    @cached_property
    def shared(self) -> dict[int, list[int]]:
        """The rows of `facts` that each thing has with others."""
        return {
            thing: found
            for thing, rows in self.of.items()
            if (found := [r for r in rows if len(self.facts[r].heads) > 1])
        }

    @property
    def pairs(self) -> int:
        """How many pairs of things are joined."""
        return int(self.joined.sum()) // 2


def no_knowledge(things: Sequence[Thing]) -> Knowledge:
    """Without a graph nothing is known and nothing belongs together."""
    nothing = np.zeros((len(things), len(things)), dtype=bool)
    return Knowledge([-1] * len(things), nothing, nothing)


def know(kg: KnowledgeGraph, things: Sequence[Thing]) -> Knowledge:
    """Match things to entities by name, and read off pairs and facts.

    Of several entities of one name the one with the most triples is taken: names are not told apart by sense, so
    homonyms bring in facts of another thing. Facts whose relation begins with "not", whose tail is a type or has a
    long name or is a colour (scenes recolour), or that all matched things have, are not asked.

    >>> from kg import KnowledgeGraph
    >>> kg = KnowledgeGraph.from_triples([("cup", "AtLocation", "table"), ("cup", "UsedFor", "drinking")])
    >>> known = know(kg, [Thing("1", "cup"), Thing("2", "table")])
    >>> known.joined[0, 1], known.facts[-1].tail_label
    (np.True_, 'drinking')
    """
    entities = [match(kg, thing.label) for thing in things]
    place = {entity: number for number, entity in enumerate(entities) if entity >= 0}
    joined = np.zeros((len(things), len(things)), dtype=bool)
    kin = np.zeros_like(joined)
    heads: dict[tuple[int, int], set[int]] = defaultdict(set)
    for entity, number in place.items():
        relations, tails = kg.out(entity)
        for relation, tail, is_type in zip(relations.tolist(), tails.tolist(), kg.is_type(relations), strict=True):
            if is_type or kg.relation_label(relation).lower().startswith(NEGATED):
                continue
            heads[relation, tail].add(number)
            if tail in place and place[tail] != number:
                joined[number, place[tail]] = joined[place[tail], number] = True
                if plain(kg.relation_label(relation)) in KIN:
                    kin[number, place[tail]] = kin[place[tail], number] = True
    facts = [
        Fact(relation, tail, kg.relation_label(relation), kg.label(tail), frozenset(having))
        for (relation, tail), having in sorted(heads.items())
        if len(having) < len(place) and len(kg.label(tail)) <= LONGEST_TAIL and kg.label(tail) not in NAMES
    ]
    by = "edges" if joined.any() else "siblings"
    if by == "siblings":
        for fact in facts:
            members = sorted(fact.heads)
            joined[np.ix_(members, members)] = True
        np.fill_diagonal(joined, False)
    of: dict[int, list[int]] = defaultdict(list)
    for row, fact in enumerate(facts):
        for number in fact.heads:
            of[number].append(row)
    return Knowledge(
        entities, joined, kin, facts, by if joined.any() else "nothing", {key: of[key] for key in sorted(of)}
    )


def plain(relation: str) -> str:
    """A relation's letters, whatever its spelling.

    >>> plain("kind of"), plain("KindOf")
    ('kindof', 'kindof')
    """
    return re.sub("[^a-z]", "", relation.lower())


def match(kg: KnowledgeGraph, label: str) -> int:
    """The entity of a name with the most triples, or -1."""
    found = kg.find(label).tolist()
    return max(found, key=lambda entity: (kg.degree(entity), -entity)) if found else -1
