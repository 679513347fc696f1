from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kept.data.scenes.colours import (
    BACKGROUNDS,
    LUMA,
    NAMES,
    TINTS,
    UNCLEAR,
    distance,
    gradient,
    measure,
    name_of,
    tint,
)

BYTE = st.integers(0, 255)


def name_by_hand(red: int, green: int, blue: int) -> str | None:
    """Colour names one pixel at a time, over the standard library's conversion."""
    hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
    hue *= 360
    if value < 0.22:
        return "black"
    if saturation < 0.12:
        if value > 0.9 and saturation < 0.1:
            return "white"
        return "grey" if value < 0.85 else None
    if hue < 14 or hue >= 345:
        return "pink" if saturation < 0.5 and value > 0.75 else "red"
    bounds = ((40, "orange"), (47, None), (66, "yellow"), (78, None), (160, "green"), (190, None), (240, "blue"))
    for bound, name in (*bounds, (252, None), (292, "purple"), (345, "pink")):
        if hue < bound:
            if name == "orange" and value < 0.68:
                return "brown"
            return None if name in ("yellow", "pink") and value < 0.6 else name
    raise AssertionError(hue)


@settings(max_examples=400, deadline=None)
@given(BYTE, BYTE, BYTE)
def test_names_of_colours(red: int, green: int, blue: int) -> None:
    hue = 360 * colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)[0]
    assume(abs(hue - round(hue)) > 1e-9 or hue == 0)  # on a bound the two roundings may differ
    place = int(name_of(np.array([red, green, blue]) / 255))
    assert (None if place == UNCLEAR else NAMES[place]) == name_by_hand(red, green, blue)


@pytest.mark.parametrize("name", TINTS)
def test_a_tint_gives_every_shade_its_name(name: str) -> None:
    """Black to white become shades of one colour, which keep their order."""
    shades = np.zeros((1, 256, 4), dtype=np.uint8)
    shades[..., :3] = np.arange(256)[None, :, None]
    shades[..., 3] = 255
    new = tint(shades, name)
    assert {name_by_hand(*pixel[:3]) for pixel in new[0].tolist()} == {name} and measure(new) == name
    assert (np.diff(new[0, :, :3].astype(float) @ LUMA) >= -0.5).all()
    assert (new[..., 3] == 255).all()


@pytest.mark.parametrize("name", BACKGROUNDS)
@pytest.mark.parametrize("strength", [0.0, 0.25])
def test_grounds(name: str, strength: float) -> None:
    ground = gradient(name, 20, strength)
    assert ground.shape == (20, 20, 3) and tuple(ground[0, 0].tolist()) == BACKGROUNDS[name]
    assert (ground == ground[:, :1]).all() and (np.diff(ground[:, 0].astype(int), axis=0) >= 0).all()
    whole = np.concatenate([ground, np.full((20, 20, 1), 255, dtype=np.uint8)], axis=2)
    assert measure(whole) == name and (strength > 0 or distance(whole, name) == 0)


def test_no_colour_is_named_where_there_is_no_clear_one() -> None:
    half = np.zeros((2, 10, 4), dtype=np.uint8)
    half[..., 3] = 255
    half[0, :, 0] = 220
    half[1, :, 2] = 220
    assert measure(half) is None
    half[..., 3] = 10
    assert measure(half) is None and distance(half, "white") == 0.0
