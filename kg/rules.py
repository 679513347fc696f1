"""Horn rules read off a graph: symmetric, inverse, sub-relation and composition, by sparse products.

A body relation is written as a column of `2 * num_relations`: `r` asks for `(x, r, y)`, `r + num_relations` for its
inverse `(y, r, x)`. A body of one column `b` reads `b(x, y) => h(x, y)`; of two, `b1(x, y) and b2(y, z) => h(x, z)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Triples = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Rule:
    """A rule with its standing in the graph it was mined from.

    - `support`: the pairs for which body and head both hold;
    - `head_coverage`: support / facts of the head relation;
    - `confidence`: support / pairs for which the body holds and whose first entity has the head relation to *something*
      (the partial completeness assumption of AMIE, Galárraga et al., WWW 2013, section 4.2: a graph that says nothing
      of an entity's region does not deny it);
    - `standard_confidence`: support / all pairs for which the body holds.
    """

    body: tuple[int, ...]
    head: int
    support: int
    head_coverage: float
    confidence: float
    standard_confidence: float

    def text(self, relations: Sequence[str]) -> str:
        """The rule for people.

        >>> Rule((0, 1), 2, 10, 1.0, 1.0, 1.0).text(["subregion", "subregion_of", "region"])
        'subregion(x, y), subregion_of(y, z) => region(x, z)'
        """
        names = "xyz"[: len(self.body) + 1]
        atoms = []
        for place, column in enumerate(self.body):
            first, second = names[place], names[place + 1]
            if column >= len(relations):
                first, second = second, first
            atoms.append(f"{relations[column % len(relations)]}({first}, {second})")
        return f"{', '.join(atoms)} => {relations[self.head]}({names[0]}, {names[-1]})"


class _Pairs:
    """The distinct ordered pairs of a graph as sorted keys, and which of the 2R columns hold between each."""

    def __init__(self, triples: Triples, num_entities: int, num_relations: int) -> None:
        from scipy import sparse

        rows = np.asarray(triples, dtype=np.int64)
        both = np.concatenate([rows, np.stack([rows[:, 2], rows[:, 1] + num_relations, rows[:, 0]], axis=1)])
        both = both[both[:, 0] != both[:, 2]]
        self.num_entities, self.num_relations, self.columns = num_entities, num_relations, 2 * num_relations
        self.keys, inverse = np.unique(both[:, 0] * num_entities + both[:, 2], return_inverse=True)
        ones = np.ones(len(both), dtype=np.int64)
        shape = (len(self.keys), self.columns)
        self.holds = _binary(sparse.csr_matrix((ones, (inverse, both[:, 1])), shape=shape))
        self.degrees = sparse.csr_matrix((ones, (both[:, 0], both[:, 1])), shape=(num_entities, self.columns))
        square = (num_entities, num_entities)
        self.matrices = [
            _binary(sparse.csr_matrix((ones[at], (both[at, 0], both[at, 2])), shape=square))
            for at in (both[:, 1] == column for column in range(self.columns))
        ]

    def bodies(self, max_paths: int, min_support: int) -> Iterator[tuple[tuple[int, ...], NDArray[np.int64]]]:
        """Every body with the keys of the pairs for which it holds; hub compositions beyond `max_paths` are skipped."""
        for column in range(self.columns):
            yield (column,), _keys(self.matrices[column], self.num_entities)
        # Column b enters y as often as its inverse leaves it.
        inverse = np.r_[self.num_relations : self.columns, : self.num_relations]
        paths = (self.degrees[:, inverse].T @ self.degrees).toarray()
        for first, second in zip(*np.nonzero((paths >= min_support) & (paths <= max_paths)), strict=True):
            product = self.matrices[first] @ self.matrices[second]
            product.setdiag(0)
            product.eliminate_zeros()
            yield (int(first), int(second)), _keys(product, self.num_entities)


def _binary(matrix: Any) -> Any:
    matrix.data[:] = 1
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def _keys(matrix: Any, num_entities: int) -> NDArray[np.int64]:
    heads, tails = matrix.nonzero()
    return np.asarray(heads, dtype=np.int64) * num_entities + tails


def mine_rules(
    triples: Triples,
    num_entities: int,
    num_relations: int,
    *,
    min_support: int = 10,
    min_confidence: float = 0.9,
    max_paths: int = 2_000_000,
) -> list[Rule]:
    """All rules with one or two body atoms that are supported and confident enough, best first.

    Args:
        triples: (T, 3) head, relation, tail ids.
        min_support: pairs for which body and head both hold.
        min_confidence: bound on `Rule.confidence`.
        max_paths: compositions with more paths than this are skipped: they run through a hub such as a class.

    >>> triples = np.array([[i, 0, i + 1] for i in range(0, 40, 2)] + [[i + 1, 0, i] for i in range(0, 40, 2)])
    >>> [rule.text(["borders"]) for rule in mine_rules(triples, 41, 1)]
    ['borders(y, x) => borders(x, y)']
    """
    if not len(triples):
        return []
    pairs = _Pairs(triples, num_entities, num_relations)
    sizes = np.asarray(pairs.holds.sum(axis=0)).ravel()[:num_relations]
    has_head = (pairs.degrees[:, :num_relations] > 0).astype(np.int64)
    rules = []
    for body, keys in pairs.bodies(max_paths, min_support):
        if len(keys) < min_support:
            continue
        support = _support(pairs, keys)
        known = np.bincount(keys // num_entities, minlength=num_entities) @ has_head
        for head in np.flatnonzero((support >= min_support) & (support >= min_confidence * known)):
            if body != (head,):
                exact = int(support[head])
                shares = exact / sizes[head], exact / known[head], exact / len(keys)
                rules.append(Rule(body, int(head), exact, *(float(share) for share in shares)))
    return sorted(rules, key=lambda rule: (-rule.confidence, -rule.support, rule.head, rule.body))


def _support(pairs: _Pairs, keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each head relation, how many of the pairs it holds for."""
    at = np.searchsorted(pairs.keys, keys)
    at = at[(at < len(pairs.keys)) & (pairs.keys[np.minimum(at, len(pairs.keys) - 1)] == keys)]
    return np.asarray(pairs.holds[at].sum(axis=0)).ravel()[: pairs.num_relations]


def infer(
    rules: Sequence[Rule], triples: Triples, num_entities: int, num_relations: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The facts that the rules derive from the graph and that are not in it, each with its best rule's confidence.

    Returns:
        (M, 3) triples sorted by head, relation, tail, and (M,) confidences.

    >>> rules = [Rule((1,), 0, 10, 1.0, 1.0, 1.0)]
    >>> infer(rules, np.array([[3, 0, 7]]), 8, 1)[0].tolist()
    [[7, 0, 3]]
    """
    best: dict[tuple[int, int, int], float] = {}
    if len(triples):
        pairs = _Pairs(triples, num_entities, num_relations)
        known = {tuple(row) for row in np.asarray(triples).tolist()}
        for rule in rules:
            matrix = pairs.matrices[rule.body[0]]
            for column in rule.body[1:]:
                matrix = matrix @ pairs.matrices[column]
            for head, tail in zip(*matrix.nonzero(), strict=True):
                fact = int(head), rule.head, int(tail)
                if head != tail and fact not in known:
                    best[fact] = max(rule.confidence, best.get(fact, 0.0))
    facts = sorted(best)
    return np.array(facts, dtype=np.int64).reshape(-1, 3), np.array([best[fact] for fact in facts], dtype=np.float64)
