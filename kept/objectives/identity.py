"""Which records of a batch are about the same thing, and so never each other's negatives."""

from __future__ import annotations

import torch
from torch import Tensor

from kept.data.batch import Batch, Host


def same_content(batch: Batch) -> Tensor:
    """(B, B) bool: the same picture, the same words, or an entity that both texts mention.

    Captions of one picture, equal captions of two, and two texts about one entity are the usual false negatives of
    contrast and matching.
    """
    keys = batch.keys
    same = torch.eye(len(keys), dtype=torch.bool, device=keys.device)
    if batch.identity is not None:
        same = same | (batch.identity[:, None] == batch.identity[None, :])
    ids = batch.text.ids.masked_fill(~batch.text.mask, -1)
    same = same | (ids[:, None, :] == ids[None, :, :]).all(2)
    mentions = batch.mentions
    if mentions.mask.shape[1]:
        entity = mentions.entity.masked_fill(~(mentions.mask & (mentions.host == Host.TEXT)), -1)
        shared = (entity[:, None, :, None] == entity[None, :, None, :]) & (entity >= 0)[:, None, :, None]
        same = same | shared.flatten(2).any(2)
    return same
