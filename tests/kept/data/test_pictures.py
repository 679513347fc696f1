from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import kept.data.pictures
from kept.data.noise import Noise
from kept.data.pictures import PLAIN, PROBE, TRAINING, Look, draw_variants, load_pictures, read_picture, write_drawings
from kg import InputError

NOISE = Noise(seed=3, epoch=1)


def disc(size: int = 32) -> np.ndarray:
    """A red disc with a blue half on nothing."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    picture = np.zeros((size, size, 4), dtype=np.uint8)
    picture[y**2 + x**2 < (size / 3) ** 2] = (200, 40, 40, 255)
    picture[(y**2 + x**2 < (size / 3) ** 2) & (x > 0)] = (40, 40, 200, 255)
    return picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        Image.fromarray(np.roll(disc(), number, axis=0)).save(tmp_path / f"{number}.png")
    return tmp_path


def test_pictures_are_decoded_as_they_are(folder: Path) -> None:
    paths = sorted(folder.glob("*.png"))
    pixels = load_pictures(paths, size=32)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, [np.roll(disc(), number, axis=0) for number in range(3)])
    assert load_pictures([], size=8).shape == (0, 8, 8, 4)


def test_a_picture_that_is_not_square_is_fitted_in(tmp_path: Path) -> None:
    Image.new("RGB", (40, 20), (10, 20, 30)).save(tmp_path / "wide.png")
    pixels = read_picture(tmp_path / "wide.png", 20)
    assert (pixels[:4, :, 3] == 0).all() and (pixels[-4:, :, 3] == 0).all()
    assert (pixels[8:12] == (10, 20, 30, 255)).all()


@pytest.mark.parametrize(("mode", "colour"), [("L", 7), ("1", 1), ("P", 3), ("LA", (9, 255)), ("CMYK", (1, 2, 3, 4))])
def test_any_mode_is_read(tmp_path: Path, mode: str, colour: int) -> None:
    kind = "tiff" if mode == "CMYK" else "png"
    Image.new(mode, (5, 5), colour).save(tmp_path / f"one.{kind}")
    assert read_picture(tmp_path / f"one.{kind}", 5).shape == (5, 5, 4)


def test_the_cache_is_mapped_and_follows_the_files(folder: Path) -> None:
    paths = sorted(folder.glob("*.png"))
    first = load_pictures(paths, size=16, cache=folder / "cache")
    assert isinstance(first, np.memmap)
    np.testing.assert_array_equal(first, load_pictures(paths, size=16))
    stamp = (folder / "cache" / "pixels.npy").stat().st_mtime_ns
    load_pictures(paths, size=16, cache=folder / "cache")
    assert (folder / "cache" / "pixels.npy").stat().st_mtime_ns == stamp
    Image.fromarray(255 - disc()).save(paths[0])
    np.testing.assert_array_equal(load_pictures(paths, size=16, cache=folder / "cache"), load_pictures(paths, size=16))
    assert load_pictures(paths, size=8, cache=folder / "cache").shape == (3, 8, 8, 4)


def test_what_is_no_picture_is_named(folder: Path) -> None:
    whole = (folder / "0.png").read_bytes()
    (folder / "text.png").write_text("not a picture")
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").write_bytes(b"")
    for name in ("text.png", "cut.png", "empty.png"):
        with pytest.raises(InputError, match=f"{name}: not a picture that can be read"):
            load_pictures([folder / "0.png", folder / name])
    with pytest.raises(InputError, match=r"absent\.png: no such file"):
        load_pictures([folder / "absent.png"])
    with pytest.raises(InputError, match=r"absent\.png: No such file"):
        load_pictures([folder / "absent.png"], cache=folder / "cache")
    assert not (folder / "cache").exists()


def test_huge_pictures_are_refused_before_they_are_decoded(folder: Path) -> None:
    with pytest.raises(InputError, match=r"0\.png: 32 x 32 pixels are more than 1,000"):
        read_picture(folder / "0.png", 8, max_pixels=1000)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mangled_bytes_are_a_picture_or_an_input_error(folder: Path, data: st.DataObject) -> None:
    content = bytearray((folder / "0.png").read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / "mangled.png").write_bytes(bytes(content))
    try:
        assert read_picture(folder / "mangled.png", 16).shape == (16, 16, 4)
    except InputError as error:
        assert "mangled.png" in str(error)


def batch(count: int) -> torch.Tensor:
    return torch.from_numpy(disc()).expand(count, -1, -1, -1).contiguous()


def test_plain_drawings_are_the_picture_on_white() -> None:
    drawn = draw_variants(batch(2), torch.tensor([1, 2]), NOISE, PLAIN)
    alpha = disc()[..., 3:] / 255
    expected = disc()[..., :3] / 255 * alpha + (1 - alpha)
    np.testing.assert_allclose(drawn[1].permute(1, 2, 0).numpy(), expected, atol=1e-5)


def test_a_drawing_depends_on_its_key_and_the_noise_alone() -> None:
    keys = torch.arange(1200)
    drawn = draw_variants(batch(1200), keys, NOISE)
    some = torch.tensor([1100, 3, 600])
    torch.testing.assert_close(draw_variants(batch(3), keys[some], NOISE), drawn[some], rtol=0, atol=1e-6)
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(draw_variants(batch(1), keys[:1], Noise(3, 2)), drawn[:1])


def test_drawings_are_pictures() -> None:
    for look in (TRAINING, PROBE):
        drawn = draw_variants(batch(64), torch.arange(64), NOISE, look)
        assert drawn.shape == (64, 3, 32, 32) and drawn.dtype == torch.float32
        assert drawn.min() >= 0 and drawn.max() <= 1


def size_of(drawn: torch.Tensor, ground: torch.Tensor) -> torch.Tensor:
    """How many pixels differ from the ground."""
    return ((drawn - ground).abs().amax(dim=1) > 0.02).sum(dim=(1, 2))


def test_scale_moves_areas_by_its_square() -> None:
    keys = torch.arange(8)
    white = torch.ones(8, 3, 1, 1)
    plain = size_of(draw_variants(batch(8), keys, NOISE, PLAIN), white)
    small = size_of(draw_variants(batch(8), keys, NOISE, Look(scale=(0.5, 0.5))), white)
    assert ((small / plain - 0.25).abs() < 0.08).all()


def test_shift_moves_the_centre_by_at_most_its_share() -> None:
    drawn = draw_variants(batch(200), torch.arange(200), NOISE, Look(shift=0.1))
    ink = 1 - drawn.amin(dim=1)
    place = torch.arange(32) - 15.5
    x = (ink.sum(dim=1) * place).sum(dim=1) / ink.sum(dim=(1, 2))
    assert x.abs().max() <= 3.4 and x.max() > 2 and x.min() < -2


def test_colours_follow_their_factors() -> None:
    keys = torch.arange(4)
    middle = (slice(None), slice(None), slice(14, 18), slice(8, 12))
    red = torch.tensor([200, 40, 40]) / 255
    dark = draw_variants(batch(4), keys, NOISE, Look(brightness=(0.5, 0.5)))[middle].mean(dim=(0, 2, 3))
    torch.testing.assert_close(dark, red * 0.5, atol=1e-4, rtol=0)
    flat = draw_variants(batch(4), keys, NOISE, Look(contrast=(0.5, 0.5)))[middle].mean(dim=(0, 2, 3))
    torch.testing.assert_close(flat, 0.25 + red / 2, atol=1e-4, rtol=0)
    grey = draw_variants(batch(4), keys, NOISE, Look(saturation=(0.0, 0.0)))[middle].mean(dim=(0, 2, 3))
    torch.testing.assert_close(grey, (red @ torch.tensor([0.299, 0.587, 0.114])).expand(3), atol=1e-4, rtol=0)


def test_hardly_a_training_drawing_looks_like_one_of_a_probe() -> None:
    alike = 1.0
    for name, channels in (("scale", 1), ("brightness", 1), ("saturation", 1), ("background", 3)):
        probe, training = getattr(PROBE, name), getattr(TRAINING, name)
        assert training[0] <= probe[0] < probe[1] <= training[1], name
        alike *= ((probe[1] - probe[0]) / (training[1] - training[0])) ** channels
    assert alike < 1e-3


def test_drawings_are_written_alike_each_time(folder: Path) -> None:
    paths = sorted(folder.glob("*.png"))
    made = write_drawings(paths, folder / "drawn", noise=NOISE, size=24)
    first = [path.read_bytes() for path in made]
    assert [path.name for path in made] == ["0.png", "1.png", "2.png"]
    assert Image.open(made[0]).size == (24, 24)
    assert [path.read_bytes() for path in write_drawings(paths, folder / "drawn", noise=NOISE, size=24)] == first
    alone = write_drawings(paths[1:2], folder / "alone", noise=NOISE, size=24)
    assert alone[0].read_bytes() == first[1]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_named(folder: Path) -> None:
    (folder / "0.png").chmod(0)
    with pytest.raises(InputError, match=r"0\.png"):
        read_picture(folder / "0.png", 8)


def test_of_two_that_come_at_once_one_decodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGBA", (4, 4), "red").save(tmp_path / "a.png")
    read, calls = kept.data.pictures.read_picture, []

    def slowly(path: Path | str, size: int) -> np.ndarray:
        calls.append(path)
        time.sleep(0.2)
        return read(path, size)

    monkeypatch.setattr(kept.data.pictures, "read_picture", slowly)
    with ThreadPoolExecutor(2) as pool:
        cached = [pool.submit(load_pictures, [tmp_path / "a.png"], size=4, cache=tmp_path / ".pixels") for _ in "ab"]
    made = [one.result() for one in cached]
    assert len(calls) == 1 and (made[0] == made[1]).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".pixels", "a.png"]
