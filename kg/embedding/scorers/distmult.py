"""DistMult: a diagonal bilinear form for each relation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor

from kg.embedding.scorers.base import SCORERS, DotScorer


@SCORERS.register("distmult")
class DistMult(DotScorer):
    """DistMult: f(h, r, t) = <h, r, t>, a trilinear product.

    Expresses symmetric relations only: f(h, r, t) = f(t, r, h).

    Source: Yang et al. 2015, "Embedding Entities and Relations for Learning and Inference in Knowledge Bases".

        >>> import torch
        >>> scorer = DistMult(num_entities=5, num_relations=2, dim=8)
        >>> scorer.score_tails(torch.tensor([0]), torch.tensor([1])).shape
        torch.Size([1, 5])
    """

    defaults: ClassVar[Mapping[str, Any]] = {"n3": 0.01}

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        return head * relation
