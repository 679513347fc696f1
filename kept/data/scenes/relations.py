"""Where regions are to each other, from their boxes alone, and only where nobody would doubt it."""

from __future__ import annotations

from collections.abc import Sequence

from kept.data.record import Box, Region, Relation

MARGIN = 0.02
"""The gap, in shares of the canvas, from which on one thing is beside another."""
LARGER = 1.5
OVERLAP = 0.1

LEFT, RIGHT, ABOVE, BELOW, OVERLAPPING, LARGER_THAN = (
    *("left of", "right of", "above", "below"),
    *("overlapping", "larger than"),
)
INVERSE = {LEFT: RIGHT, RIGHT: LEFT, ABOVE: BELOW, BELOW: ABOVE}
TINY = 1e-6


def gap(a: Box, b: Box, predicate: str) -> float:
    """How much room there is between two boxes in the direction of a predicate; negative where they share a column.

    >>> gap((0.0, 0.0, 0.2, 0.2), (0.5, 0.0, 0.7, 0.2), "left of")
    0.3
    """
    first, second = (a, b) if predicate in (LEFT, ABOVE) else (b, a)
    axis = 0 if predicate in (LEFT, RIGHT) else 1
    return second[axis] - first[axis + 2]


def holds(a: Box, b: Box, predicate: str) -> bool:
    """Whether all of `a` is left of (right of, above, below) all of `b`, with at least MARGIN between them."""
    return gap(a, b, predicate) >= MARGIN - TINY


def clearly_not(a: Box, b: Box, predicate: str) -> bool:
    """Whether the middle of `a` lies on the other side of the middle of `b`, so that nobody would say it."""
    axis = 0 if predicate in (LEFT, RIGHT) else 1
    offset = (a[axis] + a[axis + 2] - b[axis] - b[axis + 2]) / 2
    return offset >= -TINY if predicate in (LEFT, ABOVE) else offset <= TINY


def area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def intersection(a: Box, b: Box) -> float:
    """The area that two boxes share."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)


def iou(a: Box, b: Box) -> float:
    """Intersection over union.

    >>> iou((0.0, 0.0, 1.0, 1.0), (0.5, 0.0, 1.0, 1.0))
    0.5
    """
    shared = intersection(a, b)
    return shared / (area(a) + area(b) - shared)


def relate(regions: Sequence[Region]) -> tuple[Relation, ...]:
    """All relations between regions, ascending by subject and object.

    left of, right of, above, below: `holds`; overlapping: boxes share at least a tenth of the smaller one; larger
    than: a box of at least 1.5 times the area.

    >>> left, right = Region((0.0, 0.0, 0.2, 0.2)), Region((0.5, 0.0, 0.6, 0.1))
    >>> relate([left, right])[:2]
    (Relation(subject=0, predicate='left of', object=1), Relation(subject=0, predicate='larger than', object=1))
    """
    found = []
    for i, a in enumerate(regions):
        for j, b in enumerate(regions):
            if i == j:
                continue
            found += [Relation(i, predicate, j) for predicate in INVERSE if holds(a.box, b.box, predicate)]
            if intersection(a.box, b.box) >= OVERLAP * min(area(a.box), area(b.box)) - TINY:
                found.append(Relation(i, OVERLAPPING, j))
            if area(a.box) >= LARGER * area(b.box) - TINY:
                found.append(Relation(i, LARGER_THAN, j))
    return tuple(found)
