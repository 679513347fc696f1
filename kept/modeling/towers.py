"""Encoders of one modality each: from a field of the batch to a stream of hidden states."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kept.data.batch import Image, Text
from kept.modeling.layers import TransformerLayer
from kept.modeling.streams import Stream
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
        states = self.pieces(text.ids) + self.positions.weight[:length]
        return Stream.full(self.dropout(self.norm(states)), self.kind, text.mask)


@TOWERS.register("patches")
class PatchEncoder(nn.Module):
    """Pictures: a small convolutional stem, its grid as patches behind one summary state, then self-attention.

    A (3, H, W) picture becomes (H / 16) x (W / 16) patches. The stem stands for the linear patch projection because
    early convolutions let small vision transformers learn in far fewer steps.
    Source: Dosovitskiy et al. 2021, ViT, section 3.1; Xiao et al. 2021, "Early Convolutions Help Transformers See
    Better", section 3.

        >>> tower = PatchEncoder(width=16, size=48, heads=2)
        >>> image = Image(mask=torch.tensor([True]), pixels=torch.zeros(1, 3, 48, 48))
        >>> tower(image).states.shape
        torch.Size([1, 10, 16])
    """

    kind = "image"
    STRIDE = 16

    def __init__(
        self, width: int, size: int = 48, channels: int = 24, layers: int = 1, heads: int = 4, dropout: float = 0.0
    ) -> None:
        super().__init__()
        sides = [3, channels, channels * 2, channels * 4]
        self.stem = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2, padding=1) for before, after in zip(sides, sides[1:], strict=False)
        )
        self.patch = nn.Conv2d(sides[-1], width, 2, stride=2)
        count = (size // self.STRIDE) ** 2
        self.summary = nn.Parameter(torch.zeros(width))
        self.positions = nn.Embedding(count + 1, width)
        self.layers = nn.ModuleList(TransformerLayer(width, heads, 2 * width, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, image: Image) -> Stream:
        """Encode pixels, or pass on the states that a frozen tower made earlier."""
        if image.states is not None:
            return self._stream(image.states, image.mask)
        if image.pixels is None:
            raise ValueError("an image field needs pixels or states")
        x = image.pixels * 2.0 - 1.0
        for convolution in self.stem:
            x = F.gelu(convolution(x))
        patches = self.patch(x).flatten(2).transpose(1, 2)
        states = torch.cat([self.summary.expand(len(patches), 1, -1), patches], dim=1) + self.positions.weight
        for layer in self.layers:
            states = layer(states)
        return self._stream(self.norm(states), image.mask)

    def _stream(self, states: Tensor, mask: Tensor) -> Stream:
        return Stream.full(states, self.kind, mask[:, None].expand(states.shape[:2]))
