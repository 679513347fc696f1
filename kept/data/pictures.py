"""Pictures as arrays: bounded decoding, a memory-mapped cache, and drawings that differ from one to the next."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kept.data.noise import Noise, key_of
from kg.errors import InputError
from kg.progress import track
from kg.storage import atomic_directory, read_json, write_json

if TYPE_CHECKING:
    from torch import Tensor

MAX_PIXELS = 40_000_000
PIXELS, ABOUT = "pixels.npy", "pictures.json"
CHUNK = 512
"""Drawings made at once: few enough for the cache, many enough to keep the cores busy."""
LUMA = (0.299, 0.587, 0.114)

Range = tuple[float, float]


def read_picture(path: Path | str, size: int, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Decode one picture to (size, size, 4) RGBA; one that is not square is fitted in, the rest is transparent.

    Raises:
        InputError: when there is no such file, it is no picture, is cut off, or has more than `max_pixels` pixels.

    >>> read_picture("images/1F436.png", 48).shape                                        # doctest: +SKIP
    (48, 48, 4)
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise InputError(f"{path}: {width} x {height} pixels are more than {max_pixels:,}")
            fitted = ImageOps.pad(image.convert("RGBA"), (size, size), color=(0, 0, 0, 0))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    # Pillow's decoders raise these and more, from whatever the bytes lead them to.
    except (OSError, SyntaxError, ValueError, ArithmeticError, LookupError, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: not a picture that can be read ({' '.join(str(error).split())})") from None
    return np.asarray(fitted)


def load_pictures(paths: Sequence[Path | str], *, size: int = 48, cache: Path | None = None) -> NDArray[np.uint8]:
    """Decode pictures to (N, size, size, 4) RGBA; with a `cache` folder they are decoded once and then mapped.

    The cache is made anew when a file or the size has changed; a second process waits for the first and reads what that
    made.

    Raises:
        InputError: names the first file that is missing or no picture, or a cache that cannot be written.
    """
    shape = (len(paths), size, size, 4)
    if cache is None:
        return decode(paths, np.empty(shape, np.uint8))
    about = {"size": size, "count": len(paths), "digest": digest(paths)}
    if not _holds(cache, about):
        from filelock import FileLock

        lock = cache.with_name(f"{cache.name}.lock")
        try:
            with FileLock(lock):
                if not _holds(cache, about):
                    with atomic_directory(cache) as partial:
                        decode(paths, np.lib.format.open_memmap(partial / PIXELS, "w+", np.uint8, shape))
                        write_json(partial / ABOUT, about)
        except OSError as error:
            raise InputError(f"{cache}: cannot be written ({error.strerror or error})") from None
        finally:
            lock.unlink(missing_ok=True)
    return np.load(cache / PIXELS, mmap_mode="c", allow_pickle=False)


def _holds(cache: Path, about: dict[str, object]) -> bool:
    return (cache / ABOUT).is_file() and read_json(cache / ABOUT) == about


def decode(paths: Sequence[Path | str], pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Decode pictures into an array (N, S, S, 4)."""
    for row, path in enumerate(track(paths, "reading pictures", total=len(paths))):
        pixels[row] = read_picture(path, pixels.shape[1])
    return pixels


def digest(paths: Sequence[Path | str], names: Sequence[str] | None = None) -> str:
    """A hash of the files' names, their paths unless others are given, and bytes."""
    whole = hashlib.sha256()
    for path, name in zip(paths, names or paths, strict=True):
        try:
            whole.update(f"{name}\0".encode() + hashlib.sha256(Path(path).read_bytes()).digest())
        except OSError as error:
            raise InputError(f"{path}: {error.strerror or error}") from None
    return whole.hexdigest()


@dataclass(frozen=True, slots=True)
class Look:
    """The ranges that a drawing is drawn from; each value is uniform and independent.

    Args:
        scale: the drawing's size in the frame; above 1 it is cropped.
        shift: how far its centre moves, in shares of the frame, in each direction.
        brightness, contrast, saturation: factors, 1 leaves all as it is.
        background: the red, green and blue behind transparent parts, each in [0, 1].
    """

    scale: Range = (1.0, 1.0)
    shift: float = 0.0
    brightness: Range = (1.0, 1.0)
    contrast: Range = (1.0, 1.0)
    saturation: Range = (1.0, 1.0)
    background: Range = (1.0, 1.0)


PLAIN = Look()
MOVED = Look(scale=(0.85, 1.15), shift=0.12)
TRAINING = Look(
    scale=(0.75, 1.15),
    shift=0.08,
    brightness=(0.75, 1.15),
    contrast=(0.85, 1.15),
    saturation=(0.65, 1.2),
    background=(0.3, 1.0),
)
PROBE = Look(
    scale=(0.75, 0.85),
    shift=0.08,
    brightness=(0.75, 0.85),
    contrast=(0.85, 1.15),
    saturation=(0.65, 0.8),
    background=(0.3, 0.5),
)
"""Small, dark, pale and on a dark ground at once: each a corner of what training draws, all together hardly ever."""


def draw_variants(pixels: Tensor, keys: Tensor, noise: Noise, look: Look = TRAINING) -> Tensor:
    """One drawing of each picture: moved and cut, recoloured, on a ground of some colour.

    Args:
        pixels: (B, S, S, 4) uint8 RGBA.
        keys: (B,) int64, one for each drawing; with the noise it settles the drawing, whatever else is in the batch.

    Returns:
        (B, 3, S, S) float32 in [0, 1].

    >>> import torch
    >>> pixels = torch.zeros(2, 48, 48, 4, dtype=torch.uint8)
    >>> draw_variants(pixels, torch.tensor([3, 4]), Noise(0, 0)).shape
    torch.Size([2, 3, 48, 48])
    """
    import torch

    parts = [slice(start, start + CHUNK) for start in range(0, len(pixels), CHUNK)] or [slice(0)]
    return torch.cat([drawn(pixels[part], noise.uniform(keys[part], 9, "drawing"), look) for part in parts])


def drawn(pixels: Tensor, chance: Tensor, look: Look) -> Tensor:
    """The drawings that (B, 9) uniform numbers settle: scale, shift (2), three colour factors, ground (3)."""
    import torch
    from torch.nn import functional

    rgba = pixels.permute(0, 3, 1, 2).to(torch.float32) / 255
    rgba = torch.cat([rgba[:, :3] * rgba[:, 3:], rgba[:, 3:]], dim=1)
    scale = within(chance[:, 0], look.scale)
    theta = torch.zeros(len(pixels), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / scale
    theta[:, :, 2] = (chance[:, 1:3] * 2 - 1) * 2 * look.shift / scale[:, None]
    grid = functional.affine_grid(theta, list(rgba.shape), align_corners=False)
    moved = functional.grid_sample(rgba, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    spans = look.brightness, look.contrast, look.saturation
    factors = [within(chance[:, 3 + place], span) for place, span in enumerate(spans)]
    ground = within(chance[:, 6:9], look.background)[:, :, None, None]
    return (recolour(moved[:, :3], moved[:, 3:], *factors) + ground * (1 - moved[:, 3:])).clamp(0, 1)


def within(chance: Tensor, span: Range) -> Tensor:
    """Uniform numbers in [0, 1) moved to a range."""
    return span[0] + (span[1] - span[0]) * chance


def recolour(colour: Tensor, alpha: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Change the colours of premultiplied pictures: (B, 3, S, S) and (B, 1, S, S), factors (B,).

    Brightness scales, contrast stretches about middle grey, saturation about each pixel's own grey; the weight of a
    pixel's alpha is kept, so that a transparent pixel stays nothing.
    """
    brightness, contrast, saturation = (factor[:, None, None, None] for factor in (brightness, contrast, saturation))
    bright = (colour * brightness - 0.5 * alpha) * contrast + 0.5 * alpha
    grey = (bright * bright.new_tensor(LUMA)[:, None, None]).sum(dim=1, keepdim=True)
    return (grey + (bright - grey) * saturation).clamp(min=0).minimum(alpha)


def write_drawings(
    paths: Sequence[Path | str], out: Path, *, noise: Noise, look: Look = PROBE, size: int = 72
) -> list[Path]:
    """Draw each picture once and keep it as a PNG of the same name under `out`; returns the new files.

    >>> write_drawings(["images/1F1EB-1F1F7.png"], Path("probes"), noise=Noise(0, 0))     # doctest: +SKIP
    [PosixPath('probes/1F1EB-1F1F7.png')]
    """
    import torch
    from PIL import Image

    if not paths:
        return []
    keys = torch.tensor([key_of(Path(path).name) for path in paths])
    pixels = torch.from_numpy(load_pictures(paths, size=size))
    drawings = (draw_variants(pixels, keys, noise, look) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    with atomic_directory(out) as partial:
        for path, picture in zip(paths, drawings, strict=True):
            Image.fromarray(picture).save(partial / Path(path).with_suffix(".png").name)
    return [out / Path(path).with_suffix(".png").name for path in paths]
