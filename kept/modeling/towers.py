"""Encoders of one modality each: from a field of the batch to a stream of hidden states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kept.data.batch import Image, Regions, Text
from kept.data.boxes import uniter_position
from kept.modeling.encoder import Encoder, EncoderConfig
from kept.modeling.layers import TransformerLayer
from kept.modeling.stem import ConvolutionStem
from kept.modeling.streams import Stream
from kept.modeling.visibility import never_empty
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
        places = self.positions.weight[:length] if text.positions is None else self.positions(text.positions)
        states = self.pieces(text.ids) + places
        return Stream.full(self.dropout(self.norm(states)), self.kind, text.mask)


@TOWERS.register("patches")
class PatchEncoder(nn.Module):
    """Pictures: square patches behind one summary state, then self-attention.

    Each picture is first brought to mean 0 and variance 1, so that brightness and contrast do not matter. A (3, H, W)
    picture becomes (H / P) x (W / P) patches, each through a small network of its own, or all through a few
    convolutions; the summary starts as a linear map of the whole grid, so it knows what is where before any attention
    has learned to look.

    Args:
        size, patch: pixels of the side of a picture and of a patch P.
        layers, heads: of self-attention.
        stem: "patch", two layers over the pixels of a patch, or "convolution" (see `ConvolutionStem`).

    Source: Dosovitskiy et al. 2021, ViT, section 3.1, with the linear patch projection made a two-layer one.

        >>> tower = PatchEncoder(width=16, size=24, heads=2)
        >>> image = Image(mask=torch.tensor([True]), pixels=torch.zeros(1, 3, 24, 24))
        >>> tower(image).states.shape
        torch.Size([1, 10, 16])
    """

    kind = "image"

    def __init__(
        self,
        width: int,
        size: int = 24,
        patch: int = 8,
        layers: int = 1,
        heads: int = 4,
        dropout: float = 0.0,
        stem: Literal["patch", "convolution"] = "patch",
    ) -> None:
        super().__init__()
        if size % patch:
            raise InputError(f"model.image: size {size} does not divide into patches of {patch}")
        count = (size // patch) ** 2
        self.patch = patch
        self.stem = ConvolutionStem(width, patch) if stem == "convolution" else None
        if self.stem is None:
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
        pixels = standardised(image.pixels)
        if self.stem is not None:
            patches = self.patch_norm(self.stem(pixels))
        else:
            pieces = F.pixel_unshuffle(pixels, self.patch).flatten(2).transpose(1, 2)
            patches = self.patch_norm(self.contract(F.gelu(self.expand(pieces))))
        summary = self.layout(patches.flatten(1))[:, None]
        states = torch.cat([summary, patches], dim=1) + self.positions.weight
        for layer in self.layers:
            states = layer(states)
        return self._stream(self.norm(states), image.mask)

    def _stream(self, states: Tensor, mask: Tensor) -> Stream:
        return Stream.full(states, self.kind, mask[:, None].expand(states.shape[:2]))


@TOWERS.register("grid")
class GridEncoder(nn.Module):
    """Pictures as the feature map of a frozen network: LN(W f + position).

    No state of its stream sums the picture up; where one vector is asked for, it is their mean.

    Args:
        features: numbers of a place of the map.
        places: the most places of a map.

    Source: Huang et al. 2020, Pixel-BERT, section 3.2 (grid features in place of regions).

        >>> tower = GridEncoder(width=8, features=5, places=4)
        >>> tower(Image(mask=torch.tensor([True]), grid=torch.zeros(1, 4, 5))).states.shape
        torch.Size([1, 4, 8])
    """

    kind = "image"
    summarises = False

    def __init__(self, width: int, features: int, places: int = 49, dropout: float = 0.0) -> None:
        super().__init__()
        self.feature = nn.Linear(features, width)
        self.positions = nn.Embedding(places, width)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, image: Image) -> Stream:
        if image.grid is None:
            raise InputError("model.image: the tower 'grid' needs feature maps, these pictures are pixels")
        places, given = image.grid.shape[1:]
        if given != self.feature.in_features:
            raise InputError(f"a map of {given} features, this model reads {self.feature.in_features}")
        if places > len(self.positions.weight):
            raise InputError(f"a map of {places} places, this model reads at most {len(self.positions.weight)}")
        states = self.norm(self.feature(image.grid) + self.positions.weight[:places])
        return Stream.full(self.dropout(states), self.kind, image.mask[:, None].expand(states.shape[:2]))


@TOWERS.register("regions")
class RegionEncoder(nn.Module):
    """Regions: LN(LN(W_f f) + LN(W_p p)), f a detector's feature and p the seven numbers of its box.

    Where a region is hidden a learned vector stands in the place of its feature; its box stays. `layers` of
    self-attention over the regions of a picture may follow, or a whole `Encoder`.

    Args:
        width: of the stream D.
        features: numbers of a feature F.
        layers, heads: self-attention layers of the tower's own make.
        join: "norm" as above, or "mean" for (LN(W_f f) + LN(W_p p)) / 2.
        encoder: fields of `EncoderConfig` beside `width`, in the place of `layers`; it computes no padding.

    Source: Chen et al. 2020, UNITER, section 3.1 (p = left, top, right, bottom, width, height, area); Tan & Bansal
    2019, LXMERT, section 2.1 (the mean; five layers over the regions).

        >>> tower = RegionEncoder(width=8, features=5)
        >>> tower.feature.weight.shape
        torch.Size([8, 5])
    """

    kind = "regions"

    def __init__(
        self,
        width: int,
        features: int,
        layers: int = 0,
        heads: int = 4,
        dropout: float = 0.0,
        join: Literal["norm", "mean"] = "norm",
        encoder: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if encoder is not None and layers:
            raise InputError("regions: layers and encoder exclude each other")
        self.feature, self.box = nn.Linear(features, width), nn.Linear(7, width)
        self.mask_feature = nn.Parameter(torch.zeros(features))
        self.feature_norm, self.box_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.norm = nn.LayerNorm(width) if join == "norm" else None
        self.layers = nn.ModuleList(TransformerLayer(width, heads, 2 * width, dropout) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.encoder = None
        if encoder is not None:
            self.encoder = Encoder(EncoderConfig(width, dropout=dropout, attention_dropout=dropout, **encoder))

    def forward(self, regions: Regions) -> Stream:
        given, read = regions.features.shape[-1], self.feature.in_features
        if given != read:
            raise InputError(f"regions with features of {given} numbers, this model reads {read}")
        features = torch.where(regions.hidden[..., None], self.mask_feature, regions.features)
        place = self.box_norm(self.box(uniter_position(regions.boxes)))
        both = self.feature_norm(self.feature(features)) + place
        states = self.dropout(both / 2 if self.norm is None else self.norm(both))
        if self.encoder is not None:
            return Stream.full(self.encoder(states, regions.mask), self.kind, regions.mask)
        seen = never_empty(regions.mask[:, None, None, :])
        for layer in self.layers:
            states = layer(states, seen)
        return Stream.full(states, self.kind, regions.mask)


def standardised(pixels: Tensor, floor: float = 0.05) -> Tensor:
    """(B, 3, H, W): each picture less its mean, over its standard deviation plus `floor` (a blank one stays 0)."""
    centred = pixels - pixels.mean(dim=(1, 2, 3), keepdim=True)
    return centred / (pixels.std(dim=(1, 2, 3), keepdim=True) + floor)
