"""A whole modality masked: the other one has to tell all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from kept.data.batch import IGNORE, Batch
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
from kept.objectives.masking import hide_text_mentions
from kept.objectives.terms import class_term, text_term


@OBJECTIVES.register("modality")
class ModalityMasking(Objective):
    """Of each pair the text or the picture is masked as a whole, and predicted from the other.

    With probability `text` every piece becomes [MASK] and is predicted ("modality", baseline log V); otherwise the
    picture is hidden: of regions each class is predicted ("modality-regions", baseline the entropy of the classes), of
    pixels each patch ("modality-pixels", mean squared error, baseline the variance of the batch's patches). Entities
    of a masked text are hidden with it.
    Source: Liu et al. 2021, OPT, section 3.2 (modality-level masking).
    """

    needs = frozenset({"text", "pictures"})
    parts = ("modality", "modality-regions", "modality-pixels")

    def __init__(self, weight: float = 1.0, text: float = 0.5, pixels: bool = False) -> None:
        super().__init__()
        self.weight, self.text, self.pixels = weight, text, pixels

    def heads(self) -> Mapping[str, Mapping[str, Any]]:
        return {"pixels": {}} if self.pixels else {"regions": {}}

    def prepare(self, batch: Batch, context: Context) -> View:
        rows = pictured(batch, context)
        rows = rows[with_words(batch)[rows]]
        shown = batch.take(rows)
        silent = context.noise.uniform(shown.keys, 1, "modality").squeeze(1) < self.text
        able = shown.text.mask & ~shown.text.special & silent[:, None]
        text = replace(shown.text, ids=torch.where(able, context.mask_id, shown.text.ids))
        hidden = hide_text_mentions(shown).mentions.visible
        visible = torch.where(silent[:, None], hidden, shown.mentions.visible)
        label = torch.zeros(len(rows), 0, dtype=torch.int64, device=rows.device)
        regions, image, pixels = (shown.regions if "regions" in context.reads else None), shown.image, None
        if regions is not None:
            blind = regions.mask & ~silent[:, None]
            label = torch.where(blind & (not self.pixels), regions.label, IGNORE)
            regions = replace(regions, hidden=regions.hidden | blind)
        if image is not None and image.pixels is not None:
            pixels = image.pixels
            image = replace(image, pixels=pixels * silent[:, None, None, None])
        elif image is not None and regions is not None:
            image = None
        blank = (
            image.mask & ~silent
            if self.pixels and image is not None and pixels is not None
            else torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
        )
        targets = {"pieces": torch.where(able, shown.text.ids, IGNORE), "label": label, "blank": blank}
        if self.pixels and pixels is not None:
            targets["pixels"] = pixels
        return View(
            name=("modality", self.text, self.pixels),
            batch=replace(
                shown, text=text, image=image, regions=regions, mentions=replace(shown.mentions, visible=visible)
            ),
            targets=targets,
            counts={
                "modality": int(able.sum()),
                "modality-regions": int((label != IGNORE).sum()),
                "modality-pixels": int(blank.sum()),
            },
        )

    def loss(self, view: View, forward: Forward) -> Loss:
        words = text_term(view, forward, "modality", self.weight)
        if not self.pixels:
            label = view.targets["label"]
            things = class_term(view, forward, "modality-regions", self.weight, label)
            return {"modality": words, "modality-regions": things}
        count, total, baseline = view.counts["modality-pixels"], nothing(forward.model), 0.0
        if count:
            total, baseline = self._pixels(view, forward)
        return {"modality": words, "modality-pixels": Term(total, count, self.weight, baseline)}

    def _pixels(self, view: View, forward: Forward) -> tuple[Tensor, float]:
        """The sum over hidden pictures of the mean squared error of their pixels, and its least for a constant."""
        blank = view.targets["blank"]
        stream = forward(view).streams["image"]
        patches = replace(stream, states=stream.states[:, 1:], mask=stream.mask[:, 1:])
        patch = int((forward.model.config.image or {}).get("patch", 8))
        gold = F.pixel_unshuffle(view.targets["pixels"], patch).flatten(2).transpose(1, 2)[blank]
        with full_precision():
            found = forward.model.heads["pixels"](patches)[blank].float()
            total = (found - gold).square().mean((1, 2)).sum()
        return total, float(gold.var(0, unbiased=False).mean())
