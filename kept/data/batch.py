"""A batch: the fields of its records as tensors. Absent fields are None, absent parts are masked."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any, TypeVar

import torch
from torch import Tensor

Fields = TypeVar("Fields", bound="TensorFields")

IGNORE = -100
"""The class of what has none: left out of every loss."""


class TensorFields:
    """A frozen dataclass of tensors that share their first dimension."""

    def to(self: Fields, device: torch.device | str) -> Fields:
        return self._map(lambda value: value.to(device, non_blocking=True))

    def take(self: Fields, rows: Tensor) -> Fields:
        """The given rows, in their order, repeats allowed."""
        return self._map(lambda value: value[rows])

    def _map(self: Fields, change: Any) -> Fields:
        changed: dict[str, Any] = {}
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                changed[field.name] = change(value)
            elif isinstance(value, TensorFields):
                changed[field.name] = value._map(change)
        return replace(self, **changed)  # type: ignore[type-var]


@dataclass(frozen=True, slots=True)
class Text(TensorFields):
    """Word pieces.

    Args:
        ids: (B, L) int64.
        mask: (B, L) bool, True where a piece is real.
        special: (B, L) bool, True at [CLS], [SEP] and padding, which are never masked or predicted.
        words: (B, L) int64, which word of its sentence a piece belongs to; -1 at specials.
        positions: (B, L) int64, where each piece stands; None counts from 0.
    """

    ids: Tensor
    mask: Tensor
    special: Tensor
    words: Tensor
    positions: Tensor | None = None


class Host(IntEnum):
    """Where a mention stands."""

    TEXT = 0
    IMAGE = 1


@dataclass(frozen=True, slots=True)
class Mentions(TensorFields):
    """Entities that were found in the records, in their text or in their picture.

    Args:
        entity: (B, M) int64, the id in the graph; 0 where `mask` is False.
        host: (B, M) int64, a `Host`.
        start, end: (B, M) int64, the mention's pieces [start, end) in the text; 0 and 1 for a picture.
        mask: (B, M) bool, True where there is a mention.
        visible: (B, M) bool, True where its entity may be shown to the model (False once it is asked for).
        known: (B, M) bool, True where the graph joins it by an edge to another mention of the same record.
        answer: (B,) int64, the mention that a record is about (the tail of its fact), -1 where none is marked.
    """

    entity: Tensor
    host: Tensor
    start: Tensor
    end: Tensor
    mask: Tensor
    visible: Tensor
    known: Tensor
    answer: Tensor


@dataclass(frozen=True, slots=True)
class Image(TensorFields):
    """Pictures, either as pixels or as the states that a frozen tower made of them.

    Args:
        mask: (B,) bool, True where a record has a picture.
        pixels: (B, 3, H, W) float32 in [0, 1], or None.
        states: (B, P, D) float32, or None.
        grid: (B, P, F) float32, the feature map of a frozen network of another kind, or None.
    """

    mask: Tensor
    pixels: Tensor | None = None
    states: Tensor | None = None
    grid: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Regions(TensorFields):
    """Parts of pictures, as a detector or a person marked them.

    Args:
        boxes: (B, R, 4) float32, left, top, right and bottom as shares of width and height.
        mask: (B, R) bool, True where there is a region.
        features: (B, R, F) float32; zeros where a region is hidden.
        hidden: (B, R) bool, True where the model must not see the features.
        label: (B, R) int64, the class of each region, IGNORE where it has none.
        attributes: (B, R, A) int64, its attributes, IGNORE behind the last.
        scores: (B, R, C) float32, a detector's distribution over classes, or None where none was given.
        relations: (B, E, 3) int64, subject and object as places among the regions and between them the predicate;
            IGNORE behind the last.
        grounding: (B, G, 3) int64, pieces [start, end) of the text and the region that they name; IGNORE behind the
            last. For evaluation; no model is given it.
        naming: (B, N, 4) int64, pieces [start, end) of the text that are the name of something in the scene graph, what
            it is (`kept.data.naming.Named`), and the region; IGNORE behind the last.
    """

    boxes: Tensor
    mask: Tensor
    features: Tensor
    hidden: Tensor
    label: Tensor
    attributes: Tensor
    scores: Tensor | None
    relations: Tensor
    grounding: Tensor
    naming: Tensor


@dataclass(frozen=True, slots=True)
class Batch(TensorFields):
    """The records of one micro-batch.

    Args:
        keys: (B,) int64, a hash of each record's id: what its noise is drawn from.
        text: the word pieces.
        mentions: the linked entities.
        image: the pictures, or None where no record has one.
        rows: (B,) int64, where the records stand in their corpus.
        identity: (B,) int64, equal for records with the same picture.
        regions: the parts of the pictures, or None where no record has any.
        reply: the word pieces of the answer to the text, or None where no record has one.
        answer: (B,) int64, the class of that answer, IGNORE where it has none.
        target: a text that is to be written piece by piece, a stream of its own; objectives set it.
    """

    keys: Tensor
    rows: Tensor
    text: Text
    mentions: Mentions
    image: Image | None = None
    identity: Tensor | None = None
    regions: Regions | None = None
    reply: Text | None = None
    answer: Tensor | None = None
    target: Text | None = None

    def __len__(self) -> int:
        return self.keys.shape[0]
