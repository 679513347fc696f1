"""What is masked as one: a piece, a word, a span of words, a linked mention, or a whole text."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from kept.data.batch import IGNORE, Batch, Host, Text
from kept.data.noise import Noise
from kept.objectives.base import Context
from kept.objectives.masking import covered
from kept.objectives.spans import NO_SPAN, geometric_lengths, span_words
from kg.registry import Registry

UNITS: Registry[type[Unit]] = Registry("masking unit", listed=False)

SPANS = 24
"""Spans that are tried in a text."""


class Unit:
    """Chooses what is masked of each text.

    `choose(batch, able, rate, noise)` returns (B, L) bool, about `rate` of the pieces that are `able`, at least one
    unit where there is any; `groups(text)` the (B, L) number of the unit that a piece belongs to, for one draw each.
    """

    def choose(self, batch: Batch, able: Tensor, rate: float, noise: Noise) -> Tensor:
        width = batch.text.ids.shape[1]
        return at_rate(per_group(self.groups(batch), noise.uniform(batch.keys, width, "mask/unit")), able, rate)

    def groups(self, batch: Batch) -> Tensor:
        raise NotImplementedError


@UNITS.register("piece")
class Pieces(Unit):
    """Each piece by itself (Devlin et al. 2019, BERT, section 3.1)."""

    def groups(self, batch: Batch) -> Tensor:
        ids = batch.text.ids
        return torch.arange(ids.shape[1], device=ids.device).expand_as(ids)


@UNITS.register("word")
class Words(Unit):
    """All pieces of a word together (Kim et al. 2021, ViLT, section 3.3, whole word masking)."""

    def groups(self, batch: Batch) -> Tensor:
        return batch.text.words.clamp(min=0)


@UNITS.register("span")
class Spans(Words):
    """Spans of words whose lengths are geometric (Joshi et al. 2020, SpanBERT, section 3.1)."""

    def choose(self, batch: Batch, able: Tensor, rate: float, noise: Noise) -> Tensor:
        draws = noise.uniform(batch.keys, 2 * SPANS, "mask/span")
        return span_words(batch.text, able, draws, geometric_lengths(), rate, at_least=1) != NO_SPAN


@UNITS.register("entity")
class Entities(Words):
    """A linked mention as one, and every other word by itself (Sun et al. 2019, ERNIE, section 3.2)."""

    def groups(self, batch: Batch) -> Tensor:
        mentions, groups = batch.mentions, super().groups(batch)
        places = torch.arange(groups.shape[1], device=groups.device)
        for number in range(mentions.mask.shape[1]):
            here = (mentions.mask[:, number] & (mentions.host[:, number] == Host.TEXT))[:, None]
            start, end = mentions.start[:, number, None], mentions.end[:, number, None]
            first = groups.gather(1, start.clamp(max=groups.shape[1] - 1))
            groups = torch.where(here & (places >= start) & (places < end), first, groups)
        return groups


def at_rate(draw: Tensor, able: Tensor, rate: float) -> Tensor:
    """(B, N) bool: those of `able` whose uniform draw is below `rate`, and in each row at least the least draw.

    >>> at_rate(torch.tensor([[0.9, 0.4, 0.6], [0.1, 0.2, 0.0]]), torch.tensor([[True] * 3, [False] * 3]), 0.3).tolist()
    [[False, True, False], [False, False, False]]
    """
    draw = draw.masked_fill(~able, 2.0)
    least = draw.amin(1, keepdim=True) if draw.shape[1] else draw
    return (draw < rate) | ((draw == least) & (least < 2.0))


def per_group(groups: Tensor, draw: Tensor) -> Tensor:
    """Give every piece the draw of its group's own number."""
    return draw.gather(1, groups)


def corrupted(text: Text, chosen: Tensor, kind: Tensor, context: Context, keys: Tensor) -> tuple[Text, Tensor]:
    """Chosen pieces become [MASK] (kind below 0.8), stay (below 0.9) or become random ones; and the targets.

    Returns:
        The text, and (B, L) the original ids at chosen pieces, IGNORE elsewhere.
    """
    width = text.ids.shape[1]
    drawn = context.noise.integers(keys, width, context.vocabulary - context.first_piece, "mask/piece")
    ids = torch.where(chosen & (kind < 0.8), context.mask_id, text.ids)
    ids = torch.where(chosen & (kind >= 0.9), context.first_piece + drawn, ids)
    return replace(text, ids=ids), torch.where(chosen, text.ids, IGNORE)


def without_masked_entities(batch: Batch, chosen: Tensor) -> Batch:
    """Mentions that a mask touches lose their entity, and so do other mentions of the same one."""
    mentions = batch.mentions
    inside = covered(mentions.start, mentions.end, chosen.shape[1])
    touched = (inside & chosen[:, None, :]).any(2) & mentions.mask & (mentions.host == Host.TEXT)
    same = mentions.entity[:, :, None] == mentions.entity[:, None, :]
    hidden = (same & touched[:, None, :]).any(2) & (mentions.host == Host.TEXT)
    return replace(batch, mentions=replace(mentions, visible=mentions.visible & ~hidden))
