"""Image-text contrast."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from kept.data.batch import Batch
from kept.modeling.streams import pool
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
)
from kept.objectives.collectives import gather, gather_padded
from kept.objectives.identity import NOTHING, content, same_content


def contrast_loss(image: Tensor, text: Tensor, images: Tensor, texts: Tensor, same: Tensor, scale: Tensor) -> Tensor:
    """Sum over pairs of half the cross-entropies image to text and text to image.

        L = 1/2 sum_i [ CE(s x_i Y^T, q_i) + CE(s y_i X^T, q_i) ]

    Args:
        image, text: (B, d) unit vectors x and y, row i of one belongs to row i of the other.
        images, texts: (C, d) X and Y, which each is compared with: the same rows, or those of all processes.
        same: (B, C) bool, True where two records show or say the same: q_i is uniform over them, none is a negative.
        scale: s, the inverse temperature.

    Source: Radford et al. 2021, CLIP, figure 3; several positives as in Li et al. 2023, BLIP-2 (its image ids).
    """
    targets = same.to(image.dtype)
    targets = targets / targets.sum(1, keepdim=True)
    to_text = F.cross_entropy(scale * image @ texts.T, targets, reduction="sum")
    to_image = F.cross_entropy(scale * text @ images.T, targets, reduction="sum")
    return (to_text + to_image) / 2


@OBJECTIVES.register("itc")
class ImageTextContrast(Objective):
    """Pictures and their texts attract, all others of the batch repel (see `contrast_loss`).

    Reads the mean state of the unmasked text, through the stack without pictures or knowledge, and the picture tower's
    own summary. Records with the same picture, the same words or a shared entity are never each other's negatives.
    With several processes vectors and contents are gathered, the vectors with their gradient, so that the processes
    together equal one. Baseline: log of the number of pictures; floor: the mean entropy of the targets.
    """

    couples = "batch"
    needs = frozenset({"text", "pictures"})
    parts = ("itc",)

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def prepare(self, batch: Batch, context: Context) -> View:
        rows = pictured(batch, context)
        shown = batch.take(rows)
        return View(
            name="clean text",
            batch=shown,
            targets={"content": content(shown)},
            counts={"itc": len(rows)},
            knowledge=False,
            pictures=False,
        )

    def loss(self, view: View, forward: Forward) -> Loss:
        count = view.counts["itc"]
        heads = forward.model.contrast
        if count:
            image = heads.embed_image(forward.summary_of_pictures(view)).float()
            text = heads.embed_text(pool(forward(view).streams["text"])).float()
        else:
            image = text = heads.image.weight.new_zeros(0, heads.image.out_features) + nothing(forward.model)
        # A process without pictures takes part all the same: the others wait for its rows and for its gradient.
        images, texts = gather(torch.cat([image, text], dim=1)).chunk(2, dim=1)
        same = same_content(view.targets["content"], gather_padded(view.targets["content"], NOTHING))
        with full_precision():
            total = contrast_loss(image, text, images, texts, same, heads.scale().float())
        if not len(images):
            return {"itc": Term(nothing(forward.model), 0, self.weight)}
        floor = float(same.sum(1).float().log().mean()) if count else 0.0
        return {"itc": Term(total, count, self.weight, math.log(len(images)), floor)}
