"""Masked regions: what a hidden part of a picture shows, told from the text and the rest of the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from kept.data.batch import IGNORE, Batch, Regions
from kept.data.boxes import intersection_over_union
from kept.objectives.base import OBJECTIVES, Context, Forward, Loss, Objective, Term, View, full_precision, nothing
from kept.objectives.collectives import gather
from kept.objectives.terms import class_term
from kept.objectives.units import at_rate


def mask_regions(batch: Batch, context: Context, rate: float, overlap: float) -> tuple[Regions, Tensor]:
    """Hide each region at `rate`, at least one of a picture, and those whose IoU with a hidden one is above `overlap`.

    Returns:
        The regions, and (B, R) bool, True where a region was chosen; those hidden for their overlap are not.
    """
    regions = batch.regions
    assert regions is not None
    chosen = at_rate(context.noise.uniform(batch.keys, regions.mask.shape[1], "mask/region"), regions.mask, rate)
    covered = torch.stack([intersection_over_union(one, one) > overlap for one in regions.boxes])
    beside = (covered & chosen[:, None, :]).any(2) & regions.mask & ~chosen
    return replace(regions, hidden=regions.hidden | chosen | beside), chosen


class MaskedRegions(Objective):
    """The view that the objectives of masked regions share: the text is clean, some regions hide their feature.

    A hidden region keeps its box. One that overlaps it by an IoU above `overlap` is hidden too, without being asked
    for: its feature would tell.
    Source: Chen et al. 2020, UNITER, section 3.2 (rate 0.15, one modality at a time); Lu et al. 2019, ViLBERT, section
    3.2 (overlaps above 0.4).
    """

    needs = frozenset({"text", "regions"})

    def __init__(self, weight: float = 1.0, rate: float = 0.15, overlap: float = 0.4) -> None:
        super().__init__()
        self.weight, self.rate, self.overlap = weight, rate, overlap

    def masked(self, batch: Batch, context: Context) -> tuple[Batch, Tensor]:
        if batch.regions is None:
            return batch, torch.zeros(len(batch), 0, dtype=torch.bool, device=batch.keys.device)
        regions, chosen = mask_regions(batch, context, self.rate, self.overlap)
        return replace(batch, regions=regions), chosen

    def view(self, batch: Batch, targets: dict[str, Tensor], counts: dict[str, int]) -> View:
        """Equal for all objectives with equal settings, whatever they ask for. The picture itself is not shown."""
        nowhere = torch.zeros_like(batch.text.mask)
        return View(
            name=("regions", self.rate, self.overlap),
            batch=replace(batch, image=None),
            targets=targets,
            counts=counts,
            read=nowhere,
        )


@OBJECTIVES.register("moc")
class MaskedObjectClassification(MaskedRegions):
    """L = -sum log p(c | text, other regions), or sum KL(q || p) to a detector's distribution q, over masked regions.

    Terms: "moc", and "moc-attributes" over all attributes of the masked regions, each a target of its own. Baselines:
    the entropy of the classes of the batch (of the mean of q for KL), and that of its attributes; floor of the KL 0.

    Args:
        targets: "hard" classes, or "kl" for the detector's scores.
        attributes: ask for attributes too.

    Source: Chen et al. 2020, UNITER, section 3.2 (MRC, MRC-kl; here the mean is over regions, not over regions times
    classes); attributes: Tan & Bansal 2019, LXMERT, section 3.1.1.
    """

    parts = ("moc", "moc-attributes")

    def __init__(
        self,
        weight: float = 1.0,
        rate: float = 0.15,
        overlap: float = 0.4,
        targets: Literal["hard", "kl"] = "hard",
        attributes: bool = False,
    ) -> None:
        super().__init__(weight, rate, overlap)
        self.targets, self.attributes = targets, attributes

    def heads(self) -> Mapping[str, Mapping[str, Any]]:
        return {"regions": {}}

    def prepare(self, batch: Batch, context: Context) -> View:
        masked, chosen = self.masked(batch, context)
        regions = batch.regions
        label = torch.full(chosen.shape, IGNORE, device=chosen.device)
        attribute = torch.zeros(*chosen.shape, 0, dtype=torch.int64, device=chosen.device)
        targets = {}
        if regions is not None:
            label = torch.where(chosen, regions.label, IGNORE)
            if self.targets == "kl":
                if regions.scores is None:
                    label = torch.full_like(label, IGNORE)
                else:
                    likeliest = regions.scores.argmax(-1)
                    label = torch.where(chosen & (regions.scores.sum(-1) > 0), likeliest, IGNORE)
                    targets["scores"] = regions.scores
            if self.attributes:
                attribute = torch.where(chosen[..., None], regions.attributes, IGNORE)
        counts = {"moc": int((label != IGNORE).sum()), "moc-attributes": int((attribute != IGNORE).sum())}
        return self.view(masked, {"label": label, "attribute": attribute, **targets}, counts)

    def loss(self, view: View, forward: Forward) -> Loss:
        label = view.targets["label"]
        if self.targets == "hard":
            terms = {"moc": class_term(view, forward, "moc", self.weight, label)}
        else:
            terms = {"moc": self._divergence(view, forward, label != IGNORE)}
        if self.attributes:
            attribute = view.targets["attribute"]
            terms["moc-attributes"] = class_term(view, forward, "moc-attributes", self.weight, attribute, "attributes")
        return terms

    def _divergence(self, view: View, forward: Forward, wanted: Tensor) -> Term:
        if not view.counts["moc"]:
            return Term(nothing(forward.model), 0, self.weight, 0.0)
        scores = view.targets["scores"][wanted].float()
        scores = scores / scores.sum(-1, keepdim=True)
        with full_precision():
            logits = forward.model.heads["regions"](forward(view).streams["regions"].states[wanted], "objects").float()
            total = F.kl_div(logits.log_softmax(-1), scores, reduction="sum")
        return Term(total, view.counts["moc"], self.weight, mean_divergence(scores))


def mean_divergence(scores: Tensor) -> float:
    """The mean KL divergence of distributions from their own mean: what the best constant prediction misses."""
    mean = scores.mean(0, keepdim=True).clamp(min=1e-30).log()
    return float(F.kl_div(mean.expand_as(scores), scores, reduction="batchmean"))


@OBJECTIVES.register("mor")
class MaskedObjectRegression(MaskedRegions):
    """The feature of a masked region: L = sum |f^ - f|^2 / F, or by noise contrast which of all features it is.

    L2 is the mean over the feature's numbers; its baseline is the variance of the masked features of the batch. NCE is
    -log softmax over cosines of the prediction to all masked features of the batch, at temperature `temperature`; equal
    features are no negatives; baseline the log of their number.

    Args:
        loss: "l2" or "nce".
        tied: the head's map is the tower's projection, transposed.

    Source: Chen et al. 2020, UNITER, section 3.2 (MRFR); Li et al. 2020, HERO, section 3.2.1 (MNCE).
    """

    parts = ("mor",)

    def __init__(
        self,
        weight: float = 1.0,
        rate: float = 0.15,
        overlap: float = 0.4,
        loss: Literal["l2", "nce"] = "l2",
        tied: bool = False,
        temperature: float = 0.1,
    ) -> None:
        super().__init__(weight, rate, overlap)
        self.kind, self.tied, self.temperature = loss, tied, temperature
        if loss == "nce":
            self.couples = "batch"  # type: ignore[misc]

    def heads(self) -> Mapping[str, Mapping[str, Any]]:
        return {"regions": {"tied": self.tied}}

    def prepare(self, batch: Batch, context: Context) -> View:
        masked, chosen = self.masked(batch, context)
        features = chosen.new_zeros(*chosen.shape, 1) if batch.regions is None else batch.regions.features
        return self.view(masked, {"chosen": chosen, "features": features}, {"mor": int(chosen.sum())})

    def loss(self, view: View, forward: Forward) -> Loss:
        count, chosen = view.counts["mor"], view.targets["chosen"]
        gold = view.targets["features"][chosen].float()
        # Every process takes part, also one without masked regions: the others wait for it.
        everywhere = gather(gold) if self.kind == "nce" else gold
        if not count:
            return {"mor": Term(nothing(forward.model), 0, self.weight, 0.0)}
        model = forward.model
        projection = model.get_parameter("towers.regions.feature.weight") if self.tied else None
        states = forward(view).streams["regions"].states[chosen]
        with full_precision():
            found = model.heads["regions"](states.float(), "feature", projection).float()
            if self.kind == "l2":
                total = (found - gold).square().mean(-1).sum()
                return {"mor": Term(total, count, self.weight, float(gold.var(0, unbiased=False).mean()))}
            total, floor = feature_contrast(found, gold, everywhere, self.temperature)
        return {"mor": Term(total, count, self.weight, math.log(len(everywhere)), floor)}


def feature_contrast(found: Tensor, gold: Tensor, everywhere: Tensor, temperature: float) -> tuple[Tensor, float]:
    """Sum of cross-entropies of cos(f^_i, g_j) / t over candidates g to those that equal f_i, and their least mean.

    >>> f = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> round(float(feature_contrast(f, f, f, 1.0)[0]), 4)
    0.6265
    """
    logits = F.normalize(found, dim=-1) @ F.normalize(everywhere, dim=-1).T / temperature
    same = (gold[:, None] == everywhere[None]).all(-1).to(logits.dtype)
    total = F.cross_entropy(logits, same / same.sum(1, keepdim=True), reduction="sum")
    return total, float(same.sum(1).log().mean())
