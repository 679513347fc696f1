"""Every head keeps the contract; what it says has the shape that its source gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from kept.modeling.heads import HEADS
from kept.modeling.streams import Stream
from kg.errors import InputError
from tests.kept import tiny
from tests.kept.modeling.contract import WIDTH, HeadContract, fresh, random

STATES = random(4, WIDTH, seed=11)
PATCHES = random(4, 4, WIDTH, seed=12)
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]).bool()


def stream(rows: Tensor) -> Stream:
    return Stream.full(PATCHES[rows], "image", MASK[rows])


class TestAnswerHead(HeadContract):
    member = "answers"

    def outputs(self, head: Any, rows: Tensor) -> Sequence[Tensor]:
        return [head(STATES[rows])]

    def test_it_scores_every_answer(self) -> None:
        assert self.outputs(self.make(), torch.arange(2))[0].shape == (2, len(tiny.CLASSES["answers"]))


class TestRegionHead(HeadContract):
    member = "regions"

    def outputs(self, head: Any, rows: Tensor) -> Sequence[Tensor]:
        return [head(STATES[rows], of) for of in ("objects", "attributes", "feature")]

    def test_it_says_class_attribute_and_feature(self) -> None:
        widths = [found.shape[1] for found in self.outputs(self.make(), torch.arange(2))]
        assert widths == [len(tiny.CLASSES["objects"]), len(tiny.CLASSES["attributes"]), tiny.FEATURES]


class TestTiedRegionHead(HeadContract):
    member = "regions"
    options: ClassVar = {"tied": True}

    def outputs(self, head: Any, rows: Tensor) -> Sequence[Tensor]:
        projection = random(WIDTH, tiny.FEATURES, seed=5)
        return [
            head(STATES[rows], "objects"),
            head(STATES[rows], "attributes"),
            head(STATES[rows], "feature", projection),
        ]

    def test_the_feature_is_the_towers_map_transposed(self) -> None:
        head, projection = self.make(), random(WIDTH, tiny.FEATURES, seed=5)
        expected = head.transform(STATES) @ projection + head.feature_bias
        torch.testing.assert_close(head(STATES, "feature", projection), expected)
        with pytest.raises(ValueError, match="a tied head needs the projection"):
            head(STATES, "feature")


class TestPictureHead(HeadContract):
    member = "picture"

    def outputs(self, head: Any, rows: Tensor) -> Sequence[Tensor]:
        return [head(STATES[rows])]


class TestPixelHead(HeadContract):
    member = "pixels"

    def outputs(self, head: Any, rows: Tensor) -> Sequence[Tensor]:
        return [head(stream(rows))]

    def test_each_patch_gets_its_pixels(self) -> None:
        assert self.outputs(self.make(), torch.arange(3))[0].shape == (3, 4, 3 * tiny.PATCH**2)


class TestDeepPixelHead(TestPixelHead):
    member = "pixels"
    options: ClassVar = {"layers": 1}


class TestDetectionHead(HeadContract):
    member = "detection"
    options: ClassVar = {"queries": 3, "layers": 2}

    def outputs(self, head: Any, rows: Tensor) -> Sequence[Tensor]:
        found = head({"image": stream(rows)}, ("image",))
        return [part for layer in found for part in layer]

    def test_every_layer_says_classes_boxes_and_attributes(self) -> None:
        shapes = [tuple(found.shape) for found in self.outputs(self.make(), torch.arange(2))]
        objects, attributes = len(tiny.CLASSES["objects"]), len(tiny.CLASSES["attributes"])
        assert shapes == [(2, 3, objects + 1), (2, 3, 4), (2, 3, attributes)] * 2

    def test_what_is_masked_is_not_read(self) -> None:
        head, rows = self.make(), torch.arange(4)
        noisy = Stream.full(torch.where(MASK[..., None], PATCHES, 9.0), "image", MASK)
        for one, two in zip(head({"image": stream(rows)}, ("image",)), head({"image": noisy}, ("image",)), strict=True):
            for found, expected in zip(one, two, strict=True):
                torch.testing.assert_close(found, expected)


class TestDetectionByPatches(TestDetectionHead):
    member = "detection"
    options: ClassVar = {"queries": 4, "layers": 1, "of": "patches"}

    def head(self, **options: Any) -> Any:
        return fresh(HEADS["detection"](self.config(), **{**self.options, **options}))

    def test_every_layer_says_classes_boxes_and_attributes(self) -> None:
        assert [found.shape[:2] for found in self.outputs(self.make(), torch.arange(2))] == [(2, 4)] * 3

    def test_what_is_masked_is_not_read(self) -> None:
        head = self.make()
        noisy = Stream.full(torch.where(MASK[..., None], PATCHES, 9.0), "image", MASK)
        one, two = (head({"image": each}, ("image",))[0] for each in (stream(torch.arange(4)), noisy))
        for found, expected in zip(one, two, strict=True):
            torch.testing.assert_close(found[MASK], expected[MASK])

    def test_each_patch_looks_about_its_own_middle(self) -> None:
        head = self.head(layers=0)
        for weight in head.box.parameters():
            torch.nn.init.zeros_(weight)
        [(_, boxes, _)] = head({"image": stream(torch.arange(1))}, ("image",))
        expected = [[x, y, 1 / 3, 1 / 3] for y in (0.25, 0.75) for x in (0.25, 0.75)]
        torch.testing.assert_close(boxes[0], torch.tensor(expected))

    def test_a_summary_before_the_patches_is_no_candidate(self) -> None:
        head = self.head(layers=0)
        both = Stream.full(torch.cat([torch.ones(4, 1, WIDTH), PATCHES], dim=1), "image")
        [(one, _, _)], [(two, _, _)] = (
            head({"image": each}, ("image",)) for each in (both, Stream.full(PATCHES, "image"))
        )
        torch.testing.assert_close(one, two)

    @pytest.mark.parametrize("queries", [3, 9, 5])
    def test_other_numbers_are_refused(self, queries: int) -> None:
        with pytest.raises(InputError, match=f"detection.queries: {queries}; with of: patches the number of patches"):
            self.head(queries=queries)({"image": stream(torch.arange(1))}, ("image",))

    def test_queries_need_a_layer(self) -> None:
        with pytest.raises(InputError, match=r"detection\.layers"):
            self.head(of="queries", layers=0)


class TestWriterHead(HeadContract):
    member = "writer"
    options: ClassVar = {"layers": 1}

    def outputs(self, head: Any, rows: Tensor) -> Sequence[Tensor]:
        written = Stream.full(random(4, 3, WIDTH, seed=14)[rows], "text")
        return [head(written, {"image": stream(rows)})]

    def test_no_state_sees_what_is_written_behind_it(self) -> None:
        head, read = self.make(), {"image": stream(torch.arange(4))}
        written = random(4, 3, WIDTH, seed=14)
        changed = written.clone()
        changed[:, 2] = 5.0
        one, two = (head(Stream.full(each, "text"), read) for each in (written, changed))
        torch.testing.assert_close(one[:, :2], two[:, :2])
