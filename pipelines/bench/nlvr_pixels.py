"""NLVR as pixels alone: each example's three boxes set into a square, for guises too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kept.data.readers.nlvr import HEIGHT, STEP, WIDTH
from kept.data.record import Record
from kg.errors import InputError
from pipelines.bench.nlvr_guises import guises

if TYPE_CHECKING:
    from numpy.typing import NDArray

GAP = 128
"""The grey between boxes, and of the square's empty cell."""


def boxes_in(path: Path) -> NDArray[np.uint8]:
    """(3, 100, 100, 3): the three boxes of one of NLVR's pictures.

    Raises:
        InputError: when there is no such picture, or one of another size.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            size, pixels = image.size, np.asarray(image.convert("RGB")) if image.size == (WIDTH, HEIGHT) else None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: not a picture that can be read ({' '.join(str(error).split())})") from None
    if pixels is None:
        raise InputError(f"{path}: a picture of {size[0]} x {size[1]} pixels; NLVR's have {WIDTH} x {HEIGHT}")
    return np.stack([pixels[:, left : left + HEIGHT] for left in range(0, 2 * STEP + 1, STEP)])


def in_a_square(boxes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(3, S, S, 3) -> (2 S, 2 S, 3): two boxes above, the third below on the left, nothing beside it.

    A model that looks at squares would otherwise waste three quarters of them on a strip's surroundings.

    >>> in_a_square(np.array([1, 2, 3], dtype=np.uint8).reshape(3, 1, 1, 1).repeat(3, 3))[..., 0].tolist()
    [[1, 2], [3, 128]]
    """
    above = np.concatenate([boxes[0], boxes[1]], axis=1)
    below = np.concatenate([boxes[2], np.full_like(boxes[2], GAP)], axis=1)
    return np.concatenate([above, below])


def write_square(boxes: NDArray[np.uint8], root: Path, name: str) -> str:
    """Write three boxes in a square as `root / name`; returns the name."""
    from PIL import Image

    (root / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(in_a_square(boxes)).save(root / name)
    return name


def pictured(records: Iterator[Record], source: Path, out: Path, copies: int) -> Iterator[Record]:
    """Each record in that many guises, with its shapes and a picture of them below `out`.

    Args:
        source: the root of the records' own pictures.
    """
    for record in records:
        boxes = boxes_in(source / (record.image or ""))
        for guise in guises(record, copies):
            told = guise.told(record)
            yield replace(told, image=write_square(guise.shown(boxes), out, f"{record.id}-{guise.number}.png"))
