"""Small graphs with one known structure each, and the figure that tells whether a scorer recovered it.

Entities stand in a row; a relation with step `s` leads from i to i + s. Steps make inverse and composed relations
exact. The row has ends: around a ring a translation would have to be 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from kg.embedding import Scorer, rank
from kg.embedding.ranking import TAIL

SIZE = 24


@dataclass(frozen=True)
class Planted:
    """Facts to fit, and facts to answer with their tails or, `against_reversed`, to prefer to their reverse."""

    train: np.ndarray
    test: np.ndarray
    num_entities: int
    num_relations: int
    against_reversed: bool = False

    def recovered(self, model: Scorer) -> float:
        """The share of test facts that come out right."""
        if not self.against_reversed:
            return rank(model, self.test, self.train).hits(1, side=TAIL)
        head, relation, tail = torch.as_tensor(self.test).unbind(1)
        with torch.no_grad():
            ahead = model.score(head, relation, tail) - model.score(tail, relation, head)
        return float((ahead > 1e-4).float().mean())


def steps(relation: int, step: int) -> np.ndarray:
    """The facts (i, relation, i + step) along the row."""
    here = np.arange(max(0, -step), SIZE - max(0, step))
    return np.stack([here, np.full(len(here), relation), here + step], 1)


def symmetric() -> Planted:
    """Pairs in both directions: each member must answer with the other, not with itself."""
    here = np.arange(SIZE)
    facts = np.stack([here, np.zeros(SIZE, int), here ^ 1], 1)
    return Planted(facts, facts, SIZE, 1)


def antisymmetric() -> Planted:
    """One step along the row, never back."""
    facts = steps(0, 1)
    return Planted(facts, facts, SIZE, 1, against_reversed=True)


def inverse() -> Planted:
    """Relation 1 undoes relation 0; every third of its facts is asked for."""
    back = steps(1, -3)
    return Planted(np.concatenate([steps(0, 3), np.delete(back, np.s_[::3], 0)]), back[::3], SIZE, 2)


def composition() -> Planted:
    """Relation 2 is relation 0, then relation 1; every third of its facts is asked for."""
    both = steps(2, 3)
    train = np.concatenate([steps(0, 1), steps(1, 2), np.delete(both, np.s_[::3], 0)])
    return Planted(train, both[::3], SIZE, 3)


def one_to_many() -> Planted:
    """Four heads with six tails each, none shared."""
    heads, tails = np.divmod(np.arange(SIZE), 6)
    facts = np.stack([heads, np.zeros(SIZE, int), tails + 6 * heads + 4], 1)
    return Planted(facts, facts, SIZE + 4, 1)


def ring() -> Planted:
    """Six rings of four; relation 0 leads one way round, relation 1 the other.

    What a score adds for the tail alone cancels around a ring, so the order must come from head, relation and tail
    together. A distance of translated points has no such term: at most three of four facts come out right.
    """
    here = np.arange(SIZE)
    ways = [here - here % 4 + (here + step) % 4 for step in (1, -1)]
    facts = np.concatenate([np.stack([here, np.full(SIZE, r), way], 1) for r, way in enumerate(ways)])
    return Planted(facts, facts, SIZE, 2)


STRUCTURES = {
    "symmetric": symmetric,
    "antisymmetric": antisymmetric,
    "inverse": inverse,
    "composition": composition,
    "one-to-many": one_to_many,
    "ring": ring,
}
