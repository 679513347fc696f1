"""Image-text matching."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from kept.data.batch import Batch
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
from kept.objectives.negatives import with_texts, wrong_texts

MISMATCH, MATCH = 0, 1


@OBJECTIVES.register("itm")
class ImageTextMatching(Objective):
    """L = -sum log p(match | picture, text), where half of the texts belong to another picture.

    A wrong text is, with probability `hard`, one of the `top_k` nearest by TF-IDF (see `hard_negatives`), otherwise
    any text of the corpus; never one with the same picture, the same words or a shared entity, and where no such
    text is found the pair stays a match. The text is clean and the knowledge off, so neither masks nor linked
    entities tell the answer. Baseline: the entropy of the share of matches.
    Source: Chen et al. 2020, UNITER, section 3.2; hard negatives after Lin et al. 2020, InterBERT.
    """

    needs = frozenset({"text", "pictures"})
    parts = ("itm",)

    def __init__(self, weight: float = 1.0, hard: float = 0.2, top_k: int = 30, sim_max: float = 0.5) -> None:
        super().__init__()
        self.weight, self.hard, self.top_k, self.sim_max = weight, hard, top_k, sim_max

    def prepare(self, batch: Batch, context: Context) -> View:
        rows = pictured(batch, context) if context.corpus is not None else torch.zeros(0, dtype=torch.int64)
        shown = batch.take(rows)
        labels = torch.ones(len(rows), dtype=torch.int64, device=rows.device)
        if len(rows):
            other = wrong_texts(shown, context, hard=self.hard, top_k=self.top_k, sim_max=self.sim_max, purpose="itm")
            wrong = (context.noise.uniform(shown.keys, 1, "itm/label").squeeze(1) < 0.5) & (other >= 0)
            shown = with_texts(shown, torch.where(wrong, other, shown.rows), context)
            labels = torch.where(wrong, MISMATCH, MATCH)
        summary = torch.zeros_like(shown.text.mask)
        summary[:, :1] = True
        return View(
            name=("match", self.hard, self.top_k, self.sim_max),
            batch=shown,
            targets={"match": labels},
            counts={"itm": len(rows)},
            knowledge=False,
            read=summary,
        )

    def loss(self, view: View, forward: Forward) -> Loss:
        count = view.counts["itm"]
        if count == 0:
            return {"itm": Term(nothing(forward.model), 0, self.weight, math.log(2))}
        labels = view.targets["match"]
        with full_precision():
            total = F.cross_entropy(forward.model.match(forward(view).summary).float(), labels, reduction="sum")
        share = float(labels.float().mean())
        baseline = -sum(p * math.log(p) for p in (share, 1 - share) if p > 0)
        return {"itm": Term(total, count, self.weight, baseline)}
