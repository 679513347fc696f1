"""Image-text contrast."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from kept.data.batch import Batch
from kept.modeling.streams import pool
from kept.objectives.base import OBJECTIVES, Context, Forward, Loss, Objective, Term, View, full_precision, nothing
from kept.objectives.identity import same_content


def contrast_loss(image: Tensor, text: Tensor, same: Tensor, scale: Tensor) -> Tensor:
    """Sum over pairs of half the cross-entropies image to text and text to image.

        L = 1/2 sum_i [ CE(s x_i Y^T, q_i) + CE(s y_i X^T, q_i) ]

    Args:
        image, text: (B, d) unit vectors, row i of one belongs to row i of the other.
        same: (B, B) bool, True where two rows show or say the same: q_i is uniform over them, none is a negative.
        scale: s, the inverse temperature.

    Source: Radford et al. 2021, CLIP, figure 3; several positives as in Li et al. 2023, BLIP-2 (its image ids).
    """
    targets = same.to(image.dtype)
    targets = targets / targets.sum(1, keepdim=True)
    logits = scale * image @ text.T
    return (F.cross_entropy(logits, targets, reduction="sum") + F.cross_entropy(logits.T, targets, reduction="sum")) / 2


@OBJECTIVES.register("itc")
class ImageTextContrast(Objective):
    """Pictures and their texts attract, all others of the batch repel (see `contrast_loss`).

    Reads the mean state of the unmasked text, through the stack without pictures or knowledge, and the picture tower's
    own summary. Records
    with the same picture, the same words or a shared entity are never each other's negatives. With several processes
    the vectors are gathered with their gradient, so that ranks together equal one process.
    Baseline: log of the number of pictures; floor: the mean entropy of the targets.
    """

    couples = "batch"
    needs = frozenset({"text", "image"})
    parts = ("itc",)

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def prepare(self, batch: Batch, context: Context) -> View:
        rows = _with_pictures(batch)
        shown = batch.take(rows)
        return View(
            name="clean text",
            batch=shown,
            targets={"same": same_content(shown)},
            counts={"itc": len(rows)},
            knowledge=False,
            pictures=False,
        )

    def loss(self, view: View, forward: Forward) -> Loss:
        count = view.counts["itc"]
        if count == 0:
            return {"itc": Term(nothing(forward.model), 0, self.weight)}
        heads = forward.model.contrast
        image = heads.embed_image(forward.summary_of_pictures(view))
        text = heads.embed_text(pool(forward(view).streams["text"]))
        with full_precision():
            total = contrast_loss(image.float(), text.float(), view.targets["same"], heads.scale())
        entropy = float(view.targets["same"].sum(1).float().log().mean())
        return {"itc": Term(total, count, self.weight, math.log(count), entropy)}


def _with_pictures(batch: Batch) -> Tensor:
    if batch.image is None:
        return torch.zeros(0, dtype=torch.int64, device=batch.keys.device)
    return batch.image.mask.nonzero().squeeze(1)
