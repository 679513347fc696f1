"""Texts that do not belong to a picture: which, and how they take the place of those that do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from kept.data.batch import Batch
from kept.objectives.base import Context

TRIES = 4


def wrong_texts(batch: Batch, context: Context, *, hard: float, top_k: int, sim_max: float, purpose: str) -> Tensor:
    """(B,) corpus rows of texts with another picture, other words and no shared entity; -1 where none was found.

    With probability `hard` one of the `top_k` nearest by TF-IDF (see `kept.data.tfidf.hard_negatives`), otherwise any
    of the corpus, the first of a few draws that is wrong indeed. The draws belong to the record and the `purpose`.
    """
    corpus = context.corpus
    if corpus is None:
        return torch.full_like(batch.rows, -1)
    keys, own = batch.keys.cpu(), batch.rows.cpu().numpy()
    anywhere = context.noise.integers(keys, TRIES, len(corpus), f"{purpose}/random")
    allowed = torch.from_numpy(corpus.differs(np.repeat(own, TRIES), anywhere.flatten().numpy())).view_as(anywhere)
    first = allowed.int().argmax(1, keepdim=True)
    chosen = torch.where(allowed.any(1, keepdim=True), anywhere.gather(1, first), -1)
    if hard:
        near = torch.from_numpy(corpus.hard_negatives(top_k, sim_max)[own])
        slot = context.noise.integers(keys, 1, 1 << 30, f"{purpose}/slot") % (near >= 0).sum(1, keepdim=True).clamp(
            min=1
        )
        nearest = near.gather(1, slot)
        use = (context.noise.uniform(keys, 1, f"{purpose}/hard") < hard) & (nearest >= 0)
        chosen = torch.where(use, nearest, chosen)
    return chosen.squeeze(1).to(batch.keys.device)


def with_texts(batch: Batch, rows: Tensor, context: Context) -> Batch:
    """The pictures of a batch with the clean texts of these (B,) corpus rows."""
    assert context.corpus is not None
    texts = replace(context.corpus, pictures=None, regions=None).batch(rows.cpu().numpy(), context.noise)
    texts = texts.to(rows.device)
    return replace(batch, text=texts.text, mentions=texts.mentions, reply=None, answer=None)
