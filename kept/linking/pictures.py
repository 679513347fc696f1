"""Pictures <-> entities: the entity whose captions lie nearest to a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from kg.errors import InputError
from kg.storage import atomic_file


@dataclass(frozen=True, slots=True)
class PictureLinker:
    """Links a picture to the entity whose captions are nearest in the space of image-text contrast.

    What an entity looks like was learned from captions alone ("the flag of France"), so this is a linker of the same
    kind as that of names: it says who is shown, never a fact about them.

    Args:
        entities: (K,) int64 ids of the entities with captions.
        captions: (K, d) unit vectors, the mean of each entity's captions.

    >>> import torch
    >>> linker = PictureLinker(torch.tensor([7, 9]), torch.eye(2))
    >>> linker.link(torch.tensor([[0.0, 1.0]]))[0].tolist()
    [9]
    """

    entities: Tensor
    captions: Tensor

    def link(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, d) unit vectors of pictures -> the nearest entities (B,) and their cosines (B,)."""
        cosine, nearest = (images @ self.captions.T).max(dim=1)
        return self.entities[nearest], cosine

    def save(self, path: Path) -> None:
        with atomic_file(path) as partial:
            save_file({"entities": self.entities, "captions": self.captions.contiguous()}, partial)

    @classmethod
    def load(cls, path: Path) -> PictureLinker:
        try:
            tensors = load_file(path)
        except (FileNotFoundError, SafetensorError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None
        return cls(tensors["entities"], tensors["captions"])
