"""Every entity is a candidate, and each query counts once."""

from __future__ import annotations

from torch import Tensor

from kg.embedding.losses import (
    grouped_binary,
    grouped_cross_entropy,
    one_vs_all_binary,
    one_vs_all_cross_entropy,
)
from kg.embedding.modes.base import MODES
from kg.embedding.modes.one_vs_all import OneVsAll, Queries


@MODES.register("kvsall")
class KVsAll(OneVsAll):
    """All entities are judged for each distinct query (h, r), however many answers it has; a batch is `batch` queries.

    The loss is "binary", each entity true or not with `label_smoothing` (what ConvE and TuckER were published with), or
    "softmax", against a target that is shared equally by the answers. Costs what 1vsall does.

    Source: Dettmers et al. 2018, "Convolutional 2D Knowledge Graph Embeddings", section 4; Ruffinelli et al. 2020.
    """

    losses = ("binary", "softmax")

    def from_product(self, left: Tensor, right: Tensor, batch: Queries, answers: Tensor) -> Tensor:
        if self.config.loss == "softmax":
            return one_vs_all_cross_entropy(
                left, right, batch.rows, batch.tails, 1 / answers.to(left.dtype), half=self.half
            )
        return one_vs_all_binary(left, right, batch.rows, batch.tails, self.config.label_smoothing, half=self.half)

    def from_scores(self, scores: Tensor, batch: Queries, answers: Tensor) -> Tensor:
        if self.config.loss == "softmax":
            return grouped_cross_entropy(scores, batch.rows, batch.tails, 1 / answers.to(scores.dtype))
        return grouped_binary(scores, batch.rows, batch.tails, self.config.label_smoothing)
