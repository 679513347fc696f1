"""Where a batch's pictures come from: pixels drawn anew, or states of a frozen tower."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PillowImage

from kept.data.drawings import EncodedPictures, PixelPictures
from kept.data.noise import Noise, key_of
from kg.errors import InputError

KEYS = torch.tensor([key_of(str(number)) for number in range(400)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for name in ("b.png", "a.png", "deep/c.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        PillowImage.fromarray(generator.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path)
    return tmp_path


def encoded() -> EncodedPictures:
    states = torch.arange(3 * 4, dtype=torch.float16).view(3, 4, 1, 1).expand(3, 4, 2, 5).contiguous()
    links = torch.tensor([[7, 7, 7, 8], [9, -1, 9, 9], [1, 1, 1, 1]])
    return EncodedPictures(states, links, ["a.png", "b.png", "c.png"])


def test_pictures_are_called_by_their_paths(folder: Path) -> None:
    pictures = PixelPictures.load(folder, size=8)
    assert list(pictures.names) == ["a.png", "b.png", "deep/c.png"]
    assert [pictures.index(name) for name in pictures.names] == [0, 1, 2]
    assert pictures.pixels.shape == (3, 8, 8, 4)
    again = PixelPictures.load(folder, size=8)
    assert list(again.names) == list(pictures.names)
    assert np.array_equal(again.pixels, pictures.pixels)


def test_mistakes_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no picture 'd.png', which a record names"):
        PixelPictures.load(folder).index("d.png")
    with pytest.raises(InputError, match=r"absent: no picture in this folder"):
        PixelPictures.load(tmp_path / "absent")
    (folder / "d.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"d.png: not a picture"):
        PixelPictures.load(folder, size=4)


def test_each_record_and_epoch_draws_anew_and_repeatably(folder: Path) -> None:
    pictures = PixelPictures.load(folder, size=8)
    rows = np.array([0, 0, 2, -1])

    def draw(noise: Noise, order: slice | list[int] = slice(None)) -> torch.Tensor:
        image, links = pictures.draw(rows[order], KEYS[:4][order], noise)
        assert links is None
        assert image.pixels is not None
        assert image.mask.tolist() == (rows[order] >= 0).tolist()
        return image.pixels

    drawn = draw(Noise(0, 0))
    assert drawn.shape == (4, 3, 8, 8)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert torch.equal(drawn, draw(Noise(0, 0)))
    assert not torch.allclose(drawn[0], drawn[1], atol=1e-2), "two records of one picture look alike"
    assert not torch.allclose(drawn[0], draw(Noise(0, 1))[0], atol=1e-2), "two epochs look alike"
    torch.testing.assert_close(draw(Noise(0, 0), [2, 0]), drawn[[2, 0]])


def test_one_of_the_drawings_comes_with_its_own_link() -> None:
    pictures = encoded()
    rows = np.tile(np.array([0, 1]), 200)
    image, links = pictures.draw(rows, KEYS, Noise(0, 0))
    assert image.pixels is None
    assert image.states is not None
    assert links is not None
    assert image.states.dtype == torch.float32
    chosen = image.states[:, 0, 0].long() - 4 * torch.from_numpy(rows)
    assert links.tolist() == pictures.links[torch.from_numpy(rows), chosen].tolist()
    shares = torch.bincount(chosen, minlength=4) / len(chosen)
    torch.testing.assert_close(shares, torch.full((4,), 0.25), atol=0.08, rtol=0)
    later, _ = pictures.draw(rows, KEYS, Noise(0, 1))
    assert later.states is not None
    assert not torch.equal(later.states, image.states)


def test_a_record_without_a_picture_has_no_link() -> None:
    image, links = encoded().draw(np.array([-1, 2]), KEYS[:2], Noise(0, 0))
    assert image.mask.tolist() == [False, True]
    assert links is not None
    assert links.tolist() == [-1, 1]


def test_encoded_pictures_come_back_from_their_folder(tmp_path: Path) -> None:
    pictures = encoded()
    pictures.save(tmp_path / "pictures")
    again = EncodedPictures.load(tmp_path / "pictures")
    assert torch.equal(again.states, pictures.states)
    assert torch.equal(again.links, pictures.links)
    assert list(again.names) == list(pictures.names)
    assert again.index("c.png") == 2


def test_a_broken_folder_is_told_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    encoded().save(folder)
    with pytest.raises(InputError, match=r"absent.states.safetensors: cannot be read"):
        EncodedPictures.load(tmp_path / "absent")
    (folder / "names.json").write_text('["a.png"]')
    with pytest.raises(InputError, match=r"states.safetensors: does not fit names.json \(1 pictures\)"):
        EncodedPictures.load(folder)
    (folder / "states.safetensors").write_bytes(b"\0" * 20)
    with pytest.raises(InputError, match=r"states.safetensors: cannot be read"):
        EncodedPictures.load(folder)
