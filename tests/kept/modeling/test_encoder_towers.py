"""Whole transformers as towers keep the contract, at their own width and at another."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from kept.data.batch import Image, Text
from kept.modeling.image_tower import ImageEncoder
from kept.modeling.text_tower import TextEncoder
from kg.errors import InputError
from tests.kept.modeling.contract import WIDTH, TowerContract, random

SHAPE = {"width": WIDTH, "layers": 2, "heads": 2, "hidden": 12, "norm": "post"}
NARROW = {**SHAPE, "width": 6, "norm": "pre", "final_norm": True}


class TestTextEncoder(TowerContract):
    member = "text-encoder"
    options: ClassVar = {"vocabulary": 20, "max_length": 6, "encoder": SHAPE}

    def field(self) -> Text:
        ids = torch.tensor([[2, 7, 9, 3], [2, 8, 3, 0], [0, 0, 0, 0], [2, 9, 7, 3]])
        return Text(ids=ids, mask=ids > 0, special=ids < 5, words=ids)

    def test_the_order_of_words_matters(self) -> None:
        states = self.make()(self.field()).states
        assert not torch.allclose(states[0, 0], states[3, 0], atol=1e-3)

    def test_only_wanted_states_are_made(self) -> None:
        tower, text = self.make(), self.field()
        wanted = text.ids == 9
        stream = tower(text, wanted)
        torch.testing.assert_close(stream.states, tower(text).states * wanted[..., None])
        assert torch.equal(stream.mask, text.mask)

    def test_a_text_that_is_too_long_is_refused(self) -> None:
        ids = torch.zeros(1, 7, dtype=torch.int64)
        with pytest.raises(InputError, match="a text of 7 pieces, this model reads at most 6"):
            self.make()(Text(ids, ids == 0, ids > 0, ids))

    def test_dropout_is_that_of_all_parts_unless_the_encoder_says_more(self) -> None:
        config = TextEncoder(WIDTH, 20, 6, 0.3, encoder={**SHAPE, "attention_dropout": 0.1}).encoder.config
        assert (config.dropout, config.attention_dropout) == (0.3, 0.1)


class TestNarrowTextEncoder(TestTextEncoder):
    options: ClassVar = {"vocabulary": 20, "max_length": 6, "encoder": NARROW, "types": 0, "offset": 2}


class TestImageEncoder(TowerContract):
    member = "image-encoder"
    options: ClassVar = {"size": 8, "patch": 4, "encoder": {**SHAPE, "norm": "pre", "final_norm": True}}

    def field(self) -> Image:
        pixels = random(4, 3, 8, 8, seed=3).sigmoid()
        return Image(mask=torch.tensor([True, True, False, True]), pixels=pixels)

    def test_states_of_a_frozen_tower_are_passed_on(self) -> None:
        states, mask = random(2, 5, WIDTH), torch.tensor([True, False])
        stream = self.make()(Image(mask=mask, states=states))
        assert torch.equal(stream.states, states)
        assert torch.equal(stream.mask, mask[:, None].expand(2, 5))

    def test_a_picture_of_another_size_is_read(self) -> None:
        tower = self.make()
        wide = tower(Image(torch.ones(2, dtype=torch.bool), random(2, 3, 4, 16).sigmoid()))
        assert wide.states.shape == (2, 5, WIDTH)
        assert torch.equal(tower.grid(2, 2), tower.positions.weight)
        constant = tower.positions.weight.data[1:].fill_(0.5)
        torch.testing.assert_close(tower.grid(3, 5)[1:], constant[:1].expand(15, -1))

    def test_patches_must_fill_the_picture(self) -> None:
        with pytest.raises(InputError, match="size 10 does not divide into patches of 4"):
            ImageEncoder(WIDTH, size=10, patch=4, encoder=SHAPE)
        with pytest.raises(InputError, match="a picture of 8 x 6 pixels does not divide into patches of 4"):
            self.make()(Image(torch.tensor([True]), torch.zeros(1, 3, 6, 8)))
        with pytest.raises(InputError, match="this image tower has no projection"):
            self.make().pooled(self.field())


class TestNarrowImageEncoder(TestImageEncoder):
    options: ClassVar = {"size": 8, "patch": 4, "encoder": NARROW, "input_norm": True, "patch_bias": False}
