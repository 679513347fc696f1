"""Overlaps against a count of cells."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kept.data.boxes import (
    area,
    generalized_iou,
    intersection_over_union,
    non_maximum_suppression,
    to_centers,
    to_corners,
    uniter_position,
)

SIDE = 6
boxes = st.tuples(*[st.integers(0, SIDE)] * 4).map(
    lambda c: (min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3]))
)


def cells(box: tuple[int, ...]) -> set[tuple[int, int]]:
    return {(x, y) for x in range(box[0], box[2]) for y in range(box[1], box[3])}


@given(boxes, boxes)
def test_overlaps_by_counting_cells(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    shared, union = len(cells(a) & cells(b)), len(cells(a) | cells(b))
    hull = len(cells((min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))))
    iou = shared / union if union else 0.0
    one, other = torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64)
    assert intersection_over_union(one, other).item() == pytest.approx(iou)
    expected = iou - ((hull - union) / hull if hull else 0.0)
    assert generalized_iou(one, other).item() == pytest.approx(expected)


def test_every_pair_of_two_lists() -> None:
    a, b = torch.rand(3, 2), torch.rand(5, 2)
    a, b = torch.cat([a, a + 0.5], 1), torch.cat([b, b + 0.3], 1)
    for overlap in (intersection_over_union, generalized_iou):
        found = overlap(a, b)
        assert found.shape == (3, 5)
        torch.testing.assert_close(found[1, 4], overlap(a[1:2], b[4:])[0, 0])
        assert overlap(a, b[:0]).shape == (3, 0)


def test_corners_never_cross() -> None:
    assert to_corners(torch.tensor([[0.5, 0.5, -1.0, 0.5]])).tolist() == [[0.5, 0.25, 0.5, 0.75]]


def test_boxes_without_area_have_finite_gradients() -> None:
    found = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.1, 0.2, 0.3, 0.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(generalized_iou(to_corners(found), to_corners(found.detach())).sum(), found)
    assert gradient.isfinite().all()


@given(boxes)
def test_areas_and_positions_by_counting_cells(box: tuple[int, ...]) -> None:
    tensor = torch.tensor([box], dtype=torch.float64)
    assert area(tensor).item() == len(cells(box))
    width, height = (len({cell[side] for cell in cells(box)}) for side in (0, 1))
    if cells(box):
        assert uniter_position(tensor).tolist() == [[*box, width, height, len(cells(box))]]


@given(boxes)
def test_there_and_back(box: tuple[int, ...]) -> None:
    tensor = torch.tensor(box, dtype=torch.float64)
    torch.testing.assert_close(to_corners(to_centers(tensor)), tensor)


def suppressed(found: list[tuple[int, ...]], scores: list[int], threshold: float) -> list[int]:
    """Greedy suppression, in plain Python."""
    kept: list[int] = []
    for row in sorted(range(len(found)), key=lambda row: (-scores[row], row)):
        overlaps = []
        for better in kept:
            union = cells(found[row]) | cells(found[better])
            overlaps.append(len(cells(found[row]) & cells(found[better])) / len(union) if union else 0.0)
        if all(overlap <= threshold for overlap in overlaps):
            kept.append(row)
    return kept


@given(st.lists(st.tuples(boxes, st.integers(0, 3)), max_size=8), st.sampled_from([0.0, 0.3, 0.55, 1.0]))
def test_suppression_against_plain_loops(found: list[tuple[tuple[int, ...], int]], threshold: float) -> None:
    places, scores = [box for box, _ in found], [score for _, score in found]
    kept = non_maximum_suppression(
        torch.tensor(places, dtype=torch.float64).reshape(-1, 4), torch.tensor(scores, dtype=torch.float64), threshold
    )
    assert kept.dtype == torch.int64
    assert kept.tolist() == suppressed(places, scores, threshold)
