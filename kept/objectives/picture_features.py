"""What a text says its picture looks like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from kept.data.batch import Batch
from kept.modeling.heads import THUMBNAIL
from kept.objectives.base import (
    OBJECTIVES,
    Context,
    Forward,
    Loss,
    Objective,
    Term,
    View,
    full_precision,
    nothing,
    pictured,
    with_words,
)


@OBJECTIVES.register("picture-features")
class PictureFeatures(Objective):
    """L = sum |g^(text) - g|^2 / F: the text alone tells the mean feature of its picture's regions.

    For a model that reads no regions g is the picture at 4 x 4 pixels. Knowledge is shown as the recipe has it; the
    picture is not. Baseline: the variance of g over the batch.
    Source: Xia et al. 2021, XGPT, section 3.2 (text-conditioned image feature generation).
    """

    needs = frozenset({"text", "pictures"})
    parts = ("picture-features",)

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def heads(self) -> Mapping[str, Mapping[str, Any]]:
        return {"picture": {}}

    def prepare(self, batch: Batch, context: Context) -> View:
        rows = pictured(batch, context)
        rows = rows[with_words(batch)[rows]]
        shown = batch.take(rows)
        summary = torch.zeros_like(shown.text.mask)
        summary[:, :1] = True
        return View(
            name="told",
            batch=shown,
            targets={"feature": mean_feature(shown, context)},
            counts={"picture-features": len(rows)},
            pictures=False,
            read=summary,
        )

    def loss(self, view: View, forward: Forward) -> Loss:
        count, gold = view.counts["picture-features"], view.targets["feature"]
        if not count:
            return {"picture-features": Term(nothing(forward.model), 0, self.weight, 0.0)}
        with full_precision():
            found = forward.model.heads["picture"](forward(view).summary.float())
            total = (found - gold).square().mean(-1).sum()
        baseline = float(gold.var(0, unbiased=False).mean())
        return {"picture-features": Term(total, count, self.weight, baseline)}


def mean_feature(batch: Batch, context: Context) -> Tensor:
    """(B, F): the mean of a picture's region features, or its pixels at 4 x 4."""
    regions = batch.regions
    if regions is not None and "regions" in context.reads:
        weight = regions.mask[..., None].to(regions.features.dtype)
        return (regions.features * weight).sum(1) / weight.sum(1).clamp(min=1.0)
    if batch.image is None or batch.image.pixels is None:
        return torch.zeros(len(batch), 3 * THUMBNAIL**2, device=batch.keys.device)
    return adaptive_avg_pool2d(batch.image.pixels, THUMBNAIL).flatten(1)
