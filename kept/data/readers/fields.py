"""Fields of what was read, each of the kind that it must have; boxes in pixels as shares."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from kept.data.readers.rejects import Unfit
from kept.data.record import Box

SLACK = 1.0
"""Pixels by which a box may stick out of its picture; it is cut."""
MALFORMED = "malformed"


def mapping(item: Any) -> dict[str, Any]:
    """An item that must be an object."""
    if not isinstance(item, dict):
        raise Unfit(MALFORMED, f"an object was expected, not {short(item)}")
    return item


def field(item: Any, key: str) -> Any:
    """What an item has under a key."""
    try:
        return mapping(item)[key]
    except KeyError:
        raise Unfit(MALFORMED, f"{key!r} is missing") from None


def text(item: Any, key: str) -> str:
    """A text that is not empty, with single spaces."""
    return written(field(item, key), key)


def written(value: Any, key: str) -> str:
    """A value as a text that is not empty."""
    if not isinstance(value, str):
        raise Unfit(MALFORMED, f"{key!r} is no text but {short(value)}")
    if not (value := " ".join(value.split())):
        raise Unfit("empty text", f"{key!r}")
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise Unfit(MALFORMED, f"{key!r} holds characters that are none")
    return value


def number(item: Any, key: str) -> float:
    """A finite number, as a number or as digits."""
    value = field(item, key)
    try:
        value = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise Unfit(MALFORMED, f"{key!r} is no number but {short(mapping(item)[key])}")
    return value


def size(item: Any, key: str) -> float:
    """A number above 0."""
    value = number(item, key)
    if value <= 0:
        raise Unfit(MALFORMED, f"{key!r} is {value:g}")
    return value


def identity(item: Any, key: str) -> str:
    """A whole number or a text that names something."""
    value = field(item, key)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Unfit(MALFORMED, f"{key!r} names nothing: {short(value)}")
    return written(str(value), key)


def listing(item: Any, key: str) -> list[Any]:
    """A list."""
    value = field(item, key)
    if not isinstance(value, list):
        raise Unfit(MALFORMED, f"{key!r} is no list but {short(value)}")
    return value


def texts(values: Iterable[Any], key: str) -> tuple[str, ...]:
    """The different texts of a list, in order; empty ones are left out."""
    return tuple(dict.fromkeys(written(value, key) for value in values if value != ""))


def corners(item: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom in pixels, out of x, y, w and h."""
    x, y, width, height = (number(item, key) for key in "xywh")
    return x, y, x + width, y + height


def share_box(box: Iterable[float], width: float, height: float) -> Box:
    """A box in pixels as shares of the picture's width and height, in float32.

    What sticks out by less than a pixel is cut.

    Raises:
        Unfit: when the box sticks out further, or has no area.

    >>> share_box((10, -0.5, 20, 50), 40, 100)
    (0.25, 0.0, 0.5, 0.5)
    """
    left, top, right, bottom = box
    if min(left, top) <= -SLACK or right >= width + SLACK or bottom >= height + SLACK:
        raise Unfit("box outside the picture", f"{shown(box)} in {width:g} x {height:g}")
    shares = left / width, top / height, right / width, bottom / height
    whole = tuple(single(min(1.0, max(0.0, share))) for share in shares)
    if not (whole[0] < whole[2] and whole[1] < whole[3]):
        raise Unfit("box without area", shown(box))
    return whole[0], whole[1], whole[2], whole[3]


def single(value: float) -> float:
    """A number as a shard holds it."""
    return struct.unpack("f", struct.pack("f", value))[0]


def shown(box: Iterable[float]) -> str:
    return "(" + ", ".join(f"{value:g}" for value in box) + ")"


def short(value: Any) -> str:
    written = repr(value)
    return written if len(written) <= 40 else written[:37] + "..."
