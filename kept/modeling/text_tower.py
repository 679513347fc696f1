"""Text through a whole transformer: BERT, RoBERTa, MiniLM or CLIP's text side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kept.data.batch import Text
from kept.modeling.encoder import Encoder, EncoderConfig
from kept.modeling.pretrained import Taken, load_encoder
from kept.modeling.streams import Stream
from kept.modeling.towers import TOWERS
from kg.errors import InputError


@TOWERS.register("text-encoder")
class TextEncoder(nn.Module):
    """Text: LN(word piece + position + token type), then an `Encoder` over the real pieces only.

    Texts are padded at their end, and every piece is of the first token type. Where the encoder is not as wide as the
    model, a linear map stands between them.

    Args:
        width: of the stream D.
        vocabulary, max_length: word pieces, and the most of them in a text.
        dropout: of embeddings, states and attention weights alike.
        encoder: fields of `EncoderConfig`.
        types: token types; 0 for none.
        offset: rows of the position table before that of the first piece (RoBERTa has 2).
        input_norm: whether embeddings are normed.
        projection: width P of `pooled`, or None.
        weights: a local transformers folder whose weights `load_weights` takes; nothing is read when it is made.

    Source: Devlin et al. 2019, BERT, section 3; Liu et al. 2019, RoBERTa; Radford et al. 2021, CLIP, section 2.4.

        >>> shape = {"width": 8, "layers": 1, "heads": 2, "hidden": 16, "norm": "post"}
        >>> tower = TextEncoder(width=8, vocabulary=10, max_length=4, encoder=shape)
        >>> ids = torch.tensor([[2, 5, 3]])
        >>> full = torch.ones(1, 3, dtype=torch.bool)
        >>> tower(Text(ids, full, ~full, ids)).states.shape
        torch.Size([1, 3, 8])
    """

    kind = "text"
    mixes = True
    """Its pieces see each other, so that a rule of visibility concerns it."""

    def __init__(
        self,
        width: int,
        vocabulary: int,
        max_length: int,
        dropout: float = 0.0,
        *,
        encoder: Mapping[str, Any],
        types: int = 2,
        offset: int = 0,
        input_norm: bool = True,
        projection: int | None = None,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        shape = EncoderConfig(**{"dropout": dropout, "attention_dropout": dropout, **encoder})
        self.max_length, self.offset, self.weights = max_length, offset, weights
        self.pieces = nn.Embedding(vocabulary, shape.width)
        self.positions = nn.Embedding(max_length + offset, shape.width)
        self.types = nn.Embedding(types, shape.width) if types else None
        self.norm = nn.LayerNorm(shape.width, shape.eps) if input_norm else nn.Identity()
        self.dropout = nn.Dropout(shape.dropout)
        self.encoder = Encoder(shape)
        self.project = nn.Linear(shape.width, projection, bias=False) if projection else None
        self.bridge = nn.Linear(shape.width, width) if width != shape.width else None

    def forward(self, text: Text, wanted: Tensor | None = None, visible: Tensor | None = None) -> Stream:
        """A stream of all pieces, or of those that `wanted` (B, L) marks, the others being zeros.

        `visible`, if given, broadcasts to (B, H, L, L).
        """
        states = self.encode(text, wanted, visible)
        if self.bridge is not None:
            real = text.mask if wanted is None else text.mask & wanted
            states = self.bridge(states) * real[..., None]
        return Stream.full(states, self.kind, text.mask)

    def encode(self, text: Text, wanted: Tensor | None = None, visible: Tensor | None = None) -> Tensor:
        """(B, L, encoder width): the encoder's own states."""
        length = text.ids.shape[1]
        if length > self.max_length:
            raise InputError(f"a text of {length} pieces, this model reads at most {self.max_length}")
        packing = self.encoder.packing(text.mask)
        places = torch.arange(length, device=text.ids.device) if text.positions is None else text.positions
        places = places.expand_as(text.ids) + self.offset
        x = self.pieces(packing.pack(text.ids)) + self.positions(packing.pack(places))
        if self.types is not None:
            x = x + self.types.weight[0]
        return self.encoder.encode(self.dropout(self.norm(x)), text.mask, packing, visible=visible, wanted=wanted)

    def pooled(self, text: Text) -> Tensor:
        """(B, P): CLIP's vector of a text, W h at its last piece.

        Raises:
            InputError: when the tower has no projection.
        """
        if self.project is None:
            raise InputError("this text tower has no projection, as a CLIP has")
        last = text.mask.sum(1).sub(1).clamp(min=0)
        return self.project(self.encode(text)[torch.arange(len(last), device=last.device), last])

    def load_weights(self, folder: str | Path | None = None) -> Taken:
        """Take over the weights in a local transformers folder, by default `weights`, and say what did not fit."""
        place = folder or self.weights
        if place is None:
            raise InputError("a text tower without weights was asked to load them")
        return load_encoder(place, self.kind).into(self, self.encoder.config)
