"""NLVR: sentences that are true or false of three boxes of shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kept.data.readers.base import READERS, Files
from kept.data.readers.fields import identity, listing, number, share_box, size, text
from kept.data.readers.lines import json_lines
from kept.data.readers.rejects import Unfit
from kept.data.record import Record, Region
from kg.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

WIDTH, HEIGHT = 400, 100
STEP = 150
"""From the left of one box to the left of the next."""
COLOURS = {"yellow": "yellow", "black": "black", "#0099ff": "blue"}
RGB = {"yellow": (255, 255, 0), "black": (0, 0, 0), "blue": (0, 153, 255)}
NEAR = 60
"""By how much, over the three channels, a pixel may differ from its colour."""
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

    >>> record = next(NLVR(paths=("nlvr/dev",)).records())                                # doctest: +SKIP
    >>> record.id, record.answer, record.regions[0].label                                 # doctest: +SKIP
    ('dev-1572-0-0', 'true', 'triangle')
    """

    permutations: int = PERMUTATIONS
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
            yield Record(
                id=key,
                source="nlvr",
                text=sentence,
                image=image,
                regions=tuple(region for slot, box in enumerate(order) for region in moved(boxes[box], slot - box)),
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
                pixels = image.convert("RGB")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            return ()
        return next((order for order in permutations(range(3)) if fits(pixels, boxes, order)), ())


def shape(item: Any, slot: int) -> Region:
    """A shape in one of the three boxes."""
    x, y, side = number(item, "x_loc") + STEP * slot, number(item, "y_loc"), size(item, "size")
    colour = text(item, "color").lower()
    if colour not in COLOURS:
        raise Unfit("malformed", f"'color' is {colour!r}")
    return Region(share_box((x, y, x + side, y + side), WIDTH, HEIGHT), text(item, "type"), (COLOURS[colour],))


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


def fits(pixels: Image, boxes: Sequence[Sequence[Region]], order: Sequence[int]) -> bool:
    """Whether the shapes have their colours where this order has them."""
    for slot, box in enumerate(order):
        for region in moved(boxes[box], slot - box):
            left, top, right, bottom = region.box
            place = int((left + right) / 2 * WIDTH), int((top + 2 * bottom) / 3 * HEIGHT)
            found = pixels.getpixel(place)
            assert isinstance(found, tuple)
            if sum(abs(a - b) for a, b in zip(found, RGB[region.attributes[0]], strict=True)) > NEAR:
                return False
    return True
