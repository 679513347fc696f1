"""NLVR: sentences that are true or false of three boxes of shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kept.data.readers.base import READERS, Files
from kept.data.readers.fields import identity, listing, number, share_box, size, text
from kept.data.readers.lines import json_lines
from kept.data.readers.rejects import Unfit
from kept.data.record import Record, Region
from kg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH, HEIGHT = 400, 100
STEP = 150
"""From the left of one box to the left of the next."""
COLOURS = {"yellow": "yellow", "black": "black", "#0099ff": "blue"}
NAMES = tuple(COLOURS.values())
RGB = {"yellow": (255, 255, 0), "black": (0, 0, 0), "blue": (0, 153, 255)}
GROUND = (211, 211, 211)
NEAR = 8.0
"""By how much a channel may differ, on average, between a box and a drawing of it; 5 is the most that was seen."""
PERMUTATIONS = 6


@READERS.register("nlvr")
@dataclass(frozen=True, kw_only=True)
class NLVR(Files):
    """NLVR: a record for each of the six pictures of an example; the sentence, whether it is true, and the shapes.

    A region's label is the shape (square, triangle, circle), its attribute the colour. The files describe picture 0;
    the others show the same three boxes in an order that is not told, so it is read from the picture, and where there
    is none such a record has no regions.
    Source: Suhr et al. 2017, "A corpus of natural language for visual reasoning"; https://lil.nlp.cornell.edu/nlvr.

    Args:
        permutations: how many of the six pictures to take.
        features: give each shape what the file says of it as its feature (`feature_of`).

    >>> record = next(NLVR(paths=("nlvr/dev",)).records())                                # doctest: +SKIP
    >>> record.id, record.answer, record.regions[0].label                                 # doctest: +SKIP
    ('dev-1572-0-0', 'true', 'triangle')
    """

    permutations: int = PERMUTATIONS
    features: bool = False
    folders: dict[Path, dict[str, str]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def records(self) -> Iterator[Record]:
        if not 1 <= self.permutations <= PERMUTATIONS:
            raise InputError(f"permutations: {self.permutations} is not between 1 and {PERMUTATIONS}")
        for path in self.find("*.json", "*/*.json"):
            yield from self.each(path, json_lines(path, self.rejects), partial(self.example, path, set()))

    def example(self, path: Path, seen: set[str], line: int, item: dict[str, Any]) -> Iterator[Record]:
        identifier, sentence, label = (text(item, key) for key in ("identifier", "sentence", "label"))
        if label.lower() not in ("true", "false"):
            raise Unfit("malformed", f"'label' is {label!r}")
        if identifier in seen:
            raise Unfit("said twice", f"identifier {identifier}")
        seen.add(identifier)
        boxes = self.boxes(path, line, item)
        for permutation in range(self.permutations):
            key = f"{path.name.split('.')[0]}-{identifier}-{permutation}"
            place = self.below_root(path, key, item)
            image = self.taken(path, line, partial(self.picture, place))
            if image is None:
                continue
            order = range(len(boxes)) if permutation == 0 else self.order(self.root / image, boxes)
            regions = tuple(region for slot, box in enumerate(order) for region in moved(boxes[box], slot - box))
            if self.features:
                regions = tuple(region._replace(feature=feature_of(region)) for region in regions)
            yield Record(
                id=key,
                source="nlvr",
                text=sentence,
                image=image,
                regions=regions,
                answer=label.lower(),
                choices=("true", "false"),
            )

    def boxes(self, path: Path, line: int, item: dict[str, Any]) -> list[list[Region]]:
        """The shapes of each of the three boxes, where picture 0 has them."""
        boxes = listing(item, "structured_rep")
        if len(boxes) != 3 or not all(isinstance(box, list) for box in boxes):
            raise Unfit("malformed", "'structured_rep' is not three lists")
        made = [
            [self.taken(path, line, partial(shape, thing, slot)) for thing in box] for slot, box in enumerate(boxes)
        ]
        return [[region for region in box if region is not None] for box in made]

    def below_root(self, path: Path, key: str, item: dict[str, Any]) -> str:
        """Where a picture lies below the root; files without directories are searched for."""
        images = path.absolute().parent / "images"
        if "directory" in item:
            place = images / identity(item, "directory") / f"{key}.png"
        else:
            if images not in self.folders:
                self.folders[images] = {found.name: found.parent.name for found in images.glob("*/*.png")}
            place = images / self.folders[images].get(f"{key}.png", "") / f"{key}.png"
        try:
            return place.relative_to(self.absolute_root).as_posix()
        except ValueError:
            raise InputError(f"{place}: is not below {self.root}; give a folder that has all pictures") from None

    @cached_property
    def absolute_root(self) -> Path:
        return self.root.absolute()

    def order(self, path: Path, boxes: Sequence[Sequence[Region]]) -> Sequence[int]:
        """Which of the described boxes the picture shows first, second and third; none if it cannot be told."""
        from PIL import Image

        if not path.is_file():
            return ()
        try:
            with Image.open(path) as image:
                if image.size != (WIDTH, HEIGHT):
                    return ()
                pixels = np.asarray(image.convert("RGB"), dtype=np.int16)
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            return ()
        shown = [pixels[:, STEP * slot : STEP * slot + HEIGHT] for slot in range(len(boxes))]
        drawn = [drawing(moved(box, -slot)) for slot, box in enumerate(boxes)]
        differences = [[float(np.abs(there - one).mean()) for one in drawn] for there in shown]
        orders = {order: [differences[slot][box] for slot, box in enumerate(order)] for order in permutations(range(3))}
        best = min(orders, key=lambda order: sum(orders[order]))
        return best if max(orders[best]) < NEAR else ()


def shape(item: Any, slot: int) -> Region:
    """A shape in one of the three boxes."""
    x, y, side = number(item, "x_loc") + STEP * slot, number(item, "y_loc"), size(item, "size")
    colour = text(item, "color").lower()
    if colour not in COLOURS:
        raise Unfit("malformed", f"'color' is {colour!r}")
    return Region(share_box((x, y, x + side, y + side), WIDTH, HEIGHT), text(item, "type"), (COLOURS[colour],))


SHAPES, SIDES = ("circle", "square", "triangle"), (10, 20, 30)


def slot_of(region: Region) -> int:
    """The box that a shape lies in, counted from the left.

    >>> slot_of(Region((0.75, 0.0, 0.8, 0.2), "square", ("blue",)))
    2
    """
    return int((region.box[0] * WIDTH + 0.5) // STEP)


def feature_of(region: Region) -> tuple[float, ...]:
    """What NLVR's files say of a shape as numbers, with places counted inside its box.

    One-hot: its kind (3), colour (3), box (3), side (3), whether it touches the left, top, right and bottom wall (4);
    then its left, top, right and bottom as shares of the box (4).

    >>> feature_of(Region((0.375, 0.8, 0.425, 1.0), "square", ("blue",)))[12:]
    (1.0, 0.0, 0.0, 1.0, 0.0, 0.8, 0.2, 1.0)
    """
    left, top, right, bottom = (share * length for share, length in zip(region.box, (WIDTH, HEIGHT) * 2, strict=True))
    slot = slot_of(region)
    inside = [
        round((value - shift) / HEIGHT, 2)
        for value, shift in ((left, STEP * slot), (top, 0), (right, STEP * slot), (bottom, 0))
    ]
    kinds = [float(region.label == kind) for kind in SHAPES]
    colours = [float(colour in region.attributes) for colour in RGB]
    boxes = [float(slot == box) for box in range(3)]
    sides = [float(round(bottom - top) == side) for side in SIDES]
    walls = [float(inside[0] <= 0), float(inside[1] <= 0), float(inside[2] >= 1), float(inside[3] >= 1)]
    return (*kinds, *colours, *boxes, *sides, *walls, *inside)


def moved(regions: Sequence[Region], slots: int) -> list[Region]:
    """Shapes that many boxes further to the right."""
    if not slots:
        return list(regions)
    found = []
    for region in regions:
        left, top, right, bottom = region.box
        pixels = left * WIDTH + slots * STEP, top * HEIGHT, right * WIDTH + slots * STEP, bottom * HEIGHT
        found.append(region._replace(box=share_box(pixels, WIDTH, HEIGHT)))
    return found


def drawing(regions: Sequence[Region]) -> NDArray[np.int16]:
    """(100, 100, 3): the shapes of the first box, drawn about as NLVR draws them."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (HEIGHT, HEIGHT), GROUND)
    draw = ImageDraw.Draw(image)
    for region in regions:
        left, top, right, bottom = (
            share * length for share, length in zip(region.box, (WIDTH, HEIGHT) * 2, strict=True)
        )
        fill = RGB[region.attributes[0]]
        if region.label == "triangle":
            draw.polygon([(left, bottom), ((left + right) / 2, top), (right, bottom)], fill=fill)
        elif region.label == "circle":
            draw.ellipse((left, top, right, bottom), fill=fill)
        else:
            draw.rectangle((left, top, right, bottom), fill=fill)
    return np.asarray(image, dtype=np.int16)
