"""Every tower keeps the contract, and each does what its formula says."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from kept.data.batch import Image, Text
from kept.modeling.towers import PatchEncoder, standardised
from kg.errors import InputError
from tests.kept.modeling.contract import WIDTH, TowerContract, random


class TestPieceEmbeddings(TowerContract):
    member = "pieces"
    options: ClassVar = {"vocabulary": 20, "max_length": 6}

    def field(self) -> Text:
        ids = torch.tensor([[2, 7, 9, 3], [2, 8, 3, 0], [0, 0, 0, 0], [2, 9, 7, 3]])
        return Text(ids=ids, mask=ids > 0, special=ids < 5, words=ids)

    def test_the_order_of_words_matters(self) -> None:
        states = self.make()(self.field()).states
        assert not torch.allclose(states[0, 1], states[3, 2], atol=1e-3)

    def test_a_text_that_is_too_long_is_refused(self) -> None:
        ids = torch.zeros(1, 7, dtype=torch.int64)
        with pytest.raises(InputError, match="a text of 7 pieces, this model reads at most 6"):
            self.make()(Text(ids, ids == 0, ids > 0, ids))


class TestPatchEncoder(TowerContract):
    member = "patches"
    options: ClassVar = {"size": 8, "patch": 4, "heads": 2}

    def field(self) -> Image:
        pixels = random(4, 3, 8, 8, seed=3).sigmoid()
        return Image(mask=torch.tensor([True, True, False, True]), pixels=pixels)

    def test_brightness_and_contrast_do_not_matter(self) -> None:
        pixels = random(2, 3, 8, 8, seed=1).sigmoid() * 100
        torch.testing.assert_close(standardised(2 * pixels + 30), standardised(pixels), rtol=1e-2, atol=2e-3)
        assert not standardised(torch.full((1, 3, 8, 8), 0.7)).abs().gt(1e-4).any()

    def test_standardising_has_the_right_gradient(self) -> None:
        pixels = random(1, 3, 2, 2).double().requires_grad_()
        assert torch.autograd.gradcheck(standardised, (pixels,))

    def test_states_of_a_frozen_tower_are_passed_on(self) -> None:
        states, mask = random(2, 5, WIDTH), torch.tensor([True, False])
        stream = self.make()(Image(mask=mask, states=states))
        assert torch.equal(stream.states, states)
        assert torch.equal(stream.mask, mask[:, None].expand(2, 5))

    def test_patches_are_squares_of_the_picture(self) -> None:
        """What changes in one corner changes that corner's patch and, before attention, no other."""
        tower = self.make()
        tower.layers = torch.nn.ModuleList()
        tower.layout.weight.data.zero_()
        pixels = random(1, 3, 8, 8, seed=5).sigmoid()
        # Exchanging two pixels leaves mean and deviation as they are.
        other = pixels.clone()
        other[..., 0, 7], other[..., 1, 6] = pixels[..., 1, 6], pixels[..., 0, 7]
        states = [tower(Image(torch.tensor([True]), one)).states for one in (pixels, other)]
        changed = (states[0] - states[1]).abs().amax(-1)[0] > 1e-4
        assert changed.tolist() == [False, False, True, False, False]

    def test_patches_must_fill_the_picture(self) -> None:
        with pytest.raises(InputError, match="size 10 does not divide into patches of 4"):
            PatchEncoder(WIDTH, size=10, patch=4)
        with pytest.raises(InputError, match="width 8 does not divide into 3 heads"):
            PatchEncoder(WIDTH, size=8, patch=4, heads=3)
