"""Boxes: their forms, overlaps, and which of many detections stay."""

from __future__ import annotations

import torch
from torch import Tensor

# The least area to divide by: a box without area overlaps nothing.
LEAST_AREA = 1e-9


def to_corners(boxes: Tensor) -> Tensor:
    """(..., 4) centre x, centre y, width, height -> left, top, right, bottom; a negative size counts as 0.

    >>> to_corners(torch.tensor([0.5, 0.5, 0.5, 1.0])).tolist()
    [0.25, 0.0, 0.75, 1.0]
    """
    centre, size = boxes.split(2, dim=-1)
    half = size.clamp(min=0) / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def to_centers(boxes: Tensor) -> Tensor:
    """(..., 4) left, top, right, bottom -> centre x, centre y, width, height.

    >>> to_centers(torch.tensor([0.25, 0.0, 0.75, 1.0])).tolist()
    [0.5, 0.5, 0.5, 1.0]
    """
    least, most = boxes.split(2, dim=-1)
    return torch.cat([(least + most) / 2, most - least], dim=-1)


def area(boxes: Tensor) -> Tensor:
    """(..., 4) corners -> (...) width times height; 0 where the corners are crossed.

    >>> area(torch.tensor([[0.0, 0, 2, 3], [1.0, 0, 0, 3]])).tolist()
    [6.0, 0.0]
    """
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(-1)


def uniter_position(boxes: Tensor) -> Tensor:
    """(N, 4) corners in shares of the picture -> (N, 7): the corners, width, height, width times height.

    Source: Chen et al. 2020, "UNITER", section 3.1, the location of a region.

    >>> uniter_position(torch.tensor([[0.0, 0.5, 0.5, 1.0]])).tolist()
    [[0.0, 0.5, 0.5, 1.0, 0.5, 0.5, 0.25]]
    """
    size = boxes[..., 2:] - boxes[..., :2]
    return torch.cat([boxes, size, size.prod(-1, keepdim=True)], dim=-1)


def non_maximum_suppression(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """The detections that stay: the best first, each overlapping no better one that stays by more than `threshold`.

    Args:
        boxes: (N, 4) corners.
        scores: (N,); of equal ones the first is the better.
        threshold: the largest intersection over union that two of them may have.

    Returns:
        (K,) int64 rows of `boxes`, by falling score.

    >>> boxes = torch.tensor([[0.0, 0, 2, 2], [0.0, 0, 2, 1.9], [3.0, 3, 4, 4]])
    >>> non_maximum_suppression(boxes, torch.tensor([0.5, 0.9, 0.1]), 0.5).tolist()
    [1, 2]
    """
    waiting = torch.argsort(scores, descending=True, stable=True)
    kept: list[Tensor] = []
    while len(waiting):
        best, waiting = waiting[:1], waiting[1:]
        kept.append(best)
        waiting = waiting[intersection_over_union(boxes[best], boxes[waiting])[0] <= threshold]
    return torch.cat(kept) if kept else waiting


def intersection_over_union(a: Tensor, b: Tensor) -> Tensor:
    """(N, 4) and (M, 4) corners -> (N, M) in [0, 1]; 0 where both boxes have no area.

    >>> intersection_over_union(torch.tensor([[0.0, 0, 2, 1]]), torch.tensor([[1.0, 0, 2, 1], [2.0, 0, 3, 1]])).tolist()
    [[0.5, 0.0]]
    """
    shared, union = _areas(a, b)
    return shared / union.clamp(min=LEAST_AREA)


def generalized_iou(a: Tensor, b: Tensor) -> Tensor:
    """(N, 4) and (M, 4) corners -> (N, M) in [-1, 1]: IoU - |hull minus union| / |hull|, the hull around both boxes.

    Source: Rezatofighi et al. 2019, "Generalized intersection over union", algorithm 1.

        >>> generalized_iou(torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([[0.0, 0, 1, 1], [3.0, 0, 4, 1]])).tolist()
        [[1.0, -0.5]]
    """
    shared, union = _areas(a, b)
    least = torch.minimum(a[:, None, :2], b[None, :, :2])
    most = torch.maximum(a[:, None, 2:], b[None, :, 2:])
    hull = (most - least).clamp(min=0).prod(-1)
    return shared / union.clamp(min=LEAST_AREA) - (hull - union) / hull.clamp(min=LEAST_AREA)


def _areas(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """(N, M) areas of the intersections and of the unions."""
    least = torch.maximum(a[:, None, :2], b[None, :, :2])
    most = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (most - least).clamp(min=0).prod(-1)
    return shared, area(a)[:, None] + area(b)[None, :] - shared
