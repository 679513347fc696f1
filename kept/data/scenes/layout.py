"""Scenes: which things, how they look, where they lie; boxes are those of the pixels that are drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kept.data.record import Box, Region, Relation
from kept.data.scenes.artwork import FAINT
from kept.data.scenes.colours import BACKGROUNDS, TINTS, distance, gradient, measure, tint
from kept.data.scenes.relations import area, intersection, iou, relate
from kept.data.scenes.world import World

SMALL, LARGE = "small", "large"
SCALES = {SMALL: (0.17, 0.22), LARGE: (0.3, 0.4)}
"""The longer side of a drawing in shares of the canvas."""
MOST_LARGE = 3
COVERED = 0.25
"""The greatest share of a box that another may lie on."""
TRIES, LAYOUTS = 30, 8
CONTRAST = 60.0
"""The least distance of a drawing's mean colour from the ground, of 441."""
STRENGTH = 0.25

Pixels = NDArray[np.uint8]


def sprite_size(canvas: int) -> int:
    """The side at which drawings are kept for a canvas: a bit more than the largest that is drawn.

    >>> sprite_size(160)
    70
    """
    return round(max(SCALES[LARGE]) * canvas * 1.1)


@dataclass(frozen=True)
class Stamp:
    """A drawing as it lies in a scene: which thing, its pixels, its colour if it was drawn in one, and its place."""

    thing: int
    pixels: Pixels
    size: str
    tint: str | None = None
    colour: str | None = None
    left: int = 0
    top: int = 0

    def box(self, canvas: int) -> Box:
        height, width = self.pixels.shape[:2]
        sides = (self.left, self.top, self.left + width, self.top + height)
        return tuple(float(np.float32(side / canvas)) for side in sides)  # type: ignore[return-value]


@dataclass(frozen=True)
class Scene:
    """One scene: `stamps` in drawing order on a ground whose colour has a name."""

    number: int
    split: str
    artist: str
    size: int
    background: str
    strength: float
    stamps: tuple[Stamp, ...]
    regions: tuple[Region, ...]
    relations: tuple[Relation, ...]

    @property
    def things(self) -> list[int]:
        return [stamp.thing for stamp in self.stamps]

    def ground(self) -> Pixels:
        """The canvas with nothing on it, (size, size, 3)."""
        return gradient(self.background, self.size, self.strength)

    def render(self) -> Image.Image:
        """The picture."""
        canvas = Image.fromarray(self.ground())
        for stamp in self.stamps:
            picture = Image.fromarray(stamp.pixels)
            canvas.paste(picture, (stamp.left, stamp.top), picture)
        return canvas


def compose(world: World, number: int) -> Scene:
    """A scene, settled by the world's seed and the scene's number alone.

    >>> compose(world, 7).regions[0]                                                      # doctest: +SKIP
    Region(box=(0.1, 0.25, 0.3, 0.45), label='dog', attributes=('small', 'brown'), feature=None)
    """
    options, artist = world.options, world.artist(number)
    random = options.random(number, "layout")
    roster = world.roster(number)
    large = {
        place for place in random.sample(range(len(roster)), min(MOST_LARGE, len(roster))) if random.random() < 0.7
    }
    sizes = [LARGE if place in large else SMALL for place in range(len(roster))]
    background, strength = random.choice(list(BACKGROUNDS)), random.choice((0.0, STRENGTH))
    stamps = [
        make_stamp(world, artist, thing, size, background, random) for thing, size in zip(roster, sizes, strict=True)
    ]
    placed = place_all(stamps, options.size, options.max_iou, random)
    if placed is None:
        stamps = [
            stamp if stamp.size == SMALL else make_stamp(world, artist, stamp.thing, SMALL, background, random)
            for stamp in stamps
        ]
        placed = place_on_grid(stamps, options.size, random)
    regions = tuple(
        Region(
            stamp.box(options.size),
            world.things[stamp.thing].label,
            (stamp.size,) if stamp.colour is None else (stamp.size, stamp.colour),
        )
        for stamp in placed
    )
    return Scene(
        number=number,
        split=world.split(number),
        artist=world.artists[artist],
        size=options.size,
        background=background,
        strength=strength,
        stamps=tuple(placed),
        regions=regions,
        relations=relate(regions),
    )


def make_stamp(world: World, artist: int, thing: int, size: str, background: str, random: Random) -> Stamp:
    """A drawing turned, mirrored, scaled, cut to what can be seen of it, in colours that the ground does not hide."""
    options = world.options
    picture = Image.fromarray(world.pixels[artist][thing])
    if options.rotation and random.random() < 0.5:
        angle = random.uniform(-options.rotation, options.rotation)
        picture = picture.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    if random.random() < options.flip:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    low, high = SCALES[size]
    side = random.randint(round(low * options.size), round(high * options.size))
    return coloured(Stamp(thing, trimmed(scaled(picture, side)), size), options.tinted, background, random)


def coloured(stamp: Stamp, tinted: float, background: str, random: Random) -> Stamp:
    """A drawing as it is or, with chance `tinted` or where the ground would hide it, in one colour.

    A tint stays only where most of the drawing then measures as that colour, and a ground hides what is of its name or
    close to it. Where no tint will do, the drawing stays as it is.
    """
    plain = replace(stamp, colour=measure(stamp.pixels))
    if random.random() >= tinted and (not tinted or stands_out(plain, background)):
        return plain
    for name in random.sample(list(TINTS), len(TINTS)):
        pixels = tint(stamp.pixels, name)
        new = replace(stamp, pixels=pixels, tint=name, colour=name)
        if measure(pixels) == name and stands_out(new, background):
            return new
    return plain


def stands_out(stamp: Stamp, background: str) -> bool:
    """Whether a drawing can be seen on a ground."""
    return stamp.colour != background and distance(stamp.pixels, background) >= CONTRAST


def scaled(picture: Image.Image, side: int) -> Image.Image:
    """What is to be seen of a picture, its longer side `side` pixels."""
    box = picture.getchannel("A").point(lambda alpha: 255 * (alpha >= FAINT)).getbbox()
    width, height = (box[2] - box[0], box[3] - box[1]) if box else picture.size
    factor = side / max(width, height)
    target = (max(1, round(width * factor)), max(1, round(height * factor)))
    return picture.resize(target, Image.Resampling.BILINEAR, box=box)


def trimmed(picture: Image.Image) -> Pixels:
    """Pixels without faint ones, cut to the tight box of the rest."""
    pixels = np.array(picture)
    pixels[pixels[..., 3] < FAINT] = 0
    rows, columns = pixels[..., 3].any(axis=1).nonzero()[0], pixels[..., 3].any(axis=0).nonzero()[0]
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def place_all(stamps: list[Stamp], canvas: int, max_iou: float, random: Random) -> list[Stamp] | None:
    """Places for all, or None where some layouts at random left one without."""
    for _ in range(LAYOUTS):
        placed: dict[int, Stamp] = {}
        for place in sorted(range(len(stamps)), key=lambda place: -max(stamps[place].pixels.shape[:2])):
            found = next(
                (
                    moved
                    for moved in (anywhere(stamps[place], canvas, random) for _ in range(TRIES))
                    if all(apart(moved.box(canvas), other.box(canvas), max_iou) for other in placed.values())
                ),
                None,
            )
            if found is None:
                break
            placed[place] = found
        else:
            return [placed[place] for place in range(len(stamps))]
    return None


def anywhere(stamp: Stamp, canvas: int, random: Random) -> Stamp:
    height, width = stamp.pixels.shape[:2]
    return replace(stamp, left=random.randint(0, canvas - width), top=random.randint(0, canvas - height))


def apart(a: Box, b: Box, max_iou: float) -> bool:
    return iou(a, b) <= max_iou and intersection(a, b) <= COVERED * min(area(a), area(b))


def place_on_grid(stamps: list[Stamp], canvas: int, random: Random) -> list[Stamp]:
    """Small drawings in cells of their own, which always fit."""
    side = int(np.ceil(np.sqrt(len(stamps))))
    cells = random.sample(range(side * side), len(stamps))
    placed = []
    for stamp, cell in zip(stamps, cells, strict=True):
        height, width = stamp.pixels.shape[:2]
        free = canvas // side
        left, top = cell % side * free, cell // side * free
        across, down = random.randint(0, max(0, free - width)), random.randint(0, max(0, free - height))
        placed.append(replace(stamp, left=left + across, top=top + down))
    return placed
