"""Objects of a picture as a set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from kept.data.batch import IGNORE, Batch
from kept.data.boxes import to_centers
from kept.objectives.assignment import set_loss_terms
from kept.objectives.base import OBJECTIVES, Context, Forward, Loss, Objective, Term, View, nothing
from kept.objectives.generation import blank


@OBJECTIVES.register("detection")
class ObjectDetection(Objective):
    """Every candidate answers for one object or for none: class, box and attribute, after the best assignment.

    Terms, each summed over all decoder layers, which are matched anew: "detection-class" (weighted cross-entropy, no
    object at weight `no_object`, over the sum of weights), "detection-box" (5 L1 + 2 (1 - GIoU), over the number of
    objects) and "detection-attributes" (-log p of an object's first attribute, over those that have one). Objects are
    the regions that have a class, at most `queries` of a picture. The picture is read alone, without text, knowledge or
    regions. No baselines: the assignment leaves no closed form for a constant.

    Args:
        queries, layers, of: of the head, `kept.modeling.heads.DetectionHead`.
        no_object: the weight of candidates that answer for nothing.

    Source: Carion et al. 2020, DETR, section 3.1; attributes: Xu et al. 2021, E2E-VLP, section 3.3.
    """

    needs = frozenset({"image", "image-regions"})
    parts = ("detection-class", "detection-box", "detection-attributes")

    def __init__(
        self,
        weight: float = 1.0,
        queries: int = 20,
        layers: int = 2,
        no_object: float = 0.1,
        of: Literal["queries", "patches"] = "queries",
    ) -> None:
        super().__init__()
        self.weight, self.queries, self.layers, self.no_object, self.of = weight, queries, layers, no_object, of

    def heads(self) -> Mapping[str, Mapping[str, Any]]:
        return {"detection": {"queries": self.queries, "layers": self.layers, "of": self.of}}

    def prepare(self, batch: Batch, context: Context) -> View:
        if batch.image is None or batch.regions is None:
            rows = torch.zeros(0, dtype=torch.int64, device=batch.keys.device)
        else:
            rows = (batch.image.mask & batch.regions.mask.any(1)).nonzero().squeeze(1)
        shown = batch.take(rows)
        targets = objects_of(shown, self.queries)
        matched = int((targets["label"] != IGNORE).sum())
        counts = {
            # Queries in units of the least weight.
            "detection-class": round(matched / self.no_object) + len(rows) * self.queries - matched,
            "detection-box": matched,
            "detection-attributes": int((targets["attribute"] != IGNORE).sum()),
        }
        return View(
            name="detected",
            batch=replace(shown, regions=None, text=blank(shown.text, context)),
            targets=targets,
            counts=counts,
            knowledge=False,
        )

    def loss(self, view: View, forward: Forward) -> Loss:
        sums = dict.fromkeys(self.parts, nothing(forward.model))
        if view.counts["detection-class"]:
            label, boxes, attribute = (view.targets[name] for name in ("label", "boxes", "attribute"))
            there = label != IGNORE
            gold = [[row[real] for row, real in zip(each, there, strict=True)] for each in (label, boxes, attribute)]
            for logits, box, attribute_logits in forward.model.heads["detection"](forward(view).streams, ("image",)):
                terms = set_loss_terms(
                    logits,
                    box,
                    gold[0],
                    gold[1],
                    attribute_logits=attribute_logits,
                    attributes=gold[2],
                    no_object=self.no_object,
                )
                sums["detection-class"] = sums["detection-class"] + terms.class_sum / self.no_object
                sums["detection-box"] = sums["detection-box"] + 5 * terms.l1_sum + 2 * terms.giou_sum
                sums["detection-attributes"] = sums["detection-attributes"] + terms.attribute_sum
        return {name: Term(total, view.counts[name], self.weight) for name, total in sums.items()}


def objects_of(batch: Batch, most: int) -> dict[str, Tensor]:
    """(B, R) classes, (B, R, 4) boxes as centre and size, (B, R) first attributes of the first `most` objects."""
    regions = batch.regions
    if regions is None:
        nothing_there = torch.full((len(batch), 0), IGNORE, device=batch.keys.device)
        return {"label": nothing_there, "attribute": nothing_there, "boxes": torch.zeros(len(batch), 0, 4)}
    known = regions.mask & (regions.label != IGNORE)
    known &= known.cumsum(1) <= most
    attribute = regions.attributes[..., 0] if regions.attributes.shape[-1] else torch.full_like(regions.label, IGNORE)
    return {
        "label": torch.where(known, regions.label, IGNORE),
        "attribute": torch.where(known, attribute, IGNORE),
        "boxes": to_centers(regions.boxes),
    }
