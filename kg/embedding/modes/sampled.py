"""A softmax over the true answer and a sample of entities that the whole batch shares."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from kg.embedding.answers import AnswerIndex
from kg.embedding.config import FitConfig
from kg.embedding.losses import sampled_cross_entropy, sampled_scores_cross_entropy
from kg.embedding.modes.base import MODES, Mode, occurring
from kg.embedding.negatives import NEGATIVES
from kg.embedding.scorers import Scorer
from kg.embedding.states import States


class Shared(NamedTuple):
    """Facts (B, 3); candidates (K,), their log-Q offsets (K,); pairs (M,), (M,) of them that are true as well."""

    facts: Tensor
    candidates: Tensor
    offset: Tensor
    rows: Tensor
    columns: Tensor


@MODES.register("sampled")
class SampledSoftmax(Mode[Shared]):
    """Softmax over each fact's tail and `shared` entities drawn once for the whole batch; a batch is `batch` facts.

    A matrix product, so many negatives cost little, and only their rows are read and written: the cost of a step does
    not grow with the number of entities. Each drawn entity's score is lowered by the logarithm of how often it is
    expected in the sample (log-Q correction), so that the loss estimates that of the full softmax whatever the
    `sampler`; drawn entities that answer a fact's query do not count for it.

    Source: Jean et al. 2015, "On Using Very Large Target Vocabulary for Neural Machine Translation", section 3.
    """

    losses = ("softmax",)

    def __init__(self, triples: Tensor, num_entities: int, config: FitConfig) -> None:
        super().__init__(triples, num_entities, config)
        self.sampler = NEGATIVES[config.sampler](triples, num_entities)
        self.chances = self.sampler.chances()
        self.answers = AnswerIndex.build(triples[:, :2].numpy(), triples[:, 2].numpy())

    @property
    def steps(self) -> int:
        return -(-len(self.triples) // self.config.batch)

    def batches(self, generator: torch.Generator) -> Iterator[Shared]:
        place = torch.full((self.num_entities,), -1)
        for chosen in torch.randperm(len(self.triples), generator=generator).split(self.config.batch):
            facts = self.triples[chosen]
            drawn = self.sampler.draw(facts[:1], self.config.shared, generator)[0]
            candidates, counts = torch.unique(drawn, return_counts=True)
            expected = self.config.shared * self.chances[candidates]
            place[candidates] = torch.arange(len(candidates))
            rows, answers = map(torch.from_numpy, self.answers.pairs(facts[:, :2].numpy()))
            columns = place[answers]
            place[candidates] = -1
            found = columns >= 0
            yield Shared(facts, candidates, (counts / expected).log().float(), rows[found], columns[found])

    def loss(self, scorer: Scorer, states: States, batch: Shared) -> Tensor:
        head, relation, tail = batch.facts.unbind(1)
        parts = [len(head), len(tail), len(batch.candidates)]
        rows, relations = states.at(torch.cat([head, tail, batch.candidates]))
        heads, tails, candidates = rows.split(parts)
        query = scorer.ask(heads, relations, relation)
        own = scorer.match(query, tails)
        offset = batch.offset.to(own.dtype)
        product = scorer.as_product(query, candidates)
        if product is not None:
            fit = sampled_cross_entropy(*product, own, offset, batch.rows, batch.columns, half=self.half)
        else:
            scores = scorer.compare(query, candidates)
            fit = sampled_scores_cross_entropy(scores, own, offset, batch.rows, batch.columns)
        penalty = self.penalty(scorer, (heads, None), occurring(relations, relation), (tails, None))
        return (fit + penalty) / len(head)
