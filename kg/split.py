"""Leak-safe splits of facts: what stands in text, what in the graph, what in both, what in neither.

    A      text and graph      B-dev, B-test   graph only
    C      text only           D               neither
    S      structural facts (types, hierarchies) and facts that cannot be asked: always in the graph

A sentence that names two entities states every fact between them, whatever its verb. So facts go to their parts in
*groups*: two facts are in one group when some name of each end of the one equals some name of each end of the other,
in either direction. That puts inverse, symmetric, duplicate and alias-equal facts on one side, by construction.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kg.errors import InputError, nearest
from kg.rules import infer, mine_rules
from kg.storage import atomic_file

if TYPE_CHECKING:
    from kg.graph import KnowledgeGraph

PARTS = ("A", "B-dev", "B-test", "C", "D", "S")
A, B_DEV, B_TEST, C, D, S = range(len(PARTS))
ARRAYS = ("parts", "held_out", "inferable")
SHARES = {"A": 0.45, "B": 0.25, "C": 0.15, "D": 0.15}


@dataclass
class FactSplit:
    """The part of every fact of a graph.

    - `parts`: (T,) int8, the index in `PARTS` of each row of `graph.triples`;
    - `held_out`: entities whose facts are all in B, so that no text names them;
    - `inferable`: (T,) bool, facts of D that a mined rule derives from the facts in the graph;
    - `rules`: those rules, readable.
    """

    parts: NDArray[np.int8]
    held_out: NDArray[np.int64]
    inferable: NDArray[np.bool_]
    seed: int
    shares: dict[str, float]
    hash: str
    rules: list[str] = field(default_factory=list)

    def rows(self, *parts: str) -> NDArray[np.int64]:
        """The rows of `graph.triples` that are in any of these parts ("B" stands for both halves of B).

        >>> split = FactSplit(np.array([0, 1, 2], dtype=np.int8), np.array([]), np.zeros(3, bool), 0, {}, "")
        >>> split.rows("B").tolist()
        [1, 2]
        """
        return np.flatnonzero(np.isin(self.parts, [code for part in parts for code in part_codes(part)]))

    def part(self, row: int) -> str:
        """The name of a fact's part."""
        return PARTS[self.parts[row]]

    def graph(self, kg: KnowledgeGraph) -> KnowledgeGraph:
        """The graph that everything after the split may see: without C and D.

        Raises:
            InputError: when the split was made for another graph.
        """
        self.check(kg)
        return kg.without(self.rows("C", "D"))

    def check(self, kg: KnowledgeGraph) -> None:
        """Refuse a graph that the split was not made for."""
        if kg.hash != self.hash:
            raise InputError(f"the split was made for the graph {self.hash[:12]}, not for {kg.hash[:12]}; split again")

    def counts(self) -> dict[str, int]:
        """How many facts each part has."""
        return {part: int((self.parts == code).sum()) for code, part in enumerate(PARTS)}

    def save(self, path: Path | str) -> None:
        """Write one safetensors file."""
        from safetensors.numpy import save_file

        arrays: dict[str, NDArray[Any]] = {name: getattr(self, name) for name in ARRAYS}
        about = {"seed": self.seed, "shares": self.shares, "hash": self.hash, "rules": self.rules}
        with atomic_file(Path(path)) as partial:
            save_file(arrays, partial, metadata={"split": json.dumps(about)})

    @classmethod
    def load(cls, path: Path | str) -> FactSplit:
        """Read what `save` wrote."""
        from safetensors import SafetensorError, safe_open

        if not Path(path).is_file():
            raise InputError(f"{path}: no such file")
        try:
            with safe_open(path, framework="numpy") as file:
                about = json.loads(file.metadata()["split"])
                return cls(**{name: file.get_tensor(name) for name in ARRAYS}, **about)
        except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
            raise InputError(f"{path}: not a split of facts ({error})") from None


def part_codes(part: str) -> tuple[int, ...]:
    """The codes that a part's name stands for."""
    if part == "B":
        return B_DEV, B_TEST
    if part not in PARTS:
        raise InputError(f"no part is called {part!r}; {nearest(part, (*PARTS, 'B'))}")
    return (PARTS.index(part),)


def split_facts(
    kg: KnowledgeGraph,
    *,
    shares: Mapping[str, float] = SHARES,
    structural_relations: Sequence[str] = (),
    hold_out: Mapping[str, int] | Sequence[int] = (),
    seed: int = 0,
    equivalent: Sequence[tuple[str, str]] = (),
    min_confidence: float = 0.9,
) -> FactSplit:
    """Deal the facts of a graph to the parts, whole groups at a time and evenly over relations.

    Args:
        shares: the wanted share of A, B, C and D; B is halved into B-dev and B-test.
        structural_relations: keys of relations that always stay in the graph (part S); `rdf:type` is always one.
        hold_out: entities of which no text may speak: their ids, or how many to draw of each type (by its key). Drawn
            are entities that share no name with another; every fact that touches a held-out entity goes to B.
        seed: equal seeds give equal splits.
        equivalent: pairs of keys of entities that are the same thing under two names.
        min_confidence: of the rules that mark facts of D as inferable.

    Raises:
        InputError: on an unknown relation, type or entity key, on shares that do not sum to one, or on more entities to
            hold out than there are.

    >>> from kg import KnowledgeGraph
    >>> kg = KnowledgeGraph.from_triples([("France", "borders", "Spain"), ("Spain", "borders", "France")])
    >>> len(set(split_facts(kg, seed=1).parts.tolist()))
    1
    """
    if set(shares) != set(SHARES) or abs(sum(shares.values()) - 1) > 1e-9:
        raise InputError(f"shares: {dict(shares)} must give A, B, C and D, and sum to 1")
    rng = np.random.default_rng(seed)
    triples = np.asarray(kg.triples, dtype=np.int64)
    names = NameClasses(kg, equivalent)
    held_out = choose_held_out(kg, names, hold_out, rng)
    group, unaskable = fact_groups(triples, names)
    structural = unaskable | np.isin(triples[:, 1], structural_ids(kg, structural_relations))
    in_graph = np.isin(triples[:, 0], held_out) | np.isin(triples[:, 2], held_out)
    parts = deal(triples[:, 1], group, structural, in_graph, shares, rng)
    split = FactSplit(parts, held_out, np.zeros(len(parts), dtype=bool), seed, dict(shares), kg.hash)
    mark_inferable(split, kg, triples, min_confidence)
    return split


def structural_ids(kg: KnowledgeGraph, keys: Sequence[str]) -> list[int]:
    return [kg.relations.id(key) for key in keys] + ([] if kg.type_relation is None else [kg.type_relation])


class NameClasses:
    """The names of every entity as numbers: case-folded, so that alias-equal entities share a number."""

    def __init__(self, kg: KnowledgeGraph, equivalent: Sequence[tuple[str, str]] = ()) -> None:
        numbers: dict[str, int] = {}
        self.of: list[list[int]] = []
        for entity in range(kg.num_entities):
            folded = {name.casefold() for name in kg.names(entity)} or {kg.entities.key(entity)}
            self.of.append([numbers.setdefault(name, len(numbers)) for name in sorted(folded)])
        for first, second in equivalent:
            same = kg.entities.id(first), kg.entities.id(second)
            union = sorted({number for entity in same for number in self.of[entity]})
            for entity in same:
                self.of[entity] = union
        self.count = len(numbers)

    def unshared(self, entities: Sequence[int]) -> list[int]:
        """Those of the entities that share no name with any other entity."""
        bearers = np.bincount([number for numbers in self.of for number in numbers], minlength=self.count)
        return [entity for entity in entities if all(bearers[number] == 1 for number in self.of[entity])]


def fact_groups(triples: NDArray[np.int64], names: NameClasses) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The group of every fact, and whether its two ends share a name (a question would contain its own answer).

    Facts and unordered pairs of names are the two sides of a graph; its connected components are the groups.
    """
    from scipy import sparse

    facts: list[int] = []
    keys: list[int] = []
    unaskable = np.zeros(len(triples), dtype=bool)
    for row, (head, _, tail) in enumerate(triples.tolist()):
        unaskable[row] = not set(names.of[head]).isdisjoint(names.of[tail])
        for first in names.of[head]:
            for second in names.of[tail]:
                facts.append(row)
                keys.append(min(first, second) * names.count + max(first, second))
    pairs, column = np.unique(np.array(keys, dtype=np.int64), return_inverse=True)
    size = len(triples) + len(pairs)
    edges = sparse.coo_matrix((np.ones(len(facts)), (facts, column + len(triples))), shape=(size, size))
    _, component = sparse.csgraph.connected_components(edges, directed=False)
    return component[: len(triples)].astype(np.int64), unaskable


def choose_held_out(
    kg: KnowledgeGraph, names: NameClasses, hold_out: Mapping[str, int] | Sequence[int], rng: np.random.Generator
) -> NDArray[np.int64]:
    """The entities to keep out of all text, sorted."""
    if not isinstance(hold_out, Mapping):
        return np.unique(np.asarray(hold_out, dtype=np.int64))
    chosen: list[int] = []
    for kind, count in hold_out.items():
        candidates = names.unshared(np.sort(kg.of_type(kg.entities.id(kind))).tolist())
        if count > len(candidates):
            raise InputError(f"hold_out: {count} of {kind} are wanted, {len(candidates)} have names of their own")
        chosen.extend(rng.choice(candidates, count, replace=False).tolist())
    return np.unique(np.array(chosen, dtype=np.int64))


def deal(
    relations: NDArray[np.int64],
    group: NDArray[np.int64],
    structural: NDArray[np.bool_],
    in_graph: NDArray[np.bool_],
    shares: Mapping[str, float],
    rng: np.random.Generator,
) -> NDArray[np.int8]:
    """A part for every fact. Within the groups whose first fact is of one relation, the shares hold to one group.

    A group with a structural fact is in S as a whole, one with a fact of a held-out entity in B as a whole.
    """
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(group[order]) != 0]) if len(order) else np.zeros(0, dtype=np.int64)
    sizes = np.diff(np.r_[starts, len(order)])
    first_relation = relations[order[starts]]
    fixed = np.zeros(len(starts), dtype=np.int8) - 1
    halves = np.where(rng.permutation(len(starts)) % 2 == 0, B_DEV, B_TEST)
    touched = np.logical_or.reduceat(in_graph[order], starts) if len(starts) else np.zeros(0, dtype=bool)
    fixed[touched] = halves[touched]
    if len(starts):
        fixed[np.logical_or.reduceat(structural[order], starts)] = S
    bounds = np.cumsum([shares["A"], shares["B"] / 2, shares["B"] / 2, shares["C"], shares["D"]])
    for relation in np.unique(first_relation[fixed < 0]):
        free = rng.permutation(np.flatnonzero((fixed < 0) & (first_relation == relation)))
        middle = np.cumsum(sizes[free]) - sizes[free] / 2
        # Systematic sampling with a random start: shares hold to one group, and a relation of one fact may go anywhere.
        fixed[free] = np.minimum(np.searchsorted(bounds, (middle / sizes[free].sum() + rng.random()) % 1), D)
    parts = np.empty(len(group), dtype=np.int8)
    parts[order] = np.repeat(fixed, sizes)
    return parts


def mark_inferable(split: FactSplit, kg: KnowledgeGraph, triples: NDArray[np.int64], min_confidence: float) -> None:
    """Mark the facts of D that rules mined from the facts in the graph derive from those very facts."""
    seen = triples[split.rows("A", "B", "S")]
    rules = mine_rules(seen, kg.num_entities, kg.num_relations, min_confidence=min_confidence)
    derived = {tuple(fact) for fact in infer(rules, seen, kg.num_entities, kg.num_relations)[0].tolist()}
    hidden = split.rows("D")
    split.inferable[hidden] = [tuple(fact) in derived for fact in triples[hidden].tolist()]
    labels = [kg.relation_label(relation) for relation in range(kg.num_relations)]
    split.rules = [f"{rule.text(labels)}  ({rule.confidence:.3f}, {rule.support})" for rule in rules]
