"""HolE: circular correlation of head and tail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from kg.embedding.scorers.base import SCORERS, DotScorer


@SCORERS.register("hole")
class HolE(DotScorer):
    """HolE: f(h, r, t) = <r, h * t>, (h * t)_k = sum_i h_i t_(i+k), the circular correlation.

    Expresses symmetric, antisymmetric and inverse relations: it is ComplEx seen through a Fourier transform (Hayashi &
    Shimbo 2017). The query is the circular convolution of h and r, so all candidates cost one product.

    Source: Nickel et al. 2016, "Holographic Embeddings of Knowledge Graphs", section 3.

        >>> scorer = HolE(num_entities=5, num_relations=2, dim=8)
        >>> scorer.score_tails(torch.tensor([0]), torch.tensor([1])).shape
        torch.Size([1, 5])
    """

    defaults: ClassVar[Mapping[str, Any]] = {"n3": 0.003}

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        return torch.fft.irfft(torch.fft.rfft(head) * torch.fft.rfft(relation), n=self.entity_width)
