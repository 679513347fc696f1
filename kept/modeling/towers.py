"""Encoders of one modality each: from a field of the batch to a stream of hidden states."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kept.data.batch import Image, Text
from kept.modeling.layers import TransformerLayer
from kept.modeling.streams import Stream
from kg.errors import InputError
from kg.registry import Registry

TOWERS: Registry[type[nn.Module]] = Registry("tower")


@TOWERS.register("pieces")
class PieceEmbeddings(nn.Module):
    """Text: LN(word piece + position), the input of a single-stream model.

    Source: Devlin et al. 2019, BERT, section 3.

        >>> tower = PieceEmbeddings(width=8, vocabulary=10, max_length=4)
        >>> ids = torch.tensor([[2, 5, 3]])
        >>> full = torch.ones(1, 3, dtype=torch.bool)
        >>> tower(Text(ids, full, ~full, ids)).states.shape
        torch.Size([1, 3, 8])
    """

    kind = "text"

    def __init__(self, width: int, vocabulary: int, max_length: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.pieces = nn.Embedding(vocabulary, width)
        self.positions = nn.Embedding(max_length, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, text: Text) -> Stream:
        length = text.ids.shape[1]
        if length > len(self.positions.weight):
            raise InputError(f"a text of {length} pieces, this model reads at most {len(self.positions.weight)}")
        states = self.pieces(text.ids) + self.positions.weight[:length]
        return Stream.full(self.dropout(self.norm(states)), self.kind, text.mask)


@TOWERS.register("patches")
class PatchEncoder(nn.Module):
    """Pictures: square patches behind one summary state, then self-attention.

    Each picture is first brought to mean 0 and variance 1, so that brightness and contrast do not matter. A (3, H, W)
    picture becomes (H / P) x (W / P) patches, each through a small network of its own; the summary starts as a linear
    map of the whole grid, so it knows what is where before any attention has learned to look.
    Source: Dosovitskiy et al. 2021, ViT, section 3.1, with the linear patch projection made a two-layer one.

        >>> tower = PatchEncoder(width=16, size=24, heads=2)
        >>> image = Image(mask=torch.tensor([True]), pixels=torch.zeros(1, 3, 24, 24))
        >>> tower(image).states.shape
        torch.Size([1, 10, 16])
    """

    kind = "image"

    def __init__(
        self, width: int, size: int = 24, patch: int = 8, layers: int = 1, heads: int = 4, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if size % patch:
            raise InputError(f"model.image: size {size} does not divide into patches of {patch}")
        count = (size // patch) ** 2
        self.patch = patch
        self.expand, self.contract = nn.Linear(3 * patch * patch, 2 * width), nn.Linear(2 * width, width)
        self.patch_norm = nn.LayerNorm(width)
        self.layout = nn.Linear(count * width, width)
        self.positions = nn.Embedding(count + 1, width)
        self.layers = nn.ModuleList(TransformerLayer(width, heads, 2 * width, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, image: Image) -> Stream:
        """Encode pixels, or pass on the states that a frozen tower made earlier."""
        if image.states is not None:
            return self._stream(image.states, image.mask)
        if image.pixels is None:
            raise ValueError("an image field needs pixels or states")
        pieces = F.pixel_unshuffle(standardised(image.pixels), self.patch).flatten(2).transpose(1, 2)
        patches = self.patch_norm(self.contract(F.gelu(self.expand(pieces))))
        summary = self.layout(patches.flatten(1))[:, None]
        states = torch.cat([summary, patches], dim=1) + self.positions.weight
        for layer in self.layers:
            states = layer(states)
        return self._stream(self.norm(states), image.mask)

    def _stream(self, states: Tensor, mask: Tensor) -> Stream:
        return Stream.full(states, self.kind, mask[:, None].expand(states.shape[:2]))


def standardised(pixels: Tensor, floor: float = 0.05) -> Tensor:
    """(B, 3, H, W): each picture less its mean, over its standard deviation plus `floor` (a blank one stays 0)."""
    centred = pixels - pixels.mean(dim=(1, 2, 3), keepdim=True)
    return centred / (pixels.std(dim=(1, 2, 3), keepdim=True) + floor)
