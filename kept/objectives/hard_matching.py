"""Image-text matching against the pairs of the batch that the model itself finds hardest to tell."""

from __future__ import annotations

import math
from dataclasses import replace

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
from kept.objectives.collectives import gather, gather_fields, gather_padded
from kept.objectives.hard_pairs import hard_pairs
from kept.objectives.identity import NOTHING, content, same_content
from kept.objectives.matching import MATCH, MISMATCH


@OBJECTIVES.register("itm-hard")
class HardImageTextMatching(Objective):
    """L = -sum mean log p(match | picture, text) over each pair, its picture with a wrong text, and its text with a
    wrong picture, both drawn from the batch in proportion to the softmax of contrastive similarity.

    Similarities are those of the contrast heads, without gradient; train them by "itc" beside it. A record with the
    same picture, the same words or a shared entity is never drawn, and where none is left a pair stands alone. With
    several processes the pairs are drawn from all their records.
    Baseline: the entropy of the shares, 0.6365 nats where each pair has both negatives.
    Source: Li et al. 2021, ALBEF, section 3.2.
    """

    couples = "batch"
    needs = frozenset({"text", "pictures"})
    parts = ("itm-hard",)

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def prepare(self, batch: Batch, context: Context) -> View:
        rows = pictured(batch, context)
        shown = batch.take(rows)
        contents, keys = content(shown), gather(shown.keys[:, None]).squeeze(1)
        # By key, so that a draw does not depend on who holds which record.
        order = keys.argsort()
        forbidden = same_content(contents, gather_padded(contents, NOTHING)[order])
        draws = context.noise.uniform(shown.keys, 2, "itm-hard")
        return View(
            name="clean text",
            batch=shown,
            targets={"forbidden": forbidden, "order": order, "draws": draws},
            counts={"itm-hard": len(rows)},
            knowledge=False,
            pictures=False,
        )

    def loss(self, view: View, forward: Forward) -> Loss:
        count = view.counts["itm-hard"]
        heads, width = forward.model.contrast, forward.model.contrast.image.out_features
        with torch.no_grad():
            if count:
                image = heads.embed_image(forward.summary_of_pictures(view)).float()
                text = heads.embed_text(pool(forward(view).streams["text"])).float()
            else:
                image = text = torch.zeros(0, width, device=view.batch.keys.device)
            # Every process takes part, also one without pictures: the others wait for it.
            images, texts = gather(torch.cat([image, text], dim=1))[view.targets["order"]].chunk(2, dim=1)
            everyone = gather_fields(view.batch).take(view.targets["order"])
        if not count:
            return {"itm-hard": Term(nothing(forward.model), 0, self.weight, 0.0)}
        scale = heads.scale().detach().float()
        paired, labels, weights = pairs(view, everyone, scale * image @ texts.T, scale * text @ images.T)
        with full_precision():
            logits = forward.model.match(forward(paired).summary).float()
            total = (F.cross_entropy(logits, labels, reduction="none") * weights).sum()
        share = float((labels * weights).sum() / weights.sum())
        baseline = -sum(p * math.log(p) for p in (share, 1 - share) if p > 0)
        return {"itm-hard": Term(total, count, self.weight, baseline)}


def pairs(view: View, everyone: Batch, to_texts: Tensor, to_pictures: Tensor) -> tuple[View, Tensor, Tensor]:
    """The pairs to tell apart, as a view of their own, which of them match, and their weights.

    Args:
        everyone: the C candidates.
        to_texts, to_pictures: (B, C) similarities of the view's pictures to their texts, and of its texts to their
            pictures.
    """
    forbidden, draws = view.targets["forbidden"], view.targets["draws"]
    wrong_text = hard_pairs(to_texts, forbidden, draws[:, 0])
    wrong_picture = hard_pairs(to_pictures, forbidden, draws[:, 1])
    key = {int(value): place for place, value in enumerate(everyone.keys)}
    own = torch.tensor([key[int(value)] for value in view.batch.keys], device=draws.device)
    read = everyone.take(torch.cat([own, wrong_text[wrong_text >= 0], own[wrong_picture >= 0]]))
    shown = everyone.take(torch.cat([own, own[wrong_text >= 0], wrong_picture[wrong_picture >= 0]]))
    summary = torch.zeros_like(read.text.mask)
    summary[:, :1] = True
    pair = replace(read, image=shown.image, regions=shown.regions, identity=shown.identity)
    labels = torch.where(torch.arange(len(pair), device=own.device) < len(own), MATCH, MISMATCH)
    has = torch.stack([wrong_text >= 0, wrong_picture >= 0])
    share = 1 / (1 + has.sum(0).float())
    weights = torch.cat([share, share[has[0]], share[has[1]]])
    return replace(view, name="hard pairs", batch=pair, pictures=True, read=summary), labels, weights
