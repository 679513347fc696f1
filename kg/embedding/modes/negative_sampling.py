"""A few corrupted tails for each fact, weighted by how well they fool the scorer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from kg.embedding.config import FitConfig
from kg.embedding.losses import self_adversarial
from kg.embedding.modes.base import MODES, Mode
from kg.embedding.negatives import NEGATIVES, KnownFacts
from kg.embedding.optim import gather
from kg.embedding.scorers import Scorer
from kg.embedding.states import States


class Corrupted(NamedTuple):
    """Facts (B, 3), corrupted tails (B, K), and which of them are true after all (B, K)."""

    facts: Tensor
    tails: Tensor
    is_known: Tensor


@MODES.register("negatives")
class NegativeSampling(Mode[Corrupted]):
    """`negatives` own corrupted tails for each fact, with self-adversarial weights; a batch is `batch` facts.

    What RotatE and TransE were published with. A step touches the rows of its batch only, so its cost does not grow
    with the number of entities. Corruptions that are facts do not count.

    Source: Sun et al. 2019, "RotatE", section 3.3.
    """

    def __init__(self, triples: Tensor, num_entities: int, config: FitConfig) -> None:
        super().__init__(triples, num_entities, config)
        self.sampler = NEGATIVES[config.sampler](triples, num_entities)
        self.known = KnownFacts(triples, num_entities)

    @property
    def steps(self) -> int:
        return -(-len(self.triples) // self.config.batch)

    def batches(self, generator: torch.Generator) -> Iterator[Corrupted]:
        for chosen in torch.randperm(len(self.triples), generator=generator).split(self.config.batch):
            facts = self.triples[chosen]
            tails = self.sampler.draw(facts, self.config.negatives, generator)
            yield Corrupted(facts, tails, self.known.contains(facts, tails))

    def loss(self, scorer: Scorer, states: States, batch: Corrupted) -> Tensor:
        head, relation, tail = batch.facts.unbind(1)
        heads, tails = gather(states.entities, torch.cat([head, tail])).chunk(2)
        relations = states.relations[relation]
        query = scorer.dropout(scorer.query(heads, relations))
        positive = scorer.match(query, tails)
        negative = scorer.match(query[:, None, :], gather(states.entities, batch.tails))
        negative = negative.masked_fill(batch.is_known, -torch.inf)
        fit = self_adversarial(positive, negative, margin=self.config.margin, temperature=self.config.temperature)
        return (fit + self.penalty(scorer, heads, relations, tails)) / len(head)
