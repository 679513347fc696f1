"""Where the corrupted tails of negative sampling come from."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from kg.registry import Registry


class Negatives(ABC):
    """Draws corrupted tails. Heads are corrupted too: as tails of the inverse facts.

    Args:
        triples: (T, 3) facts with their inverses.
        num_entities: N.
    """

    def __init__(self, triples: Tensor, num_entities: int) -> None:
        self.num_entities = num_entities

    @abstractmethod
    def draw(self, facts: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """(B, 3) facts -> (B, count) entity ids."""


NEGATIVES: Registry[type[Negatives]] = Registry("negatives")


@NEGATIVES.register("uniform")
class Uniform(Negatives):
    """Every entity is equally likely."""

    def draw(self, facts: Tensor, count: int, generator: torch.Generator) -> Tensor:
        return torch.randint(self.num_entities, (len(facts), count), generator=generator)


@NEGATIVES.register("degree")
class Degree(Negatives):
    """Entities are drawn by how often they are a tail, to the power 3/4 (as in word2vec): hard but false more often."""

    def __init__(self, triples: Tensor, num_entities: int) -> None:
        super().__init__(triples, num_entities)
        self.weights = torch.bincount(triples[:, 2], minlength=num_entities).double().pow(0.75)
        self.cumulative = self.weights.cumsum(0) / self.weights.sum()

    def draw(self, facts: Tensor, count: int, generator: torch.Generator) -> Tensor:
        points = torch.rand(len(facts), count, generator=generator, dtype=torch.float64)
        return torch.searchsorted(self.cumulative, points).clamp_max(self.num_entities - 1)


class KnownFacts:
    """Tells which triples are facts, by binary search over sorted keys.

    >>> known = KnownFacts(torch.tensor([[0, 0, 1], [1, 0, 2]]), num_entities=3)
    >>> known.contains(torch.tensor([[0, 0, 0]]), torch.tensor([[1, 2]])).tolist()
    [[True, False]]
    """

    def __init__(self, triples: Tensor, num_entities: int) -> None:
        self.num_entities = num_entities
        self.num_relations = int(triples[:, 1].max()) + 1
        self.keys = torch.sort(self._key(triples, triples[:, 2])).values

    def _key(self, facts: Tensor, tails: Tensor) -> Tensor:
        return (facts[..., 0] * self.num_relations + facts[..., 1]) * self.num_entities + tails

    def contains(self, facts: Tensor, tails: Tensor) -> Tensor:
        """(B, 3) facts and (B, K) tails put in their place -> (B, K) truth."""
        keys = self._key(facts[:, None, :], tails)
        place = torch.searchsorted(self.keys, keys).clamp_max(len(self.keys) - 1)
        return self.keys[place] == keys
