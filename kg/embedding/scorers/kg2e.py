"""KG2E: entities and relations are Gaussians."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kg.embedding.distances import pairwise
from kg.embedding.scorers.base import SCORERS, Scorer, halved
from kg.embedding.scorers.transe import TRANSLATION_DEFAULTS
from kg.errors import InputError, nearest

SIMILARITIES = ("kl", "el")


@SCORERS.register("kg2e")
class KG2E(Scorer):
    """KG2E: f(h, r, t) compares the Gaussian of h - t, N(m_h - m_t, S_h + S_t), with that of r, N(m_r, S_r).

        kl:  -KL(h - t || r)
        el:  log of the expected likelihood, the density at 0 of N(m_h - m_t - m_r, S_h + S_t + S_r), without (2 pi)

    A state holds means, then logarithms of the diagonal variances, so `dim` counts both and must be even. Expresses
    what TransE does, with a width for one-to-many relations. Candidates are compared pair by pair: train it with
    negatives where there are many entities.

    Args:
        similarity: kl or el.

    Source: He et al. 2015, "Learning to Represent Knowledge Graphs with Gaussian Embedding", section 3.

        >>> scorer = KG2E(num_entities=5, num_relations=2, dim=8)
        >>> scorer.score_tails(torch.tensor([0]), torch.tensor([1])).shape
        torch.Size([1, 5])
    """

    defaults: ClassVar[Mapping[str, Any]] = TRANSLATION_DEFAULTS

    def __init__(
        self, num_entities: int, num_relations: int, dim: int = 200, *, similarity: str = "kl", **shared: Any
    ) -> None:
        halved(dim, "means and variances")
        if similarity not in SIMILARITIES:
            raise InputError(
                f"scorer_options.similarity: nothing is called {similarity!r}; {nearest(similarity, SIMILARITIES)}"
            )
        super().__init__(num_entities, num_relations, dim, **shared)
        self.similarity = similarity

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        """The mean of h - r, the variances of h and of r."""
        mean, log_variance = head.chunk(2, -1)
        relation_mean, relation_log_variance = relation.chunk(2, -1)
        return torch.cat([mean - relation_mean, log_variance.exp(), relation_log_variance.exp()], -1)

    def match(self, query: Tensor, tail: Tensor) -> Tensor:
        mean, head_variance, relation_variance = query.chunk(3, -1)
        tail_mean, log_variance = tail.chunk(2, -1)
        squared, variance = (mean - tail_mean) ** 2, head_variance + log_variance.exp()
        if self.similarity == "el":
            total = variance + relation_variance
            return -(squared / total + total.log()).sum(-1) / 2
        ratio = variance / relation_variance
        return -(ratio + squared / relation_variance - ratio.log() - 1).sum(-1) / 2

    def compare(self, query: Tensor, entities: Tensor) -> Tensor:
        return pairwise(self.match, query, entities, self.entity_width)
