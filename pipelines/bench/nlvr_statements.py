"""Simple statements about NLVR's scenes, true or false by the shapes: what words mean, before people's sentences."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from kept.data.readers.nlvr import HEIGHT, NAMES, STEP, WIDTH, slot_of
from kept.data.record import Record, Region

NUMBERS = ("zero", "one", "two", "three", "four", "five")
KINDS = ("square", "circle", "triangle")
WALLS = {"left side": "left", "right side": "right", "top": "top", "base": "bottom", "wall": "any", "edge": "any"}
TRIES = 12
"""Statements that are drawn until one is true, or false, as it should be."""
Statement = tuple[str, bool]


@dataclass(frozen=True, slots=True)
class Shape:
    """A shape of a box: its kind, its colour, the walls that it touches, and its left and upper edge in the picture."""

    kind: str
    colour: str
    walls: frozenset[str]
    left: float
    top: float


Boxes = Sequence[Sequence[Shape]]


def boxes_of(regions: Sequence[Region]) -> list[list[Shape]]:
    """The shapes of each of the three boxes."""
    found: list[list[Shape]] = [[], [], []]
    for region in regions:
        left, top, right, bottom = (x * side for x, side in zip(region.box, (WIDTH, HEIGHT) * 2, strict=True))
        slot = slot_of(region)
        gaps = {
            "left": left - STEP * slot,
            "top": top,
            "right": STEP * slot + HEIGHT - right,
            "bottom": HEIGHT - bottom,
        }
        walls = frozenset(wall for wall, gap in gaps.items() if gap < 0.5)
        found[slot].append(Shape(region.label or "", region.attributes[0], walls, left, top))
    return found


def towers_of(boxes: Boxes) -> list[list[Shape]] | None:
    """The towers from their base up; None where the boxes hold other things than squares on top of each other."""
    for box in boxes:
        if len(box) > 4 or any(shape.kind != "square" for shape in box):
            return None
        if len({round(shape.left) for shape in box}) > 1 or len({round(shape.top) for shape in box}) < len(box):
            return None
    return [sorted(box, key=lambda shape: -shape.top) for box in boxes if box]


def statements(record: Record, count: int) -> Iterator[Record]:
    """`count` records of the same scene with statements in place of its sentence, about half of them true.

    Each is drawn by the record's own id.
    """
    boxes = boxes_of(record.regions)
    towers = towers_of(boxes)
    draw = random.Random(f"{record.id}/statements")
    for number in range(count):
        wanted = draw.random() < 0.5
        for _ in range(TRIES):
            text, true = about_towers(towers, draw) if towers and draw.random() < 0.6 else about_shapes(boxes, draw)
            if true == wanted:
                break
        yield replace(record, id=f"{record.id}+{number}", text=text, answer=str(true).lower(), image=None)


def about_shapes(boxes: Boxes, draw: random.Random) -> Statement:
    """How many shapes of some kind, colour or place there are, in all boxes, in one or in each."""
    form = draw.choice(("scene", "box", "each", "colour", "colours"))
    if form == "colour":
        colour = draw.choice(NAMES)
        uniform = any(box and all(shape.colour == colour for shape in box) for box in boxes)
        return f"there is a box with all {colour} items", uniform
    if form == "colours":
        number = draw.choice((1, 2, 3))
        some = any(len({shape.colour for shape in box}) == number for box in boxes)
        return f"there is a box with items of only {NUMBERS[number]} {plural('color', number)}", some
    number, words, enough = counted(draw)
    name, fits = described(draw, number)
    held = [sum(map(fits, box)) for box in boxes]
    if form == "scene":
        return f"there {'is' if number == 1 else 'are'} {words} {name}", enough(sum(held))
    if form == "box":
        return f"there is a box with {words} {name}", any(map(enough, held))
    opening = draw.choice(("each box contains", "all boxes contain", "every box has"))
    return f"{opening} {words} {name}", all(map(enough, held))


def about_towers(towers: Sequence[Sequence[Shape]], draw: random.Random) -> Statement:
    """How high towers are, and which block lies where in one."""
    form, colour = draw.choice(("height", "end", "pair", "base")), draw.choice(NAMES)
    height = draw.randint(1, 4)
    blocks = f"{NUMBERS[height]} {plural('block', height)}"
    if form == "height":
        number, words, enough = counted(draw)
        exactly = draw.choice(("", "exactly "))
        start = f"there {'is' if number == 1 else 'are'} {words} {plural('tower', number)}"
        return f"{start} with {exactly}{blocks}", enough(sum(len(tower) == height for tower in towers))
    if form == "end":
        place, row = draw.choice((("base", 0), ("top", -1)))
        one = draw.choice(("a", "one"))
        there = any(tower[row].colour == colour for tower in towers)
        return f"there is {one} tower with a {colour} block at the {place}", there
    if form == "pair":
        word, above = draw.choice(
            (("over", True), ("above", True), ("on top of", True), ("under", False), ("below", False))
        )
        other = draw.choice(NAMES)
        upper, lower = (colour, other) if above else (other, colour)
        pairs = [(low.colour, high.colour) for tower in towers for low, high in pairwise(tower)]
        return f"there is a {colour} block {word} a {other} block", (lower, upper) in pairs
    there = any(len(tower) == height and tower[0].colour == colour for tower in towers)
    return f"there is a tower with {blocks} with a {colour} block at the base", there


def counted(draw: random.Random) -> tuple[int, str, Callable[[int], bool]]:
    """A number, the words for a comparison with it, and the comparison."""
    number = draw.randint(1, 5)
    word = NUMBERS[number]
    return draw.choice(
        (
            (number, f"exactly {word}", lambda found: found == number),
            (number, f"exactly {word}", lambda found: found == number),
            (number, word, lambda found: found == number),
            (number, f"at least {word}", lambda found: found >= number),
            (number, f"at most {word}", lambda found: found <= number),
            (number, f"more than {word}", lambda found: found > number),
            (1, "a", lambda found: found >= 1),
        )
    )


def described(draw: random.Random, number: int) -> tuple[str, Callable[[Shape], bool]]:
    """A description of shapes for that many of them, and whether it fits one."""
    colour = draw.choice((None, *NAMES, *NAMES))
    kind = draw.choice((None, None, *KINDS))
    wall = draw.choice((*[None] * len(WALLS), *WALLS))
    noun = plural(kind or draw.choice(("object", "item", "block")), number)
    text = " ".join(filter(None, (colour, noun, f"touching the {wall}" if wall else None)))

    def fits(shape: Shape) -> bool:
        if wall is not None and not (shape.walls if WALLS[wall] == "any" else WALLS[wall] in shape.walls):
            return False
        return colour in (None, shape.colour) and kind in (None, shape.kind)

    return text, fits


def plural(noun: str, number: int) -> str:
    """A noun for so many.

    >>> plural("tower", 1), plural("tower", 2)
    ('tower', 'towers')
    """
    return noun if number == 1 else noun + "s"
