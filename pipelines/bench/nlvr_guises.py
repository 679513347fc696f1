"""NLVR's examples in guises that are true or false for the same reason: as shapes, as words and as pixels."""

from __future__ import annotations

import difflib
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kept.data.readers.nlvr import GROUND, HEIGHT, NAMES, NLVR, RGB, STEP, WIDTH, feature_of, moved, slot_of
from kept.data.record import Record, Region
from kg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

COPIES = 12
"""Of each NLVR example that is trained on, the first as it is."""
PARTS = ("dev", "test", "hidden")
ORDERS = tuple(permutations(range(3)))
COLOUR_WORD = re.compile(rf"\b({'|'.join(NAMES)})\b", re.IGNORECASE)
SIDE_WORD = re.compile(r"\b(left|right)", re.IGNORECASE)


def nlvr_root(data: Path | None) -> Path:
    """The folder of NLVR's parts, by default where `unpack.py` puts it.

    Raises:
        InputError: when it does not hold dev, test and hidden.
    """
    root = data or Path(".data/eval/nlvr")
    for part in PARTS:
        if not file_of(root, part).is_file():
            raise InputError(f"{file_of(root, part)}: no such file; name NLVR's folder by --data")
    return root


def file_of(root: Path, part: str) -> Path:
    """Where the examples of a part are told."""
    return root / part / f"{part}.json"


def examples(root: Path, *parts: str) -> Iterator[Record]:
    """The examples of some parts with their shapes, in the first of the six pictures."""
    paths = tuple(str(file_of(root, part)) for part in parts)
    yield from NLVR(paths=paths, pictures=str(root), permutations=1, features=True).records()


@dataclass(frozen=True, slots=True)
class Guise:
    """Boxes in another order, mirrored one by one, in exchanged colours.

    Args:
        number: which of an example's guises it is; 0 is the example as it is.
        order: box `order[s]` stands at place s.
        mirror: whether left and right of each box are exchanged.
        colours: what each of `NAMES` becomes; None where the sentence does not let them be exchanged.
    """

    number: int = 0
    order: tuple[int, ...] = (0, 1, 2)
    mirror: bool = False
    colours: tuple[str, ...] | None = None

    def told(self, record: Record) -> Record:
        """The sentence and the shapes in this guise; they have no picture yet."""
        if self.number == 0:
            return record
        text, regions = record.text or "", reordered(record.regions, self.order)
        if self.mirror:
            regions = [mirrored(region) for region in regions]
        if self.colours is not None:
            change = dict(zip(NAMES, self.colours, strict=True))
            text = COLOUR_WORD.sub(lambda found: change[found[0].lower()], text)
            regions = [
                region._replace(attributes=tuple(change[name] for name in region.attributes)) for region in regions
            ]
        regions = [region._replace(feature=feature_of(region)) for region in regions]
        return replace(record, id=f"{record.id}/{self.number}", text=text, regions=tuple(regions), image=None)

    def shown(self, boxes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(3, 100, 100, 3) -> the same: the pixels of the three boxes in this guise."""
        placed = boxes[list(self.order)]
        placed = placed[:, :, ::-1] if self.mirror else placed
        return placed if self.colours is None else recoloured(placed, self.colours)


def guises(record: Record, copies: int = COPIES) -> Iterator[Guise]:
    """Guises for one example, drawn by its id.

    Sentences that speak of left and right are not mirrored, those with a colour misspelt keep their colours.
    """
    yield Guise()
    draw = random.Random(record.id)
    text = record.text or ""
    for number in range(1, copies):
        mirror = draw.random() < 0.5 and not SIDE_WORD.search(text)
        colours = None if misspelt(text) else tuple(draw.sample(NAMES, len(NAMES)))
        yield Guise(number, ORDERS[number % len(ORDERS)], mirror, colours)


def recoloured(pixels: NDArray[np.uint8], colours: Sequence[str]) -> NDArray[np.uint8]:
    """(..., 3) -> the same, with each of `NAMES` exchanged for its one of `colours`.

    Edges are mixtures of the three colours and the ground, four points that span all of RGB, so that the exchange is
    one affine map, exact for mixtures too: p = black + sum w_i (c_i - black) becomes black' + sum w_i (c_i' - black').

    >>> recoloured(np.array([[255, 255, 0], [211, 211, 211]], dtype=np.uint8), ("blue", "black", "yellow")).tolist()
    [[0, 153, 255], [211, 211, 211]]
    """
    corners = [np.array([*(RGB[name] for name in chosen), GROUND], dtype=float) for chosen in (NAMES, colours)]
    homogeneous = [np.column_stack([corner, np.ones(len(corner))]) for corner in corners]
    change = np.linalg.solve(*homogeneous)[:, :3]
    mapped = pixels.reshape(-1, 3) @ change[:3] + change[3]
    return mapped.round().clip(0, 255).astype(np.uint8).reshape(pixels.shape)


def reordered(regions: Sequence[Region], order: Sequence[int]) -> list[Region]:
    """The shapes when box `order[s]` stands at place s."""
    boxes = [[region for region in regions if slot_of(region) == slot] for slot in range(3)]
    return [region for slot, box in enumerate(order) for region in moved(boxes[box], slot - box)]


def mirrored(region: Region) -> Region:
    """A shape with left and right of its box exchanged."""
    left, top, right, bottom = region.box
    middle = (STEP * slot_of(region) * 2 + HEIGHT) / WIDTH
    return region._replace(box=(middle - right, top, middle - left, bottom))


def misspelt(text: str) -> bool:
    """Whether a word looks like the name of a colour and is none."""
    words = {word for word in re.findall(r"[a-z]+", text.lower()) if word not in NAMES}
    return any(difflib.get_close_matches(word, NAMES, 1, 0.75) for word in words)
