"""ComplEx: trilinear products of complex vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kg.embedding.scorers.base import SCORERS, DotScorer, halved


@SCORERS.register("complex")
class ComplEx(DotScorer):
    """ComplEx: f(h, r, t) = Re <h, r, conj(t)> over complex vectors.

    Expresses symmetric, antisymmetric and inverse relations, not composition. A state holds the real half, then the
    imaginary half, so `dim` counts real numbers and must be even. With N3 and the full softmax it is the strong and
    cheap default.

    Source: Trouillon et al. 2016, "Complex Embeddings for Simple Link Prediction", section 3; Lacroix et al. 2018.

        >>> scorer = ComplEx(num_entities=5, num_relations=2, dim=8)
        >>> scorer.score_tails(torch.tensor([0]), torch.tensor([1])).shape
        torch.Size([1, 5])
    """

    defaults: ClassVar[Mapping[str, Any]] = {"n3": 0.01}

    def __init__(self, num_entities: int, num_relations: int, dim: int = 200, **shared: Any) -> None:
        halved(dim, "real and imaginary parts")
        super().__init__(num_entities, num_relations, dim, **shared)

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        return self.rotated(head, relation)

    def moduli(self, states: Tensor) -> Tensor:
        return self.lengths(states)

    @staticmethod
    def rotated(head: Tensor, relation: Tensor) -> Tensor:
        """The product of complex numbers."""
        head_re, head_im = head.chunk(2, -1)
        relation_re, relation_im = relation.chunk(2, -1)
        real = head_re * relation_re - head_im * relation_im
        return torch.cat([real, head_re * relation_im + head_im * relation_re], -1)

    @staticmethod
    def lengths(states: Tensor) -> Tensor:
        """The absolute values of complex numbers, with a gradient at 0."""
        real, imaginary = states.chunk(2, -1)
        return torch.sqrt(real**2 + imaginary**2 + torch.finfo(states.dtype).tiny)
