"""The other tails of a batch, and those of the last batches, as negatives."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from kg.embedding.answers import AnswerIndex
from kg.embedding.config import FitConfig
from kg.embedding.modes.base import MODES, Mode, occurring
from kg.embedding.scorers import Scorer
from kg.embedding.states import States
from kg.errors import InputError


class Pairs(NamedTuple):
    """Facts (B, 3); tails of the last batches (P,); pairs (M,), (M,) of a fact and a candidate that is true as well.

    Candidates are the tails of the batch, then those of the last batches, then each fact's own head.
    """

    facts: Tensor
    earlier: Tensor
    rows: Tensor
    columns: Tensor


@MODES.register("in-batch")
class InBatch(Mode[Pairs]):
    """InfoNCE over what a batch holds: its other tails, those of the `earlier` batches before it, and each own head.

        L = -log  exp((cos(q, t) - margin) / tau) / (exp((cos(q, t) - margin) / tau) + sum_n exp(cos(q, n) / tau))

    Candidates cost no drawing and, where vectors come from texts or pictures, no more encoding; tails of earlier
    batches are encoded as the model is now. `temperature` is tau, `margin` the additive margin; small values suit both
    (0.05 and 0.02). Facts that are true are no negatives. Scores must be products.

    Source: Wang et al. 2022, "SimKGC: Simple Contrastive Knowledge Graph Completion with Pre-trained Language Models",
    section 3.
    """

    losses = ("softmax",)

    def __init__(self, triples: Tensor, num_entities: int, config: FitConfig) -> None:
        super().__init__(triples, num_entities, config)
        self.answers = AnswerIndex.build(triples[:, :2].numpy(), triples[:, 2].numpy())

    @property
    def steps(self) -> int:
        return -(-len(self.triples) // self.config.batch)

    def batches(self, generator: torch.Generator) -> Iterator[Pairs]:
        before: deque[Tensor] = deque(maxlen=max(1, self.config.earlier))
        for chosen in torch.randperm(len(self.triples), generator=generator).split(self.config.batch):
            facts = self.triples[chosen]
            earlier = torch.cat(list(before)) if before and self.config.earlier else facts[:0, 2]
            yield Pairs(facts, earlier, *self.true_pairs(facts, torch.cat([facts[:, 2], earlier])))
            before.append(facts[:, 2])

    def true_pairs(self, facts: Tensor, candidates: Tensor) -> tuple[Tensor, Tensor]:
        """(fact, candidate) positions of candidates that answer a fact's query, other than its own tail in its place;
        a fact's own head is one where it is an answer."""
        distinct, place = torch.unique(candidates, return_inverse=True)
        rows, answers = map(torch.from_numpy, self.answers.pairs(facts[:, :2].numpy()))
        at = torch.searchsorted(distinct, answers).clamp_max(len(distinct) - 1)
        hit = distinct[at] == answers
        rows_hit, at = rows[hit], at[hit]
        order = torch.argsort(place, stable=True)
        counts = torch.bincount(place, minlength=len(distinct))
        ends = counts.cumsum(0)
        times = counts[at]
        many = torch.repeat_interleave(torch.arange(len(at)), times)
        within = torch.arange(len(many)) - (times.cumsum(0) - times)[many]
        pairs = rows_hit[many], order[(ends - counts)[at][many] + within]
        others = pairs[0] != pairs[1]
        own_head = facts[rows, 0] == answers
        heads = rows[own_head]
        return (
            torch.cat([pairs[0][others], heads]),
            torch.cat([pairs[1][others], len(candidates) + torch.zeros_like(heads)]),
        )

    def loss(self, scorer: Scorer, states: States, batch: Pairs) -> Tensor:
        head, relation, tail = batch.facts.unbind(1)
        rows, relations = states.at(torch.cat([head, tail, batch.earlier]))
        heads, tails, earlier = rows.split([len(head), len(tail), len(batch.earlier)])
        query = scorer.ask(heads, relations, relation)
        left, right = unit_factors(scorer, query, torch.cat([tails, earlier, heads]))
        others, own_heads = right.split([len(tails) + len(earlier), len(heads)])
        scores = torch.cat([left @ others.T, (left * own_heads).sum(1, keepdim=True)], 1)
        own = torch.arange(len(head), device=scores.device)
        scores = scores.index_put((own, own), scores.new_tensor(-self.config.margin), accumulate=True)
        excluded = torch.zeros_like(scores, dtype=torch.bool)
        excluded[batch.rows, batch.columns] = True
        logits = (scores / self.config.temperature).masked_fill(excluded, -torch.inf)
        fit = functional.cross_entropy(logits, own, reduction="sum")
        penalty = self.penalty(scorer, (heads, None), occurring(relations, relation), (tails, None))
        return (fit + penalty) / len(head)


def unit_factors(scorer: Scorer, query: Tensor, entities: Tensor) -> tuple[Tensor, Tensor]:
    """The factors of scores, each brought to length 1: their product is a cosine.

    Raises:
        InputError: where scores are no product.
    """
    factors = scorer.as_product(query, entities)
    if factors is None:
        raise InputError(f"mode: in-batch needs scores that are products; those of {type(scorer).__name__} are not")
    left, right = factors
    return functional.normalize(left, dim=1), functional.normalize(right, dim=1)
