"""A few corrupted tails for each fact, weighted by how well they fool the scorer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from kg.embedding.config import FitConfig
from kg.embedding.contrast import margin_ranking, negative_softmax, self_adversarial
from kg.embedding.modes.base import MODES, Mode, occurring
from kg.embedding.negatives import NEGATIVES, KnownFacts
from kg.embedding.scorers import Scorer
from kg.embedding.states import States


class Corrupted(NamedTuple):
    """Facts (B, 3), corrupted tails (B, K), and which of them are true after all (B, K)."""

    facts: Tensor
    tails: Tensor
    is_known: Tensor


@MODES.register("negatives")
class NegativeSampling(Mode[Corrupted]):
    """`negatives` own corrupted tails for each fact; a batch is `batch` facts.

    The loss is "adversarial" (with self-adversarial weights, what RotatE was published with), "margin" (a hinge, what
    TransE and its kin were), or "softmax". A step touches the rows of its batch only, so its cost does not grow with
    the number of entities. Corruptions that are facts do not count.

    Source: Sun et al. 2019, "RotatE", section 3.3.
    """

    losses = ("adversarial", "margin", "softmax")

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
        asked = torch.cat([head, tail, batch.tails.flatten()])
        rows, relations = states.at(asked)
        heads, tails, corrupted = rows.split([len(head), len(tail), batch.tails.numel()])
        query = scorer.ask(heads, relations, relation)
        positive = scorer.match(query, tails)
        negative = scorer.match(query[:, None, :], corrupted.unflatten(0, batch.tails.shape))
        negative = negative.masked_fill(batch.is_known, -torch.inf)
        weights = self.sampler.weigh(batch.facts)
        config = self.config
        if config.loss == "margin":
            fit = margin_ranking(positive, negative, margin=config.margin, facts=weights)
        elif config.loss == "softmax":
            fit = negative_softmax(positive, negative, facts=weights)
        else:
            fit = self_adversarial(
                positive, negative, margin=config.margin, temperature=config.temperature, facts=weights
            )
        penalty = self.penalty(scorer, (heads, None), occurring(relations, relation), (tails, None))
        return (fit + penalty) / len(head)
