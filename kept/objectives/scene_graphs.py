"""Words of the scene graph: attributes, relations and whole structures, masked where the text names them."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from torch import Tensor

from kept.data.batch import IGNORE, Batch, Host
from kept.data.naming import Named
from kept.objectives.base import OBJECTIVES, Context, Forward, Loss, Objective, View
from kept.objectives.masking import covered
from kept.objectives.terms import class_term, text_term
from kept.objectives.units import UNITS, at_rate, corrupted, per_group, without_masked_entities


def named_pieces(batch: Batch, wanted: Tensor) -> Tensor:
    """(B, L) bool: the pieces of the namings that `wanted` (B, N) marks."""
    if batch.regions is None:
        return torch.zeros_like(batch.text.mask)
    start, end = batch.regions.naming[..., 0], batch.regions.naming[..., 1]
    return (
        (covered(start, end, batch.text.ids.shape[1]) & wanted[..., None]).any(1)
        & batch.text.mask
        & ~batch.text.special
    )


class SceneGraphPrediction(Objective):
    """L = -sum log p(w | the rest, the picture) over the pieces of words that name something of the scene graph.

    Each such name is chosen at `rate`, at least one of a text that has any; all its pieces are masked, 80 / 10 / 10.
    Baseline: log V.
    Source: Yu et al. 2021, ERNIE-ViL, section 3.2.
    """

    needs = frozenset({"text", "pictures", "image-regions"})
    kind: ClassVar[Named]

    def __init__(self, weight: float = 1.0, rate: float = 0.3) -> None:
        super().__init__()
        self.weight, self.rate = weight, rate

    def prepare(self, batch: Batch, context: Context) -> View:
        chosen = self._chosen(batch, context)
        draw = context.noise.uniform(batch.keys, batch.text.ids.shape[1], "mask/kind")
        kind = per_group(UNITS["word"]().groups(batch), draw)
        masked, pieces = corrupted(batch.text, chosen, kind, context, batch.keys)
        return View(
            name=(self.parts[0], self.rate),
            batch=replace(without_masked_entities(batch, chosen), text=masked),
            targets={"pieces": pieces},
            counts={self.parts[0]: int(chosen.sum())},
            read=chosen,
        )

    def _chosen(self, batch: Batch, context: Context) -> Tensor:
        if batch.regions is None:
            return torch.zeros_like(batch.text.mask)
        of_kind = batch.regions.naming[..., 2] == self.kind
        draw = context.noise.uniform(batch.keys, of_kind.shape[1], f"graph/{self.parts[0]}")
        return named_pieces(batch, at_rate(draw, of_kind, self.rate))

    def loss(self, view: View, forward: Forward) -> Loss:
        return {self.parts[0]: text_term(view, forward, self.parts[0], self.weight)}


@OBJECTIVES.register("object-words")
class ObjectPrediction(SceneGraphPrediction):
    """Masked words that name an object of the picture (ERNIE-ViL's object prediction); see `SceneGraphPrediction`."""

    kind = Named.OBJECT
    parts = ("object-words",)


@OBJECTIVES.register("attribute-words")
class AttributePrediction(SceneGraphPrediction):
    """Masked words that name an attribute of an object (ERNIE-ViL's AttP); see `SceneGraphPrediction`."""

    kind = Named.ATTRIBUTE
    parts = ("attribute-words",)


@OBJECTIVES.register("relation-words")
class RelationPrediction(SceneGraphPrediction):
    """Masked words that name a relation of two objects (ERNIE-ViL's RelP); see `SceneGraphPrediction`."""

    kind = Named.RELATION
    parts = ("relation-words",)


@OBJECTIVES.register("structure")
class StructuralKnowledgeMasking(Objective):
    """Words and regions masked by how they hang together with an anchor: what it is joined to is hidden more often.

    One region of each picture is the anchor. Its own name and feature, and the regions that a relation joins to it with
    their names, are masked at `near`; all other words and regions at `far`. Words are predicted by pieces ("structure",
    baseline log V), regions by class ("structure-regions", baseline the entropy of their classes). Where the graph of
    entities joins a mention of the text to another, that mention counts as near.
    Source: Cui et al. 2021, ROSITA, section 3.3 (structural knowledge masking), with knowledge entries from scene graph
    and entity graph.
    """

    needs = frozenset({"text", "regions"})
    parts = ("structure", "structure-regions")

    def __init__(self, weight: float = 1.0, near: float = 0.5, far: float = 0.05) -> None:
        super().__init__()
        self.weight, self.near, self.far = weight, near, far

    def heads(self) -> dict[str, dict[str, object]]:
        return {"regions": {}}

    def prepare(self, batch: Batch, context: Context) -> View:
        regions, text, noise = batch.regions, batch.text, context.noise
        able = text.mask & ~text.special
        if regions is None or not regions.mask.shape[1]:
            chosen, hidden = torch.zeros_like(able), torch.zeros(len(batch), 0, dtype=torch.bool)
            label = torch.zeros(len(batch), 0, dtype=torch.int64)
        else:
            shown = regions.mask.any(1, keepdim=True)
            near = joined_to_anchor(batch, noise.uniform(batch.keys, regions.mask.shape[1], "structure/anchor"))
            region_rate = torch.where(near, self.near, self.far)
            hidden = (noise.uniform(batch.keys, near.shape[1], "structure/region") < region_rate) & regions.mask
            about = regions.naming[..., 3].clamp(min=0)
            close = named_pieces(batch, near.gather(1, about) & (regions.naming[..., 3] != IGNORE))
            close |= known_pieces(batch)
            word_draw = noise.uniform(batch.keys, able.shape[1], "structure/word")
            draw = per_group(UNITS["entity"]().groups(batch), word_draw)
            chosen = (draw < torch.where(close, self.near, self.far)) & able & shown
            label = torch.where(hidden, regions.label, IGNORE)
        kind = per_group(UNITS["word"]().groups(batch), noise.uniform(batch.keys, able.shape[1], "mask/kind"))
        masked, pieces = corrupted(text, chosen, kind, context, batch.keys)
        seen = None if regions is None else replace(regions, hidden=regions.hidden | hidden)
        return View(
            name=("structure", self.near, self.far),
            batch=replace(without_masked_entities(batch, chosen), text=masked, regions=seen, image=None),
            targets={"pieces": pieces, "label": label},
            counts={"structure": int(chosen.sum()), "structure-regions": int((label != IGNORE).sum())},
            read=chosen,
        )

    def loss(self, view: View, forward: Forward) -> Loss:
        return {
            "structure": text_term(view, forward, "structure", self.weight),
            "structure-regions": class_term(view, forward, "structure-regions", self.weight, view.targets["label"]),
        }


def joined_to_anchor(batch: Batch, draw: Tensor) -> Tensor:
    """(B, R) bool: the anchor, the region of the greatest draw, and the regions that a relation joins to it."""
    regions = batch.regions
    assert regions is not None
    anchor = draw.masked_fill(~regions.mask, -1.0).argmax(1)
    near = torch.zeros_like(regions.mask).scatter(1, anchor[:, None], True) & regions.mask
    subject, object = regions.relations[..., 0], regions.relations[..., 2]
    for one, other in ((subject, object), (object, subject)):
        touches = (one == anchor[:, None]) & (other >= 0)
        places = torch.zeros_like(near, dtype=torch.int64).scatter_add(1, other.clamp(min=0), touches.long())
        near = near | (places > 0)
    return near & regions.mask


def known_pieces(batch: Batch) -> Tensor:
    """(B, L) bool: pieces of mentions that the graph joins to another mention of their record."""
    mentions = batch.mentions
    near = mentions.mask & mentions.known & (mentions.host == Host.TEXT)
    return (covered(mentions.start, mentions.end, batch.text.ids.shape[1]) & near[..., None]).any(1)
