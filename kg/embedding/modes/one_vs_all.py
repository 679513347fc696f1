"""Every entity is a candidate: the exact softmax, equal queries grouped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from kg.embedding.config import FitConfig
from kg.embedding.losses import grouped_cross_entropy, one_vs_all_cross_entropy
from kg.embedding.modes.base import MODES, Mode, occurring
from kg.embedding.scorers import Scorer
from kg.embedding.states import States


class Queries(NamedTuple):
    """Distinct queries (B,), (B,) and their true answers: `tails[i]` answers query `rows[i]`, (P,), (P,)."""

    heads: Tensor
    relations: Tensor
    rows: Tensor
    tails: Tensor


@MODES.register("1vsall")
class OneVsAll(Mode[Queries]):
    """Full softmax over all entities for each distinct query (h, r); a batch is `batch` queries.

    Exactly the plain 1-vs-all objective, at the cost of the distinct queries only. Costs 6 B N d operations a step for
    a scorer that is a product.
    """

    asks = False
    losses: ClassVar[tuple[str, ...]] = ("softmax",)

    def __init__(self, triples: Tensor, num_entities: int, config: FitConfig) -> None:
        super().__init__(triples, num_entities, config)
        num_relations = int(triples[:, 1].max()) + 1
        keys, order = torch.sort(triples[:, 0] * num_relations + triples[:, 1], stable=True)
        distinct, counts = torch.unique_consecutive(keys, return_counts=True)
        self.heads, self.relations = distinct // num_relations, distinct % num_relations
        self.tails = triples[order, 2]
        self.counts = counts
        self.starts = counts.cumsum(0) - counts

    @property
    def steps(self) -> int:
        return -(-len(self.heads) // self.config.batch)

    def batches(self, generator: torch.Generator) -> Iterator[Queries]:
        order = torch.randperm(len(self.heads), generator=generator)
        for chosen in order.split(self.config.batch):
            counts = self.counts[chosen]
            rows = torch.repeat_interleave(counts)
            ends = counts.cumsum(0)
            within = torch.arange(len(rows)) - (ends - counts)[rows]
            tails = self.tails[self.starts[chosen][rows] + within]
            yield Queries(self.heads[chosen], self.relations[chosen], rows, tails)

    def size(self, batch: Queries) -> int:
        return len(batch.tails)

    def loss(self, scorer: Scorer, states: States, batch: Queries) -> Tensor:
        # One gather of heads and tails together: each gather costs a pass over the whole table in the backward.
        gathered = states.entities[torch.cat([batch.heads, batch.tails])]
        heads, tails = gathered.split([len(batch.heads), len(batch.tails)])
        query = scorer.ask(heads, states.relations, batch.relations)
        answers = torch.bincount(batch.rows, minlength=len(batch.heads))
        product = scorer.as_product(query, states.entities)
        if product is not None:
            fit = self.from_product(*product, batch, answers)
        else:
            fit = self.from_scores(scorer.compare(query, states.entities), batch, answers)
        relations = occurring(states.relations, batch.relations[batch.rows])
        return (fit + self.penalty(scorer, (heads, answers), relations, (tails, None))) / len(batch.tails)

    def from_product(self, left: Tensor, right: Tensor, batch: Queries, answers: Tensor) -> Tensor:
        """The loss of a batch, summed over its facts, from the factors of its scores."""
        return one_vs_all_cross_entropy(left, right, batch.rows, batch.tails, half=self.half)

    def from_scores(self, scores: Tensor, batch: Queries, answers: Tensor) -> Tensor:
        """The same from the scores (B, N)."""
        return grouped_cross_entropy(scores, batch.rows, batch.tails)
