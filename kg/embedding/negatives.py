"""Where the corrupted tails of negative sampling come from."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from kg.errors import InputError
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

    def chances(self) -> Tensor:
        """(N,) how likely each entity is, whatever the fact.

        Raises:
            InputError: where that depends on the fact.
        """
        name = NEGATIVES.name_of(type(self))
        raise InputError(f"sampler: {name} looks at each fact, a shared sample cannot; choose uniform or degree")

    def weigh(self, facts: Tensor) -> Tensor | None:
        """(B, 3) facts -> (B,) how much each counts in the loss; None where all count 1."""
        return None


NEGATIVES: Registry[type[Negatives]] = Registry("negatives")


@NEGATIVES.register("uniform")
class Uniform(Negatives):
    """Every entity is equally likely."""

    def draw(self, facts: Tensor, count: int, generator: torch.Generator) -> Tensor:
        return torch.randint(self.num_entities, (len(facts), count), generator=generator)

    def chances(self) -> Tensor:
        return torch.full((self.num_entities,), 1 / self.num_entities)


@NEGATIVES.register("degree")
class Degree(Negatives):
    """Entities are drawn by how often they are a tail, to the power 3/4 (as in word2vec): hard but false more often."""

    def __init__(self, triples: Tensor, num_entities: int) -> None:
        super().__init__(triples, num_entities)
        weights = torch.bincount(triples[:, 2], minlength=num_entities).double().pow(0.75)
        self.shares = weights / weights.sum()
        self.cumulative = self.shares.cumsum(0)

    def draw(self, facts: Tensor, count: int, generator: torch.Generator) -> Tensor:
        points = torch.rand(len(facts), count, generator=generator, dtype=torch.float64)
        return torch.searchsorted(self.cumulative, points).clamp_max(self.num_entities - 1)

    def chances(self) -> Tensor:
        return self.shares.float()


@NEGATIVES.register("bernoulli")
class Bernoulli(Negatives):
    """Uniform, but the side with few answers is corrupted more, for there a corruption is seldom true.

    A head is replaced with the probability tph / (tph + hpt), tph tails a head and hpt heads a tail of the relation.
    Here both sides are always corrupted, so the sides count by these probabilities instead (their mean is 1): the same
    in expectation, with less noise.

    Source: Wang et al. 2014, "Knowledge Graph Embedding by Translating on Hyperplanes", section 3.2.
    """

    def __init__(self, triples: Tensor, num_entities: int) -> None:
        super().__init__(triples, num_entities)
        num_relations = int(triples[:, 1].max()) + 1
        facts = torch.bincount(triples[:, 1], minlength=num_relations).double()
        heads = torch.unique(triples[:, 1] * num_entities + triples[:, 0]) // num_entities
        tails_per_head = facts / torch.bincount(heads, minlength=num_relations).clamp_min(1)
        inverse = (torch.arange(num_relations) + num_relations // 2) % num_relations
        share = tails_per_head[inverse] / (tails_per_head + tails_per_head[inverse]).clamp_min(1e-12)
        self.sides = (2 * share).float()

    def draw(self, facts: Tensor, count: int, generator: torch.Generator) -> Tensor:
        return torch.randint(self.num_entities, (len(facts), count), generator=generator)

    def weigh(self, facts: Tensor) -> Tensor:
        return self.sides.to(facts.device)[facts[:, 1]]


@NEGATIVES.register("typed")
class Typed(Negatives):
    """Entities that are a tail of the same relation in some fact: hard, and of the right type.

    A relation with one such entity takes any. Source: Krompass et al. 2015, "Type-Constrained Representation Learning
    in Knowledge Graphs", section 3.2 (local closed world).
    """

    def __init__(self, triples: Tensor, num_entities: int) -> None:
        super().__init__(triples, num_entities)
        pairs = torch.unique(triples[:, 1] * num_entities + triples[:, 2])
        self.tails = pairs % num_entities
        self.counts = torch.bincount(pairs // num_entities)
        self.starts = self.counts.cumsum(0) - self.counts

    def draw(self, facts: Tensor, count: int, generator: torch.Generator) -> Tensor:
        points = torch.rand(len(facts), count, generator=generator, dtype=torch.float64)
        counts = self.counts[facts[:, 1], None]
        typed = self.tails[self.starts[facts[:, 1], None] + (points * counts).long()]
        return torch.where(counts > 1, typed, (points * self.num_entities).long())


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
