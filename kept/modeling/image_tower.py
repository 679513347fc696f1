"""Pictures through a whole vision transformer: ViT, or CLIP's image side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kept.data.batch import Image
from kept.modeling.encoder import Encoder, EncoderConfig
from kept.modeling.pretrained import Taken, load_encoder
from kept.modeling.streams import Stream
from kept.modeling.towers import TOWERS
from kg.errors import InputError

MIDDLE = (0.5, 0.5, 0.5)


@TOWERS.register("image-encoder")
class ImageEncoder(nn.Module):
    """Pictures: square patches behind a class token, plus positions, then an `Encoder`.

    A picture of another size than the tower was made for gets its positions by bicubic interpolation of the learned
    grid. Absent pictures cost nothing in the encoder.

    Args:
        width: of the stream D.
        size, patch: pixels of the side of a picture and of a patch.
        dropout: of embeddings, states and attention weights alike.
        encoder: fields of `EncoderConfig`.
        input_norm: a layer norm before the first layer (CLIP).
        patch_bias: whether the patch projection adds one (ViT).
        mean, deviation: of the three colours, which pixels in [0, 1] are brought to 0 and 1 by.
        projection: width P of `pooled`, or None.
        weights: a local transformers folder whose weights `load_weights` takes; nothing is read when it is made.

    Source: Dosovitskiy et al. 2021, ViT, section 3.1 and 3.2 (interpolation); Radford et al. 2021, CLIP, section 2.4.

        >>> shape = {"width": 8, "layers": 1, "heads": 2, "hidden": 16}
        >>> tower = ImageEncoder(width=8, size=8, patch=4, encoder=shape)
        >>> tower(Image(mask=torch.tensor([True]), pixels=torch.zeros(1, 3, 8, 12))).states.shape
        torch.Size([1, 7, 8])
    """

    kind = "image"

    def __init__(
        self,
        width: int,
        size: int = 224,
        patch: int = 16,
        dropout: float = 0.0,
        *,
        encoder: Mapping[str, Any],
        input_norm: bool = False,
        patch_bias: bool = True,
        mean: Sequence[float] = MIDDLE,
        deviation: Sequence[float] = MIDDLE,
        projection: int | None = None,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        if size % patch:
            raise InputError(f"image-encoder: size {size} does not divide into patches of {patch}")
        shape = EncoderConfig(**{"dropout": dropout, "attention_dropout": dropout, **encoder})
        self.side, self.patch, self.weights = size // patch, patch, weights
        self.mean, self.deviation = tuple(mean), tuple(deviation)
        self.patches = nn.Linear(3 * patch * patch, shape.width, bias=patch_bias)
        self.class_token = nn.Parameter(torch.zeros(shape.width))
        self.positions = nn.Embedding(1 + self.side**2, shape.width)
        self.norm = nn.LayerNorm(shape.width, shape.eps) if input_norm else nn.Identity()
        self.dropout = nn.Dropout(shape.dropout)
        self.encoder = Encoder(shape)
        self.pool_norm = nn.LayerNorm(shape.width, shape.eps) if projection else None
        self.project = nn.Linear(shape.width, projection, bias=False) if projection else None
        self.bridge = nn.Linear(shape.width, width) if width != shape.width else None

    def forward(self, image: Image) -> Stream:
        """Encode pixels, or pass on the states that a frozen tower made earlier."""
        if image.states is not None:
            return Stream.full(image.states, self.kind, image.mask[:, None].expand(image.states.shape[:2]))
        states, mask = self.encode(image)
        if self.bridge is not None:
            states = self.bridge(states) * mask[..., None]
        return Stream.full(states, self.kind, mask)

    def encode(self, image: Image) -> tuple[Tensor, Tensor]:
        """(B, 1 + patches, encoder width), the encoder's own states, and where they are real."""
        if image.pixels is None:
            raise ValueError("an image field needs pixels or states")
        rows, _, high, wide = image.pixels.shape
        if high % self.patch or wide % self.patch:
            raise InputError(f"a picture of {wide} x {high} pixels does not divide into patches of {self.patch}")
        mean, deviation = (image.pixels.new_tensor(values).view(3, 1, 1) for values in (self.mean, self.deviation))
        pieces = F.pixel_unshuffle((image.pixels - mean) / deviation, self.patch).flatten(2).transpose(1, 2)
        patches = self.patches(pieces)
        states = torch.cat([self.class_token.to(patches.dtype).expand(rows, 1, -1), patches], dim=1)
        states = self.dropout(self.norm(states + self.grid(high // self.patch, wide // self.patch)))
        mask = image.mask[:, None].expand(states.shape[:2])
        return self.encoder(states, mask), mask

    def grid(self, high: int, wide: int) -> Tensor:
        """(1 + high x wide, encoder width): the class token's position, and those of a grid of patches."""
        table = self.positions.weight
        if (high, wide) == (self.side, self.side):
            return table
        learned = table[1:].unflatten(0, (self.side, self.side)).permute(2, 0, 1)[None]
        drawn = F.interpolate(learned, size=(high, wide), mode="bicubic", align_corners=False)
        return torch.cat([table[:1], drawn[0].flatten(1).T])

    def pooled(self, image: Image) -> Tensor:
        """(B, P): CLIP's vector of a picture, W LN(h) at its class token.

        Raises:
            InputError: when the tower has no projection.
        """
        if self.project is None or self.pool_norm is None:
            raise InputError("this image tower has no projection, as a CLIP has")
        return self.project(self.pool_norm(self.encode(image)[0][:, 0]))

    def load_weights(self, folder: str | Path | None = None) -> Taken:
        """Take over the weights in a local transformers folder, by default `weights`, and say what did not fit."""
        place = folder or self.weights
        if place is None:
            raise InputError("an image tower without weights was asked to load them")
        return load_encoder(place, self.kind).into(self, self.encoder.config)
