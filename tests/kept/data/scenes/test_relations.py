"""Relations against sets of rows and columns of a grid."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from kept.data.record import Region, Relation
from kept.data.scenes.relations import INVERSE, clearly_not, holds, iou, relate

GRID = 50
"""A cell is as wide as the margin."""
sides = st.tuples(st.integers(0, GRID - 1), st.integers(1, 15)).map(lambda s: (s[0], min(GRID, s[0] + s[1])))
boxes = st.tuples(sides, sides)
Cells = tuple[tuple[int, int], tuple[int, int]]


def region(cells: Cells) -> Region:
    (left, right), (top, bottom) = cells
    return Region((left / GRID, top / GRID, right / GRID, bottom / GRID))


def brute(a: Cells, b: Cells) -> set[str]:
    """What a is to b, by counting cells."""
    (columns_a, rows_a), (columns_b, rows_b) = ([range(*side) for side in cells] for cells in (a, b))
    found = set()
    if all(x + 1 < y for x in columns_a for y in columns_b):
        found.add("left of")
    if all(x > y + 1 for x in columns_a for y in columns_b):
        found.add("right of")
    if all(x + 1 < y for x in rows_a for y in rows_b):
        found.add("above")
    if all(x > y + 1 for x in rows_a for y in rows_b):
        found.add("below")
    cells_a, cells_b = ({(x, y) for x in c for y in r} for c, r in ((columns_a, rows_a), (columns_b, rows_b)))
    if 10 * len(cells_a & cells_b) >= min(len(cells_a), len(cells_b)):
        found.add("overlapping")
    if 2 * len(cells_a) >= 3 * len(cells_b):
        found.add("larger than")
    return found


@settings(max_examples=150, deadline=None)
@given(st.lists(boxes, min_size=1, max_size=4))
def test_relations_by_counting_cells(cells: list[Cells]) -> None:
    expected = {
        Relation(i, predicate, j)
        for i, a in enumerate(cells)
        for j, b in enumerate(cells)
        if i != j
        for predicate in brute(a, b)
    }
    found = relate([region(cell) for cell in cells])
    assert set(found) == expected and len(found) == len(expected)


@settings(max_examples=150, deadline=None)
@given(boxes, boxes)
def test_no_pair_is_both(a: Cells, b: Cells) -> None:
    one, other = region(a).box, region(b).box
    for predicate, inverse in INVERSE.items():
        assert holds(one, other, predicate) == holds(other, one, inverse)
        if holds(one, other, predicate):
            assert clearly_not(one, other, inverse) and not clearly_not(one, other, predicate)
    cells_a, cells_b = ({(x, y) for x in range(*c[0]) for y in range(*c[1])} for c in (a, b))
    assert abs(iou(one, other) - len(cells_a & cells_b) / len(cells_a | cells_b)) < 1e-9
