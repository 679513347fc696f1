"""Average precision against plain Python and, where it is installed, pycocotools."""

from __future__ import annotations

import contextlib
import io
from fractions import Fraction

import numpy as np
import pytest

from kept.probing.detection import THRESHOLDS, Detections, Objects, average_precision


def pictures(seed: int, count: int = 8, classes: int = 3) -> tuple[list[Detections], list[Objects]]:
    """Objects, detections that are near some of them, and others that are nowhere."""
    random = np.random.default_rng(seed)
    found, truth = [], []
    for _ in range(count):
        m, extra = random.integers(0, 5), random.integers(0, 4)
        corner = random.random((m, 2))
        boxes = np.concatenate([corner, corner + 0.1 + random.random((m, 2)) / 2], axis=1)
        labels = random.integers(0, classes, m)
        near = np.repeat(boxes, 2, axis=0) + random.normal(size=(2 * m, 4)).clip(-3, 3) * 0.015
        corner = random.random((extra, 2))
        far = np.concatenate([corner, corner + 0.3], axis=1)
        guessed = np.concatenate([np.repeat(labels, 2), random.integers(0, classes + 1, extra)])
        scores = random.permutation(2 * m + extra) / 20 + random.random()
        found.append(Detections(np.concatenate([near, far]), guessed, scores))
        truth.append(Objects(boxes, labels))
    return found, truth


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def by_definition(found: list[Detections], truth: list[Objects], label: int, threshold: float, most: int) -> float:
    judged, objects = [], 0
    for detections, true in zip(found, truth, strict=True):
        free = [box for box, own in zip(true.boxes, true.labels, strict=True) if own == label]
        objects += len(free)
        own = [i for i in range(len(detections.labels)) if detections.labels[i] == label]
        for i in sorted(own, key=lambda i: -detections.scores[i])[:most]:
            best = max(free, key=lambda box: overlap(box, detections.boxes[i]), default=None)
            right = best is not None and overlap(best, detections.boxes[i]) >= threshold
            if right:
                free = [box for box in free if box is not best]
            judged.append((detections.scores[i], right))
    judged.sort(key=lambda one: -one[0])
    curve, hits = [], 0
    for number, (_, right) in enumerate(judged, 1):
        hits += right
        curve.append((Fraction(hits, objects), Fraction(hits, number)))
    total = Fraction(0)
    for hundredth in range(101):
        total += max((p for r, p in curve if r >= Fraction(hundredth, 100)), default=Fraction(0))
    return float(total / 101)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("most", [100, 2])
def test_by_definition(seed: int, most: int) -> None:
    found, truth = pictures(seed)
    result = average_precision(found, truth, most=most)
    wanted = [[by_definition(found, truth, label, t, most) for t in THRESHOLDS] for label in result.classes]
    assert np.abs(result.by_class - wanted).max() < 1e-9
    assert result.mean == pytest.approx(np.mean(wanted))
    assert result.at_half == pytest.approx(np.mean([row[0] for row in wanted]))
    assert 0.1 < result.mean < 0.95


@pytest.mark.parametrize("seed", range(4))
def test_like_pycocotools(seed: int) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    found, truth = pictures(seed, count=30)
    # Its recalls are floats: 7 of 10 fall short of the recall 0.7, and so for some other multiples of 10.
    number = np.bincount(np.concatenate([one.labels for one in truth]))
    within = 1e-9 if (number % 10).all() else 1e-3

    def flat(box: np.ndarray) -> list[float]:
        return [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()]

    objects = [
        {"image_id": i, "category_id": int(c) + 1, "bbox": flat(b), "area": 1.0, "iscrowd": 0}
        for i, one in enumerate(truth)
        for b, c in zip(*one, strict=True)
    ]
    guesses = [
        {"image_id": i, "category_id": int(c) + 1, "bbox": flat(b), "score": float(s)}
        for i, one in enumerate(found)
        for b, c, s in zip(*one, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        gold = coco.COCO()
        annotations = [one | {"id": number} for number, one in enumerate(objects, 1)]
        gold.dataset = {
            "info": {},
            "images": [{"id": i} for i in range(len(truth))],
            "categories": [{"id": c} for c in range(1, 5)],
            "annotations": annotations,
        }
        gold.createIndex()
        judge = evaluation.COCOeval(gold, gold.loadRes(guesses), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    result = average_precision(found, truth)
    assert result.mean == pytest.approx(judge.stats[0], abs=within)
    assert result.at_half == pytest.approx(judge.stats[1], abs=within)


def test_by_hand() -> None:
    """Two objects; right at .9, wrong at .8, right at .7: precision 1 up to recall 1/2 and 2/3 up to 1."""
    boxes = np.array([[0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 60, 60]], dtype=float)
    truth = [Objects(boxes[:2], np.array([0, 0]))]
    found = [Detections(boxes[[0, 2, 1]], np.zeros(3, dtype=int), np.array([0.9, 0.8, 0.7]))]
    assert average_precision(found, truth).mean == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)


def test_a_second_detection_of_one_object_is_wrong() -> None:
    box, labels = np.array([[0.0, 0, 1, 1], [0.0, 0, 1, 1]]), np.array([4, 4])
    found, truth = [Detections(box, labels, np.array([0.5, 0.4]))], [Objects(box[:1], labels[:1])]
    assert average_precision(found, truth).mean == 1
    twice = [Detections(box, labels, np.array([0.5, 0.4]))] * 2
    both = average_precision(twice, truth * 2, thresholds=[0.75])
    assert both.by_class.tolist() == [[pytest.approx(1.0)]]
    assert np.isnan(both.at_half)


def test_an_overlap_at_the_threshold_counts() -> None:
    truth = [Objects(np.array([[0.0, 0, 2, 1]]), np.array([0]))]
    found = [Detections(np.array([[0.0, 0, 1, 1]]), np.array([0]), np.array([1.0]))]
    assert average_precision(found, truth).by_class.tolist() == [[1.0] + [0.0] * 9]


def test_nothing_found_and_nothing_there() -> None:
    nothing = Detections(np.zeros((0, 4)), np.zeros(0, dtype=int), np.zeros(0))
    empty, one = Objects(np.zeros((0, 4)), np.zeros(0, dtype=int)), Objects(np.ones((1, 4)), np.array([2]))
    result = average_precision([nothing, nothing], [one, empty])
    assert (result.classes.tolist(), result.mean, result.at_half) == ([2], 0.0, 0.0)
    with pytest.raises(ValueError, match="no picture"):
        average_precision([nothing], [empty])
    with pytest.raises(ValueError, match="pictures"):
        average_precision([nothing], [empty, empty])
    with pytest.raises(ValueError, match="NaN"):
        average_precision([Detections(np.zeros((1, 4)), np.zeros(1, dtype=int), np.array([np.nan]))], [one])
