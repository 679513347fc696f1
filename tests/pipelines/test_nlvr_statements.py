"""Statements about NLVR's scenes: what is said is so, by another reading of the words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest

from kept.data.record import Record
from pipelines.bench.nlvr_statements import NUMBERS, Shape, boxes_of, statements, towers_of
from tests.pipelines.test_bench_pictures import shape

SCATTERED = Record(
    id="scattered",
    text="x",
    regions=(
        shape(0, 0, 80, 20), shape(0, 40, 40, 10, "circle", "yellow"), shape(1, 80, 30, 20, "square", "blue"),
        shape(1, 30, 30, 20, "triangle", "blue"), shape(2, 50, 0, 30, "triangle", "black"),
        shape(2, 10, 70, 30, "circle", "black"), shape(2, 70, 70, 30, "circle", "yellow"),
    ),
)  # fmt: skip
TOWERS = Record(
    id="towers",
    text="x",
    regions=(
        shape(0, 40, 80, 20, colour="yellow"), shape(0, 40, 59, 20, colour="black"),
        shape(2, 40, 38, 20, colour="blue"), shape(2, 40, 59, 20, colour="yellow"), shape(2, 40, 80, 20, colour="blue"),
    ),
)  # fmt: skip
COMPARED = {"exactly": "==", "at least": ">=", "at most": "<=", "more than": ">"}


def amount(words: str, found: int) -> bool:
    """Whether "at least two" and the like is true of a number."""
    if words == "a":
        return found > 0
    how, _, number = words.rpartition(" ")
    return bool(eval(f"{found} {COMPARED.get(how, '==')} {NUMBERS.index(number)}"))


def fits(words: str, one: Shape) -> bool:
    """Whether "black circles touching the top" and the like is true of a shape."""
    what, _, wall = words.partition(" touching the ")
    for word in what.split():
        word = word.removesuffix("s")
        if word not in ("object", "item", "block", one.colour, one.kind):
            return False
    side = {"left side": "left", "right side": "right", "base": "bottom"}.get(wall, wall)
    return not wall or (bool(one.walls) if wall in ("wall", "edge") else side in one.walls)


def holds(text: str, boxes: Sequence[Sequence[Shape]]) -> bool:
    """The statement, read word by word."""
    many = r"(a|(?:exactly |at least |at most |more than )?(?:one|two|three|four|five))"
    towers = [sorted(box, key=lambda one: one.top, reverse=True) for box in boxes if box]
    colours = [[one.colour for one in tower] for tower in towers]
    if found := re.fullmatch("there is a box with all (.*) items", text):
        return any(box and {one.colour for one in box} == {found[1]} for box in boxes)
    if found := re.fullmatch("there is a box with items of only (.*) colors?", text):
        return NUMBERS.index(found[1]) in [len({one.colour for one in box}) for box in boxes]
    if found := re.fullmatch(f"there (?:is|are) {many} towers? with (?:exactly )?([a-z]+) blocks?", text):
        return amount(found[1], [len(tower) for tower in towers].count(NUMBERS.index(found[2])))
    if found := re.fullmatch("there is (?:a|one) tower with a (.*) block at the (base|top)", text):
        return found[1] in [tower[0 if found[2] == "base" else -1] for tower in colours]
    if found := re.fullmatch("there is a tower with (.*) blocks? with a (.*) block at the base", text):
        return any(len(tower) == NUMBERS.index(found[1]) and tower[0] == found[2] for tower in colours)
    if found := re.fullmatch("there is a ([a-z]+) block (over|above|on top of|under|below) a ([a-z]+) block", text):
        upward = found[2] not in ("under", "below")
        pair = f"{found[3]} {found[1]}" if upward else f"{found[1]} {found[3]}"
        return any(pair in " ".join(tower) for tower in colours)
    if found := re.fullmatch(
        f"(there is a box with|each box contains|all boxes contain|every box has) {many} (.*)", text
    ):
        right = [amount(found[2], sum(fits(found[3], one) for one in box)) for box in boxes]
        return any(right) if found[1].startswith("there") else all(right)
    found = re.fullmatch(f"there (?:is|are) {many} (.*)", text)
    assert found is not None, text
    return amount(found[1], sum(fits(found[2], one) for box in boxes for one in box))


@pytest.mark.parametrize("record", [SCATTERED, TOWERS], ids=lambda record: record.id)
def test_statements_are_true_or_false_as_they_say(record: Record) -> None:
    boxes, made = boxes_of(record.regions), list(statements(record, 800))
    assert [one.answer for one in made] == [str(holds(one.text or "", boxes)).lower() for one in made]
    assert 0.4 < sum(one.answer == "true" for one in made) / len(made) < 0.6
    assert len({one.text for one in made}) > 200
    assert all(one.regions == record.regions and one.image is None for one in made)


def test_towers_are_told_from_scattered_shapes() -> None:
    assert towers_of(boxes_of(SCATTERED.regions)) is None
    towers = towers_of(boxes_of(TOWERS.regions))
    assert towers is not None
    assert [[one.colour for one in tower] for tower in towers] == [["yellow", "black"], ["blue", "yellow", "blue"]]


def test_statements_belong_to_their_record() -> None:
    assert list(statements(TOWERS, 5)) == list(statements(TOWERS, 9))[:5]
