"""Mean average precision of detected objects, as COCO counts it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from kept.data.boxes import intersection_over_union

THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
HUNDREDTHS = np.arange(101)


class Objects(NamedTuple):
    """The true objects of one picture: (M, 4) boxes as left, top, right, bottom, and (M,) classes."""

    boxes: np.ndarray
    labels: np.ndarray


class Detections(NamedTuple):
    """The objects found in one picture: (N, 4) boxes as left, top, right, bottom, (N,) classes, (N,) scores."""

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


class AveragePrecision(NamedTuple):
    """Average precision by class and overlap.

    Args:
        classes: (C,) those that have a true object.
        by_class: (C, T) in [0, 1], at each threshold.
        mean: over classes and thresholds.
        at_half: the mean over classes at an overlap of 0.5; NaN where that is no threshold.
    """

    classes: np.ndarray
    by_class: np.ndarray
    mean: float
    at_half: float


def average_precision(
    found: Sequence[Detections],
    truth: Sequence[Objects],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    most: int = 100,
) -> AveragePrecision:
    """AP = mean over the recalls r = 0, .01, ..., 1 of the highest precision at any recall >= r.

    Within a picture and a class the detections are taken by falling score; each claims the free object that it overlaps
    most, and counts as right where the IoU reaches the threshold. Precision and recall then run over the detections of
    all pictures by falling score. Classes without a true object are left out. COCO's crowds and size ranges are not
    known here. Recalls are compared exactly; pycocotools compares floats, where 7 of 10 falls short of 0.7.

    Args:
        found, truth: one entry for each picture, in the same order.
        thresholds: overlaps to average over.
        most: how many detections of a picture and class count, those with the highest scores.

    Raises:
        ValueError: where the lists differ in length, a score is NaN, or no picture has an object.

    Source: Lin et al. 2014, "Microsoft COCO", and the rules of its detection evaluation.

        >>> box, one = np.array([[0.0, 0.0, 1.0, 1.0]]), np.array([1])
        >>> average_precision([Detections(box, one, np.array([0.9]))], [Objects(box, one)]).mean
        1.0
    """
    if len(found) != len(truth):
        raise ValueError(f"detections of {len(found)} pictures, objects of {len(truth)}")
    if any(np.isnan(one.scores).any() for one in found):
        raise ValueError("a score is NaN")
    classes = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *(one.labels for one in truth)]))
    if not len(classes):
        raise ValueError("no picture has an object")
    levels = np.asarray(thresholds)
    table = np.stack([_of_class(found, truth, label, levels, most) for label in classes])
    half = table[:, np.isclose(levels, 0.5)]
    return AveragePrecision(classes, table, float(table.mean()), float(half.mean()) if half.size else float("nan"))


def _of_class(
    found: Sequence[Detections], truth: Sequence[Objects], label: int, levels: np.ndarray, most: int
) -> np.ndarray:
    """(T,) average precision of one class."""
    objects, scores, right = 0, [np.zeros(0)], [np.zeros((len(levels), 0), dtype=bool)]
    for detections, true in zip(found, truth, strict=True):
        boxes, chosen = true.boxes[true.labels == label], np.flatnonzero(detections.labels == label)
        chosen = chosen[np.argsort(-detections.scores[chosen], kind="stable")][:most]
        objects += len(boxes)
        scores.append(detections.scores[chosen])
        right.append(_claims(detections.boxes[chosen], boxes, levels))
    order = np.argsort(-np.concatenate(scores), kind="stable")
    hits = np.concatenate(right, axis=1)[:, order].cumsum(axis=1)
    precision = hits / np.arange(1, len(order) + 1)
    # The highest precision at this recall or any later one; none where the recall is never reached.
    highest = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    highest = np.concatenate([highest, np.zeros((len(levels), 1))], axis=1)
    # Hits instead of recalls: 7 of 25 is a recall of .28, which no float is.
    needed = -(-HUNDREDTHS * objects // 100)
    return np.array([best[np.searchsorted(hit, needed)].mean() for best, hit in zip(highest, hits, strict=True)])


def _claims(found: np.ndarray, true: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """(T, N) bool: whether each detection, in order, claims an object that no earlier one did."""
    right = np.zeros((len(levels), len(found)), dtype=bool)
    if not len(true):
        return right
    sets = (torch.from_numpy(np.asarray(boxes, dtype=np.float64)).reshape(-1, 4) for boxes in (found, true))
    overlaps = intersection_over_union(*sets).numpy()
    free, row = np.ones((len(levels), len(true)), dtype=bool), np.arange(len(levels))
    for i, overlap in enumerate(overlaps):
        open_to = np.where(free, overlap, -1.0)
        best = open_to.argmax(axis=1)
        right[:, i] = open_to[row, best] >= levels
        free[row, best] &= ~right[:, i]
    return right
