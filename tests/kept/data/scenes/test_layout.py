"""Boxes are those of drawn pixels, words are true of them, and a scene depends on its number alone."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from kept.data.record import Box
from kept.data.scenes.colours import BACKGROUNDS, NAMES, OPAQUE, TINTS
from kept.data.scenes.layout import COVERED, LARGE, SCALES, SMALL, Scene, Stamp, compose, place_all, place_on_grid
from kept.data.scenes.world import World
from tests.kept.data.scenes.test_colours import name_by_hand
from tests.kept.data.scenes.tiny import tiny_world

COUNT = 40


@pytest.fixture(scope="module")
def world() -> World:
    return tiny_world()


@pytest.fixture(scope="module")
def scenes(world: World) -> list[Scene]:
    return [compose(world, number) for number in range(COUNT)]


def alone(scene: Scene, stamp: Stamp) -> np.ndarray:
    """The picture with one object only."""
    return np.asarray(replace(scene, stamps=(stamp,)).render())


def changed(scene: Scene, stamp: Stamp) -> tuple[int, int, int, int]:
    """The tight box of the pixels that one object changes on the empty ground."""
    rows, columns = (alone(scene, stamp) != scene.ground()).any(axis=2).nonzero()
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def test_boxes_bound_the_pixels_that_an_object_changes(scenes: list[Scene]) -> None:
    for scene in scenes:
        for region, stamp in zip(scene.regions, scene.stamps, strict=True):
            assert tuple(round(side * scene.size) for side in region.box) == changed(scene, stamp)


def test_the_picture_is_its_objects_one_over_the_other(scenes: list[Scene]) -> None:
    """Where nothing overlaps, every pixel is that of the one object there; nothing else is drawn."""
    for scene in scenes:
        picture = np.asarray(scene.render())
        touched = np.zeros(picture.shape[:2], dtype=int)
        for stamp in scene.stamps:
            mask = (alone(scene, stamp) != scene.ground()).any(axis=2)
            touched += mask
        for stamp in scene.stamps:
            single = alone(scene, stamp)
            mask = (single != scene.ground()).any(axis=2) & (touched == 1)
            assert (picture[mask] == single[mask]).all()
        assert (picture[touched == 0] == scene.ground()[touched == 0]).all()


def share_of(a: Box, b: Box) -> tuple[float, float]:
    """IoU, and the share of the smaller box that the other lies on."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    first, second = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return width * height / (first + second - width * height), width * height / min(first, second)


def test_objects_lie_apart_and_inside(world: World, scenes: list[Scene]) -> None:
    for scene in scenes:
        assert world.options.least <= len(scene.stamps) <= world.options.most
        assert all(0 <= side <= 1 for region in scene.regions for side in region.box)
        for one, other in combinations(scene.regions, 2):
            iou, covered = share_of(one.box, other.box)
            assert iou <= world.options.max_iou + 1e-6 and covered <= COVERED + 1e-6


def test_words_are_true_of_what_is_drawn(scenes: list[Scene]) -> None:
    colours = 0
    for scene in scenes:
        for region, stamp in zip(scene.regions, scene.stamps, strict=True):
            size, *colour = region.attributes
            height, width = stamp.pixels.shape[:2]
            low, high = SCALES[size]
            assert round(low * scene.size) - 2 <= max(height, width) <= round(high * scene.size) + 1
            pixels = stamp.pixels[stamp.pixels[..., 3] >= OPAQUE][:, :3]
            named = [name_by_hand(*(int(channel) // 8 * 8 + 4 for channel in pixel)) for pixel in pixels.tolist()]
            for name in NAMES:
                share = named.count(name) / len(named)
                assert (share >= 0.75) == (colour == [name])
            colours += bool(colour)
            if stamp.tint:
                assert colour == [stamp.tint]
            assert scene.background not in colour
    assert colours > COUNT


def test_the_ground_has_its_colour_everywhere(scenes: list[Scene]) -> None:
    for scene in scenes:
        column = scene.ground()[:, 0].tolist()
        assert {name_by_hand(*pixel) for pixel in column} == {scene.background}
    assert {scene.background for scene in scenes} == set(BACKGROUNDS)


def test_a_scene_can_be_made_alone(world: World, scenes: list[Scene]) -> None:
    again = compose(tiny_world(), 7)
    assert again.render().tobytes() == scenes[7].render().tobytes()
    assert again.regions == scenes[7].regions
    assert compose(tiny_world(seed=1), 7).render().tobytes() != scenes[7].render().tobytes()


def test_where_there_is_no_room_objects_become_small_and_get_cells() -> None:
    world = tiny_world(size=64, least=12, most=12, held_out_entities=0.0, held_out_pairs=0.0, max_iou=0.0)
    crowded = [compose(world, number) for number in range(12)]
    assert any(all(stamp.size == SMALL for stamp in scene.stamps) for scene in crowded)
    for scene in crowded:
        assert len(scene.stamps) == 12
        assert all(share_of(a.box, b.box)[0] <= 1e-6 for a, b in combinations(scene.regions, 2))


def test_layouts_give_up_and_cells_do_not() -> None:
    world = tiny_world(size=64)
    random = world.options.random(0, "test")
    big = [Stamp(0, np.full((40, 40, 4), 255, dtype=np.uint8), LARGE)] * 4
    assert place_all(big, 64, 0.0, random) is None
    little = [Stamp(0, np.full((14, 14, 4), 255, dtype=np.uint8), SMALL)] * 12
    placed = place_on_grid(little, 64, random)
    assert all(share_of(a.box(64), b.box(64))[0] == 0 for a, b in combinations(placed, 2))


def test_without_tints_drawings_keep_their_colours() -> None:
    world = tiny_world(tinted=0.0, rotation=0.0)
    assert not any(stamp.tint for number in range(10) for stamp in compose(world, number).stamps)
    everything = tiny_world(tinted=1.0)
    tints = {stamp.tint for number in range(40) for stamp in compose(everything, number).stamps}
    assert tints == set(TINTS)
