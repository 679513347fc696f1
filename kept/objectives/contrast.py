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
from kept.objectives.sigmoid import siglip_loss


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


class Contrast(Objective):
    """What contrasts share: clean texts alone, pictures alone, and nobody's own kind as a negative.

    Reads the mean state of the unmasked text, through the stack without pictures or knowledge, and the picture tower's
    own summary. Records with the same picture, the same words or a shared entity are never each other's negatives.
    With several processes vectors and contents are gathered, the vectors with their gradient, so that the processes
    together equal one.
    """

    couples = "batch"
    needs = frozenset({"text", "pictures"})

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
            counts={self.parts[0]: len(rows)},
            knowledge=False,
            pictures=False,
        )

    def vectors(self, view: View, forward: Forward) -> tuple[Tensor, Tensor]:
        """(B, d) unit vectors of the pictures and of the texts."""
        heads = forward.model.contrast
        if not view.counts[self.parts[0]]:
            # A process without pictures takes part all the same: the others wait for its rows and for its gradient.
            none = heads.image.weight.new_zeros(0, heads.image.out_features) + nothing(forward.model)
            return none, none
        image = heads.embed_image(forward.summary_of_pictures(view)).float()
        return image, heads.embed_text(pool(forward(view).streams["text"])).float()

    def loss(self, view: View, forward: Forward) -> Loss:
        image, text = self.vectors(view, forward)
        images, texts = gather(torch.cat([image, text], dim=1)).chunk(2, dim=1)
        same = same_content(view.targets["content"], gather_padded(view.targets["content"], NOTHING))
        part = self.parts[0]
        if not len(images):
            return {part: Term(nothing(forward.model), 0, self.weight)}
        with full_precision():
            return {part: self.compared(image, text, images, texts, same, forward)}

    def compared(
        self, image: Tensor, text: Tensor, images: Tensor, texts: Tensor, same: Tensor, forward: Forward
    ) -> Term:
        raise NotImplementedError


@OBJECTIVES.register("itc")
class ImageTextContrast(Contrast):
    """Pictures and their texts attract, all others of the batch repel (see `contrast_loss`).

    What is read, and what counts as a negative, is told at `Contrast`. Baseline: log of the number of pictures; floor:
    the mean entropy of the targets.
    """

    parts = ("itc",)

    def compared(
        self, image: Tensor, text: Tensor, images: Tensor, texts: Tensor, same: Tensor, forward: Forward
    ) -> Term:
        total = contrast_loss(image, text, images, texts, same, forward.model.contrast.scale().float())
        floor = float(same.sum(1).float().log().mean()) if len(image) else 0.0
        return Term(total, len(image), self.weight, math.log(len(images)), floor)


@OBJECTIVES.register("itc-sigmoid")
class SigmoidContrast(Contrast):
    """Each pair of a picture and a text is asked by itself whether they belong together (see `siglip_loss`).

    What is read, and what counts as a negative, is told at `Contrast`; pairs with the same content are positives. The
    bias is learned and starts at -10. Baseline: the number of texts times the entropy of the share of positives.
    Source: Zhai et al. 2023, SigLIP, section 3.2.
    """

    parts = ("itc-sigmoid",)

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.bias = torch.nn.Parameter(torch.tensor(-10.0))

    def compared(
        self, image: Tensor, text: Tensor, images: Tensor, texts: Tensor, same: Tensor, forward: Forward
    ) -> Term:
        total = siglip_loss(image, texts, same, forward.model.contrast.scale().float(), self.bias)
        share = float(same.float().mean()) if same.numel() else 1.0
        entropy = -sum(p * math.log(p) for p in (share, 1 - share) if p > 0)
        return Term(total, len(image), self.weight, len(texts) * entropy)
