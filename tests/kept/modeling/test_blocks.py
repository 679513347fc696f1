"""Every interaction block keeps the contract, and each one's streams meet where its source says."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from kept.modeling import visibility
from kept.modeling.blocks import BLOCKS, Place
from kept.modeling.streams import Stream
from tests.kept.modeling.contract import HEADS, HIDDEN, WIDTH, BlockContract, fresh, random

POST_PLAIN = {"norm": "post", "feed_forward": "plain", "eps": 1e-12}
"""BERT's style of layers."""


class TestMergeAttention(BlockContract):
    member = "merge"


class TestMergeInTheStyleOfBERT(BlockContract):
    member = "merge"
    options: ClassVar = POST_PLAIN


class TestExpertsInTheStyleOfBERT(BlockContract):
    member = "merge"
    options: ClassVar = {"experts": True, **POST_PLAIN}


class TestMergeWithExperts(BlockContract):
    member = "merge"
    options: ClassVar = {"experts": True}

    def test_each_kind_has_a_feed_forward_of_its_own(self) -> None:
        block, streams = self.make(), self.streams()
        before = block(streams)
        block.experts["image"].feed_forward.contract.weight.data.add_(1.0)
        after = block(streams)
        assert torch.equal(before["text"].states, after["text"].states)
        assert not torch.equal(before["image"].states, after["image"].states)


class TestSingleThenTwo(BlockContract):
    member = "single-then-two"

    def test_late_layers_keep_the_streams_apart(self) -> None:
        streams = self.streams()
        late = fresh(BLOCKS["single-then-two"](WIDTH, HEADS, HIDDEN, place=Place(3, 4, tuple(streams))))
        alone = late({"text": streams["text"]})["text"].states
        torch.testing.assert_close(late(streams)["text"].states, alone)

    def test_half_of_the_layers_are_joint(self) -> None:
        joint = [BLOCKS["single-then-two"](WIDTH, HEADS, HIDDEN, place=Place(i, 5)).own is None for i in range(5)]
        assert joint == [True, True, True, False, False]


class TestAddition(BlockContract):
    member = "add"

    def test_what_is_added_is_the_mean_of_the_others(self) -> None:
        block, streams = self.make(), self.streams()
        alone = {name: block({name: stream})[name].states for name, stream in streams.items()}
        total = alone["text"].clone()
        for name in ("image", "entity"):
            for row in range(3):
                real = alone[name][row][streams[name].mask[row]]
                if len(real):
                    total[row] += block.maps[name](block.norms[name](real.mean(0)))
        torch.testing.assert_close(block(streams)["text"].states, total)


class TestMultiplication(BlockContract):
    member = "add"
    options: ClassVar = {"how": "multiply"}


class TestMeter(BlockContract):
    member = "co"


class TestMeterAsPublished(BlockContract):
    member = "co"
    options: ClassVar = POST_PLAIN


class TestViLBERTAsPublished(BlockContract):
    member = "co"
    options: ClassVar = {"wiring": "vilbert", **POST_PLAIN}


class TestLXMERTAsPublished(BlockContract):
    member = "co"
    options: ClassVar = {"wiring": "lxmert", **POST_PLAIN}


class TestViLBERT(BlockContract):
    member = "co"
    options: ClassVar = {"wiring": "vilbert"}


class TestLXMERT(BlockContract):
    member = "co"
    options: ClassVar = {"wiring": "lxmert"}

    def test_all_streams_share_one_cross_attention(self) -> None:
        crosses = self.make().crosses
        assert len({id(cross) for cross in crosses.values()}) == 1

    def test_both_directions_read_what_was_there_before(self) -> None:
        """Had the image been changed first, the text would differ."""
        block, streams = self.make(), self.streams()
        order = ["image", "entity", "text"]
        turned = block({name: streams[name] for name in order})
        torch.testing.assert_close(turned["text"].states[0], block(streams)["text"].states[0])


class TestOneWay(BlockContract):
    member = "cross"

    def test_the_others_pass_unchanged(self) -> None:
        found, streams = self.make()(self.streams()), self.streams()
        assert torch.equal(found["image"].states, streams["image"].states)
        assert not torch.equal(found["text"].states, streams["text"].states)


class TestOneWayInTheStyleOfBERT(BlockContract):
    member = "cross"
    options: ClassVar = POST_PLAIN


class TestMutual(BlockContract):
    member = "cross"
    options: ClassVar = {"into": None}


class TestTangledAttention(BlockContract):
    member = "tangled"

    def test_without_a_leading_state_the_others_read_themselves(self) -> None:
        block, streams = self.make(), self.streams()
        alone = block({name: streams[name] for name in ("text", "image")})
        found = block(streams)
        torch.testing.assert_close(found["text"].states[2], alone["text"].states[2])
        assert not torch.allclose(found["text"].states[0], alone["text"].states[0], atol=1e-4)


def test_what_the_streams_may_not_see_of_each_other_is_cut_out_of_the_whole() -> None:
    streams = {name: Stream.full(random(2, length, WIDTH), name) for name, length in (("a", 3), ("b", 2), ("c", 4))}
    visible = torch.rand(2, 1, 9, 9) < 0.5
    found = visibility.between(streams, visible, "b", ["c", "a"])
    assert torch.equal(found, torch.cat([visible[:, :, 3:5, 5:], visible[:, :, 3:5, :3]], dim=-1))
    for shape in ((1, 1, 1, 9), (1, 1, 9, 1), (2, 1, 1, 1)):
        broadcast = torch.rand(*shape) < 0.5
        expected = visibility.between(streams, broadcast.expand(2, 1, 9, 9), "a", ["b"])
        assert torch.equal(visibility.between(streams, broadcast, "a", ["b"]).expand_as(expected), expected)


@pytest.mark.parametrize("member", ["merge", "co", "add", "cross", "tangled", "single-then-two"])
def test_a_text_that_is_written_shares_the_weights_of_the_one_that_is_read(member: str) -> None:
    block = fresh(BLOCKS[member](WIDTH, HEADS, HIDDEN, place=Place(kinds=("text", "image"))))
    text = Stream.full(random(2, 3, WIDTH), "text")
    found = block({"text": text, "target": text})
    torch.testing.assert_close(found["text"].states, found["target"].states)
