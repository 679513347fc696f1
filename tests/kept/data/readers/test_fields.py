"""Boxes as shares against exact fractions; what is refused by name."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept.data.readers.base import expanded, is_outside
from kept.data.readers.fields import share_box
from kept.data.readers.rejects import Rejects, Unfit
from kg import InputError

lengths = st.integers(1, 5000)


@given(lengths, lengths, st.tuples(*[st.integers(-3, 5003)] * 4), st.sampled_from([0.0, 0.5, 0.75]))
def test_boxes_are_cut_within_a_pixel_and_refused_beyond(
    width: int, height: int, whole: tuple[int, int, int, int], part: float
) -> None:
    left, top, right, bottom = box = tuple(side + part for side in whole)
    inside = left > -1 and top > -1 and right < width + 1 and bottom < height + 1
    cut = [
        Fraction(min(max(side, 0), length)) / length
        for side, length in zip(box, (width, height, width, height), strict=True)
    ]
    rounded = [float(np.float32(float(share))) for share in cut]
    if inside and rounded[0] < rounded[2] and rounded[1] < rounded[3]:
        assert share_box(box, width, height) == pytest.approx(tuple(rounded), abs=1e-7)
    else:
        with pytest.raises(Unfit, match="box without area" if inside else "box outside the picture"):
            share_box(box, width, height)


def test_patterns_are_bounded() -> None:
    assert expanded("a-{0..1}{08..09}") == ["a-008", "a-009", "a-108", "a-109"]
    for pattern in ("a-{0..999999999}", "{0..999}{0..999}", "a-{3..2}"):
        with pytest.raises(InputError, match="names"):
            expanded(pattern)


@pytest.mark.parametrize("name", ["", "..", "a/..", "/a", "\\a", "a\\..\\b", "c:/a", "a\0"])
def test_names_that_lead_outside(name: str) -> None:
    assert is_outside(name)
    assert not is_outside("a..b/c.d")


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(InputError, match="on_error: 'skp' is no choice; did you mean 'skip'"):
        Rejects("skp")
