"""Every tower keeps the contract, and each does what its formula says."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest
import torch

from kept.data.batch import IGNORE, Image, Regions, Text
from kept.modeling.stem import ConvolutionStem
from kept.modeling.towers import PatchEncoder, standardised
from kept.objectives.base import picture_summary
from kg.errors import InputError
from tests.kept import tiny
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


class TestConvolutionStem(TowerContract):
    member = "patches"
    options: ClassVar = {"size": 8, "patch": 4, "heads": 2, "stem": "convolution"}

    def field(self) -> Image:
        pixels = random(4, 3, 8, 8, seed=3).sigmoid()
        return Image(mask=torch.tensor([True, True, False, True]), pixels=pixels)

    def test_a_thing_is_the_same_in_every_patch(self) -> None:
        stem = ConvolutionStem(WIDTH, 4)
        pixels = torch.zeros(1, 3, 24, 24)
        there = pixels.clone()
        pixels[..., 9:12, 8:11] = there[..., 13:16, 12:15] = random(3, 3, 3, seed=6)
        one, two = (stem(each).unflatten(1, (6, 6)) for each in (pixels, there))
        # Not to the last bit: the norms run over the whole map, borders included.
        torch.testing.assert_close(one[:, 2, 2], two[:, 3, 3], rtol=0, atol=5e-3)
        assert (one[:, 2, 2] - one[:, 3, 3]).abs().max() > 0.1

    def test_strides_want_a_width_that_halves(self) -> None:
        with pytest.raises(
            InputError, match="a patch of 16 wants convolutions and a width that can be halved 3 times; 12"
        ):
            ConvolutionStem(12, 16)


class TestGridEncoder(TowerContract):
    member = "grid"
    options: ClassVar = {"features": 5, "places": 4}

    def field(self) -> Image:
        return Image(mask=torch.tensor([True, True, False, True]), grid=random(4, 4, 5, seed=2))

    def test_what_is_no_map_is_refused(self) -> None:
        with pytest.raises(InputError, match="the tower 'grid' needs feature maps"):
            self.make()(Image(mask=torch.tensor([True]), pixels=torch.zeros(1, 3, 8, 8)))
        with pytest.raises(InputError, match="a map of 9 places, this model reads at most 4"):
            self.make()(Image(mask=torch.tensor([True]), grid=torch.zeros(1, 9, 5)))
        with pytest.raises(InputError, match="a map of 6 features, this model reads 5"):
            self.make()(Image(mask=torch.tensor([True]), grid=torch.zeros(1, 4, 6)))

    def test_a_map_is_summed_up_by_the_mean_of_its_places(self) -> None:
        model = tiny.model(image={"tower": "grid", **self.options}, regions=None)
        image = self.field()
        batch = replace(tiny.corpus().batch(tiny.rows(*tiny.FULL), tiny.NOISE), image=image)
        expected = model.towers["image"](image).states.mean(1)
        torch.testing.assert_close(picture_summary(model, batch)[image.mask], expected[image.mask])


class TestRegionEncoder(TowerContract):
    member = "regions"
    options: ClassVar = {"features": 5, "layers": 1, "heads": 2}

    def field(self) -> Regions:
        mask = torch.tensor([[1, 1, 1], [1, 1, 0], [0, 0, 0], [1, 0, 0]]).bool()
        none = torch.full((4, 3), IGNORE)
        boxes = torch.cat([random(4, 3, 2, seed=1).sigmoid() / 2, random(4, 3, 2, seed=2).sigmoid() / 2 + 0.5], dim=-1)
        return Regions(
            boxes=boxes,
            mask=mask,
            features=random(4, 3, 5, seed=3),
            hidden=torch.tensor([[0, 1, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0]]).bool(),
            label=none,
            attributes=none[..., None],
            scores=None,
            relations=none[:, :0, None].expand(4, 0, 3),
            grounding=none[:, :0, None].expand(4, 0, 3),
            naming=none[:, :0, None].expand(4, 0, 4),
        )

    def test_padding_regions_have_no_influence(self) -> None:
        tower, field = self.make(), self.field()
        noisy = torch.where(field.mask[..., None], field.features, 7.0)
        one, two = (tower(each).states for each in (field, Regions(**{**fields_of(field), "features": noisy})))
        torch.testing.assert_close(one[field.mask], two[field.mask])

    def test_a_hidden_region_keeps_its_box_and_loses_its_feature(self) -> None:
        tower, field = self.make(), self.field()
        other = torch.where(field.hidden[..., None], field.features + 3, field.features)
        assert torch.equal(tower(field).states, tower(Regions(**{**fields_of(field), "features": other})).states)
        moved = torch.where(field.hidden[..., None], field.boxes / 2, field.boxes)
        found = tower(Regions(**{**fields_of(field), "boxes": moved})).states
        assert not torch.allclose(tower(field).states[0, 1], found[0, 1], atol=1e-3)

    def test_features_of_another_width_are_refused(self) -> None:
        field = self.field()
        with pytest.raises(InputError, match="features of 4 numbers, this model reads 5"):
            self.make()(Regions(**{**fields_of(field), "features": field.features[..., :4]}))


def fields_of(regions: Regions) -> dict[str, torch.Tensor | None]:
    return {name: getattr(regions, name) for name in regions.__dataclass_fields__}
