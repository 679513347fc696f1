"""Contrast against a queue of the past, with soft targets of a twin that follows slowly."""

from __future__ import annotations

import copy
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kept.modeling.model import KeptModel
from kept.modeling.streams import pool
from kept.objectives.base import (
    OBJECTIVES,
    Forward,
    Loss,
    Term,
    View,
    full_precision,
    nothing,
    picture_summary,
)
from kept.objectives.collectives import gather, gather_padded
from kept.objectives.contrast import Contrast
from kept.objectives.identity import NOTHING, same_content
from kept.objectives.queue import MomentumQueue, ema_update, soft_targets

CODES = 8
"""Codes that the queue keeps of what a record is about."""


@OBJECTIVES.register("itc-momentum")
class MomentumContrast(Contrast):
    """Pictures and texts against the twin's vectors of this batch and of those before it.

        L = 1/2 sum_i [ CE(s x_i Y'^T, q_i) + CE(s y_i X'^T, q'_i) ],    q = (1 - a) positives + a softmax(s x' Y'^T)

    X' and Y' are the twin's vectors, of this batch and of the queue; the twin's weights follow the model's, w' <- m w'
    + (1 - m) w, after each step, and its vectors enter the queue after the loss. `a` rises from 0 to `alpha` over
    `ramp` steps. What counts as a positive, and as no negative, is as in "itc". Twin and queue are buffers and lie in
    the checkpoint. Baseline: log of the number of candidates; floor: the mean entropy of the targets.

    Args:
        size: of the queue.
        momentum: m.
        alpha, ramp: how much the twin is believed, and from which step on.

    Source: Li et al. 2021, ALBEF, sections 3.2 and 3.3; He et al. 2020, MoCo.
    """

    parts = ("itc-momentum",)

    def __init__(
        self, weight: float = 1.0, size: int = 4096, momentum: float = 0.995, alpha: float = 0.4, ramp: int = 1000
    ) -> None:
        super().__init__(weight)
        self.size, self.momentum, self.alpha, self.ramp = size, momentum, alpha, ramp
        self.images: MomentumQueue | None = None
        self.texts: MomentumQueue | None = None
        self.twin: nn.Module | None = None
        self.steps: Tensor
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self._waiting: list[tuple[Tensor, Tensor, Tensor]] = []

    def attach(self, model: KeptModel) -> None:
        width = model.contrast.image.out_features
        self.images, self.texts = MomentumQueue(self.size, width, CODES), MomentumQueue(self.size, width, CODES)
        knowledge, model.knowledge = model.knowledge, None
        try:
            self.twin = as_buffers(copy.deepcopy(model).eval())
        finally:
            model.knowledge = knowledge
        self.to(model.device)

    def loss(self, view: View, forward: Forward) -> Loss:
        if self.twin is None or self.images is None or self.texts is None:
            self.attach(forward.model)
        assert isinstance(self.twin, KeptModel) and self.images is not None and self.texts is not None
        count, heads = view.counts["itc-momentum"], forward.model.contrast
        image, text = self.vectors(view, forward)
        own_image, own_text = self._twins(view) if count else (image.detach(), text.detach())
        images, texts = gather(torch.cat([own_image, own_text], dim=1)).detach().chunk(2, dim=1)
        contents = gather_padded(view.targets["content"], NOTHING)
        if forward.model.training:
            self._waiting.append((images, texts, contents))
        filled = self.images.mask
        candidates = same_content(view.targets["content"], fitted(contents, self.images.contents[filled]))
        all_images = torch.cat([images, self.images.vectors[filled]])
        all_texts = torch.cat([texts, self.texts.vectors[filled]])
        if not len(all_images):
            return {"itc-momentum": Term(nothing(forward.model), 0, self.weight)}
        believed = self.alpha * min(1.0, int(self.steps) / max(1, self.ramp))
        with full_precision():
            scale = heads.scale().float()
            total, floor = image.new_zeros(()), 0.0
            for mine, theirs, twin in ((image, all_texts, own_image), (text, all_images, own_text)):
                targets = soft_targets(scale.detach() * twin @ theirs.T, candidates, believed)
                total = total + F.cross_entropy(scale * mine @ theirs.T, targets, reduction="sum") / 2
                floor += float(torch.special.entr(targets).sum()) / 2 / max(1, count)
        return {"itc-momentum": Term(total, count, self.weight, math.log(len(all_images)), floor)}

    @torch.no_grad()
    def _twins(self, view: View) -> tuple[Tensor, Tensor]:
        assert isinstance(self.twin, KeptModel)
        encoded = self.twin.encode(view.batch, knowledge=False, pictures=False)
        summary = picture_summary(self.twin, view.batch)
        heads = self.twin.contrast
        return heads.embed_image(summary).float(), heads.embed_text(pool(encoded.streams["text"])).float()

    def after_step(self, model: KeptModel) -> None:
        if self.twin is None or self.images is None or self.texts is None:
            return
        for name, part in self.twin.named_children():
            ema_update(part, model.get_submodule(name), self.momentum)
        for images, texts, contents in self._waiting:
            self.images.enqueue(images, contents)
            self.texts.enqueue(texts, contents)
        self._waiting.clear()
        self.steps += 1


def fitted(one: Tensor, two: Tensor) -> Tensor:
    """Two lists of contents end to end, the shorter codes filled up."""
    width = max(one.shape[1], two.shape[1])
    return torch.cat([F.pad(each, (0, width - each.shape[1]), value=NOTHING) for each in (one, two)])


def as_buffers(module: nn.Module) -> nn.Module:
    """The same module with all parameters turned into buffers, which no optimizer finds."""
    for child in module.modules():
        for name, parameter in list(child._parameters.items()):
            if parameter is not None:
                del child._parameters[name]
                child.register_buffer(name, parameter.detach().clone())
    return module
