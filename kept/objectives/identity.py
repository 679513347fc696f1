"""Which records are about the same thing, and so never each other's negatives."""

from __future__ import annotations

import torch
from torch import Tensor

from kept.data.batch import Batch, Host
from kept.data.noise import GOLDEN, mix

NOTHING = -1


def content(batch: Batch) -> Tensor:
    """(B, 2 + M) int64, what each record is about: its picture, a hash of its words, the entities its text mentions.

    `NOTHING` stands where there is no picture or no further entity.
    """
    text, mentions = batch.text, batch.mentions
    steps = torch.arange(1, text.ids.shape[1] + 1, device=text.ids.device) * GOLDEN
    words = (mix(text.ids + steps) * text.mask).sum(1, keepdim=True)
    picture = torch.full_like(words, NOTHING)
    if batch.identity is not None:
        picture = batch.identity.clamp(min=NOTHING)[:, None]
    entity = mentions.entity.masked_fill(~(mentions.mask & (mentions.host == Host.TEXT)), NOTHING)
    return torch.cat([picture, words, entity], dim=1)


def same_content(left: Tensor, right: Tensor) -> Tensor:
    """(B, 2 + M) and (C, 2 + N) contents -> (B, C) bool: the same picture, the same words, or a shared entity.

    Captions of one picture, equal captions of two, and two texts about one entity are the usual false negatives of
    contrast and matching.

        >>> codes = torch.tensor([[7, 1, 4], [7, 2, -1], [-1, 3, 4]])
        >>> same_content(codes, codes).int().tolist()
        [[1, 1, 1], [1, 1, 0], [1, 0, 1]]
    """
    picture = (left[:, None, 0] == right[None, :, 0]) & (left[:, None, 0] != NOTHING)
    words = left[:, None, 1] == right[None, :, 1]
    entities, others = left[:, 2:], right[:, 2:]
    shared = (entities[:, None, :, None] == others[None, :, None, :]) & (entities != NOTHING)[:, None, :, None]
    return picture | words | shared.flatten(2).any(2)
