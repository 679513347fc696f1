"""Names of colours: measured from pixels, put on drawings, and behind them."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Colour = tuple[int, int, int]

NAMES = ("black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
UNCLEAR = len(NAMES)
CLEAR_SHARE = 0.75
"""A drawing is called by a colour when this share of its opaque pixels is of it."""
OPAQUE = 128

BACKGROUNDS: dict[str, Colour] = {
    "white": (250, 250, 250),
    "grey": (190, 190, 190),
    "yellow": (252, 236, 150),
    "orange": (252, 204, 150),
    "green": (178, 226, 172),
    "blue": (170, 204, 242),
    "purple": (206, 186, 238),
    "pink": (252, 198, 216),
}
TINTS: dict[str, Colour] = {
    "red": (222, 38, 38),
    "orange": (246, 140, 24),
    "yellow": (250, 220, 36),
    "green": (52, 168, 66),
    "blue": (44, 104, 222),
    "purple": (136, 66, 214),
    "pink": (246, 96, 172),
    "grey": (168, 168, 168),
}
DARKEST, LIGHTEST = 0.72, 0.22
LUMA = np.array((0.299, 0.587, 0.114), dtype=np.float32)


def name_of(rgb: NDArray[np.float64]) -> NDArray[np.int64]:
    """(..., 3) colours in [0, 1] -> places in NAMES, or UNCLEAR between two of them.

    >>> [NAMES[place] for place in name_of(np.array([[0.9, 0.1, 0.1], [0.5, 0.5, 0.5]]))]
    ['red', 'grey']
    """
    value, low = rgb.max(axis=-1), rgb.min(axis=-1)
    spread = value - low
    saturation = np.divide(spread, value, out=np.zeros_like(value), where=value > 0)
    safe = np.where(spread > 0, spread, 1)
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    hue = np.select(
        [value == red, value == green], [(green - blue) / safe % 6, (blue - red) / safe + 2], (red - green) / safe + 4
    )
    hue = np.where(spread > 0, hue * 60, 0)
    pale = (saturation < 0.5) & (value > 0.75)
    rules = [
        (value < 0.22, "black"),
        ((saturation < 0.1) & (value > 0.9), "white"),
        ((saturation < 0.12) & (value < 0.85), "grey"),
        (saturation < 0.12, None),
        ((hue < 14) | (hue >= 345), "red"),
        ((hue < 40) & (value >= 0.68), "orange"),
        (hue < 40, "brown"),
        (hue < 47, None),
        ((hue < 66) & (value >= 0.6), "yellow"),
        (hue < 78, None),
        (hue < 160, "green"),
        (hue < 190, None),
        (hue < 240, "blue"),
        (hue < 252, None),
        (hue < 292, "purple"),
        (value >= 0.6, "pink"),
    ]
    places = [UNCLEAR if name is None else NAMES.index(name) for _, name in rules]
    found = np.select([rule for rule, _ in rules], places, UNCLEAR)
    return np.where((found == NAMES.index("red")) & pale, NAMES.index("pink"), found)


@cache
def table() -> NDArray[np.uint8]:
    """The names of all colours of five bits a channel, so that naming a pixel is one look-up."""
    steps = (np.arange(32) * 8 + 4) / 255
    return name_of(np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1)).astype(np.uint8).ravel()


def measure(rgba: Pixels) -> str | None:
    """The colour that most of a drawing's opaque pixels are of, or None where no colour has CLEAR_SHARE of them.

    >>> measure(np.full((4, 4, 4), (220, 30, 30, 255), dtype=np.uint8))
    'red'
    """
    pixels = rgba[rgba[..., 3] >= OPAQUE].astype(np.intp)
    if not len(pixels):
        return None
    counts = np.bincount(table()[pixels[:, 0] >> 3 << 10 | pixels[:, 1] >> 3 << 5 | pixels[:, 2] >> 3])
    best = int(counts.argmax())
    return NAMES[best] if best < UNCLEAR and counts[best] >= CLEAR_SHARE * len(pixels) else None


def tint(rgba: Pixels, name: str) -> Pixels:
    """A drawing in one colour, light and dark as it was.

    With luminance l in [0, 1], a pixel becomes c (d + (1 - d) l / 0.6) up to l = 0.6 and then goes to white by at most
    LIGHTEST, where c is the colour and d is DARKEST; so every pixel keeps the colour's name.
    """
    light = rgba[..., :3].astype(np.float32) @ LUMA / 255
    colour = np.array(TINTS[name], dtype=np.float32)
    shade = DARKEST + (1 - DARKEST) * np.minimum(light / 0.6, 1)
    white = LIGHTEST * np.clip((light - 0.6) / 0.4, 0, 1) * (name != "grey")
    new = colour * (shade * (1 - white))[..., None] + 255 * white[..., None]
    return np.concatenate([new.round().astype(np.uint8), rgba[..., 3:]], axis=-1)


def gradient(name: str, size: int, strength: float) -> Pixels:
    """A ground of one named colour, (size, size, 3): plain, or lighter towards the bottom by up to `strength`."""
    base = np.array(BACKGROUNDS[name], dtype=np.float32)
    share = np.linspace(0, strength, size, dtype=np.float32)[:, None]
    rows = (base * (1 - share) + 255 * share).round().astype(np.uint8)
    return np.repeat(rows[:, None], size, axis=1)


def distance(rgba: Pixels, name: str) -> float:
    """How far a drawing's mean colour is from a ground's, 0 to 441."""
    pixels = rgba[rgba[..., 3] >= OPAQUE]
    if not len(pixels):
        return 0.0
    return float(np.linalg.norm(pixels[:, :3].mean(axis=0) - np.array(BACKGROUNDS[name])))
