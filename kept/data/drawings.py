"""Where a batch's pictures come from: drawn anew from pixels, or encoded once by what no longer changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from kept.data.batch import Image
from kept.data.noise import Noise, mix
from kept.data.pictures import TRAINING, Look, draw_variants, load_pictures
from kg.errors import InputError
from kg.storage import atomic_directory, read_json, write_json

Integers = NDArray[np.int64]
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
STATES, NAMES = "states.safetensors", "names.json"


def find_pictures(root: Path) -> tuple[list[Path], list[str]]:
    """All pictures under a folder, and what records call them: their paths relative to it.

    Raises:
        InputError: when there is none.
    """
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise InputError(f"{root}: no picture in this folder ({', '.join(sorted(SUFFIXES))})")
    return paths, [path.relative_to(root).as_posix() for path in paths]


class _Named:
    """Pictures with names; a record's `image` is one of them."""

    names: Sequence[str]
    where: str

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.names)}

    def index(self, image: str) -> int:
        try:
            return self._numbers[image]
        except KeyError:
            raise InputError(f"{self.where}: no picture {image!r}, which a record names") from None


@dataclass
class PixelPictures(_Named):
    """Pictures as pixels, drawn anew for each record and epoch.

    Args:
        pixels: (N, S, S, 4) uint8 RGBA.
        names: how records name them.
        where: the folder, for messages.
        look: the ranges of the drawings.
    """

    pixels: NDArray[np.uint8]
    names: Sequence[str]
    where: str = "pictures"
    look: Look = TRAINING

    @classmethod
    def load(cls, root: Path, *, size: int = 24) -> PixelPictures:
        """All pictures under `root`, by their paths relative to it, decoded once into a cache beside them."""
        paths, names = find_pictures(root)
        return cls(load_pictures(paths, size=size, cache=root / f".pixels-{size}"), names, str(root))

    def draw(self, pictures: Integers, keys: Tensor, noise: Noise) -> tuple[Image, Integers | None]:
        drawings = draw_variants(torch.from_numpy(self.pixels[pictures.clip(min=0)]), keys, noise, self.look)
        return Image(mask=torch.from_numpy(pictures >= 0), pixels=drawings), None


@dataclass
class GridPictures(_Named):
    """Pictures as the feature maps of a frozen network of another kind, always the same.

    Args:
        states: (N, P, F) float16, it may be mapped from a file.
        names: how records name them.
        where: the folder, for messages.

        >>> pictures = GridPictures(np.ones((2, 4, 3), np.float16), ["a.png", "b.png"])
        >>> image, links = pictures.draw(np.array([1, -1]), torch.tensor([5, 6]), Noise(0, 0))
        >>> image.grid.shape, image.mask.tolist(), links
        (torch.Size([2, 4, 3]), [True, False], None)
    """

    states: NDArray[np.float16]
    names: Sequence[str]
    where: str = "pictures"

    def draw(self, pictures: Integers, keys: Tensor, noise: Noise) -> tuple[Image, Integers | None]:
        grid = torch.from_numpy(self.states[pictures.clip(min=0)].astype(np.float32))
        return Image(mask=torch.from_numpy(pictures >= 0), grid=grid), None


@dataclass
class EncodedPictures(_Named):
    """Several drawings of each picture as the states of a frozen tower, and the entity that a linker saw in each.

    Args:
        states: (N, V, P, D) float16.
        links: (N, V) int64 entity ids, -1 where the linker saw nothing it knew.
    """

    states: Tensor
    links: Tensor
    names: Sequence[str]
    where: str = "pictures"

    def draw(self, pictures: Integers, keys: Tensor, noise: Noise) -> tuple[Image, Integers | None]:
        rows = torch.from_numpy(pictures.clip(min=0))
        drawing = noise.integers(mix(keys), 1, self.states.shape[1], "drawing").squeeze(1)
        there = torch.from_numpy(pictures >= 0)
        links = torch.where(there, self.links[rows, drawing], -1)
        return Image(mask=there, states=self.states[rows, drawing].float()), links.numpy()

    def save(self, folder: Path) -> None:
        with atomic_directory(folder) as partial:
            save_file({"states": self.states.contiguous(), "links": self.links.contiguous()}, partial / STATES)
            write_json(partial / NAMES, list(self.names))

    @classmethod
    def load(cls, folder: Path) -> EncodedPictures:
        try:
            tensors = load_file(folder / STATES)
        except (FileNotFoundError, SafetensorError) as error:
            raise InputError(f"{folder / STATES}: cannot be read ({error})") from None
        names = read_json(folder / NAMES)
        if set(tensors) != {"states", "links"} or len(tensors["states"]) != len(names):
            raise InputError(f"{folder / STATES}: does not fit {NAMES} ({len(names)} pictures)")
        return cls(tensors["states"], tensors["links"], names, str(folder))
