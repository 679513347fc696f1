"""The view that masked language modelling and masked entity prediction share."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from kept.data.batch import IGNORE, Batch, Host, Mentions, Text
from kept.data.noise import Noise
from kept.objectives.base import Context, View


def mask_view(batch: Batch, context: Context, *, rate: float, ask_answer: float, slots: int) -> View:
    """Put one [MASK] for a whole mention of each record, and mask other words at `rate`.

    The mention is the record's answer with probability `ask_answer`, otherwise any that stands in the text. A single
    [MASK] takes its place, so that the number of masks never tells the length of a name, and it loses its entity
    input, as do other mentions of the same entity. Of the other words, outside all mentions, each is chosen as a whole
    with probability `rate`: its pieces become [MASK] (80%), random pieces (10%) or stay (10%). A record without a
    mention has at least one word masked.

    Targets: `pieces` (B, L), the original ids at masked words and IGNORE elsewhere; `asked` (B,), which mention was
    masked or -1; `place` (B,), where its [MASK] stands; `name` (B, slots), its pieces, then [SEP], then IGNORE.
    Source: Devlin et al. 2019, section 3.1; Lewis et al. 2020, BART, section 2.2 (text infilling); Peters et al. 2019,
    KnowBert, section 4.1 (mentions masked with their candidates).
    """
    noise, text, mentions = context.noise, batch.text, batch.mentions
    asked = _ask(batch, noise, ask_answer)
    has = asked >= 0
    start, end = (torch.where(has, at(offsets, asked), 1) for offsets in (mentions.start, mentions.end))
    end = torch.where(has, end, start + 1)

    words = _chosen_words(text, _inside_mentions(batch), batch.keys, noise, rate, at_least_one=~has)
    kind = _per_word(text, noise.uniform(batch.keys, text.ids.shape[1], "mask/kind"))
    random_piece = context.first_piece + noise.integers(
        batch.keys, text.ids.shape[1], context.vocabulary - context.first_piece, "mask/piece"
    )
    ids = torch.where(words & (kind < 0.8), context.mask_id, text.ids)
    ids = torch.where(words & (kind >= 0.9), random_piece, ids)
    pieces = torch.where(words, text.ids, IGNORE)
    ids = ids.scatter(1, start[:, None], torch.where(has, context.mask_id, at(ids, start))[:, None])

    name = _name(text, start, end, has, slots, context.end_id)
    places = torch.arange(text.ids.shape[1], device=text.ids.device)[None, :]
    keep = text.mask & ((places <= start[:, None]) | (places >= end[:, None]))
    text, pieces = _squeeze(replace(text, ids=ids), pieces, keep)
    hidden = (mentions.entity == at(mentions.entity, asked)[:, None]) & (mentions.host == Host.TEXT) & has[:, None]
    return View(
        name=("mask", rate, ask_answer, slots),
        batch=replace(batch, text=text, mentions=_shift(mentions, start, end, hidden)),
        targets={"pieces": pieces, "asked": asked, "place": start, "name": name},
        counts={"mlm": int((pieces != IGNORE).sum()), "names": int((name != IGNORE).sum())},
        read=(pieces != IGNORE).scatter(1, start[:, None], True),
    )


def at(values: Tensor, index: Tensor) -> Tensor:
    """(B, M) values at (B,) indices; an index of -1 reads the first and is for the caller to leave out."""
    if values.shape[1] == 0:
        return values.new_zeros(len(index))
    return values.gather(1, index.clamp(min=0)[:, None]).squeeze(1)


def _ask(batch: Batch, noise: Noise, ask_answer: float) -> Tensor:
    """(B,): one mention in the text of each record, -1 where it has none."""
    mentions = batch.mentions
    count = mentions.mask.shape[1]
    if count == 0:
        return torch.full_like(batch.keys, -1)
    able = mentions.mask & (mentions.host == Host.TEXT)
    draw = noise.uniform(batch.keys, count, "mask/mention").masked_fill(~able, -1.0)
    anyone = torch.where(able.any(1), draw.argmax(1), -1)
    wanted = noise.uniform(batch.keys, 1, "mask/answer").squeeze(1) < ask_answer
    return torch.where(wanted & (mentions.answer >= 0), mentions.answer, anyone)


def covered(start: Tensor, end: Tensor, length: int) -> Tensor:
    """(B, M) spans [start, end) -> (B, M, L) bool: the places of a text that each covers.

    >>> covered(torch.tensor([[1, 0]]), torch.tensor([[3, 0]]), 4).int().tolist()
    [[[0, 1, 1, 0], [0, 0, 0, 0]]]
    """
    places = torch.arange(length, device=start.device)
    return (places >= start[..., None]) & (places < end[..., None])


def _inside_mentions(batch: Batch) -> Tensor:
    """(B, L): whether a piece belongs to any mention."""
    mentions = batch.mentions
    inside = covered(mentions.start, mentions.end, batch.text.ids.shape[1])
    return (inside & (mentions.mask & (mentions.host == Host.TEXT))[..., None]).any(1)


def _chosen_words(
    text: Text, inside: Tensor, keys: Tensor, noise: Noise, rate: float, *, at_least_one: Tensor
) -> Tensor:
    """(B, L): the pieces of whole words chosen at `rate`; one word where `at_least_one` (B,) and none was drawn."""
    able = text.mask & ~text.special & ~inside
    draw = _per_word(text, noise.uniform(keys, text.ids.shape[1], "mask/word")).masked_fill(~able, 2.0)
    least = draw.amin(1, keepdim=True)
    needed = at_least_one[:, None] & (least < 2.0)
    return (draw < rate) | (needed & (draw == least))


def _per_word(text: Text, draw: Tensor) -> Tensor:
    """Give every piece of a word the draw of the word's own number."""
    return draw.gather(1, text.words.clamp(min=0))


def _name(text: Text, start: Tensor, end: Tensor, has: Tensor, slots: int, end_id: int) -> Tensor:
    """(B, slots): the pieces of each asked mention, then `end_id`, then IGNORE; longer names are cut."""
    slot = torch.arange(slots, device=text.ids.device)[None, :]
    length = (end - start)[:, None]
    pieces = text.ids.gather(1, (start[:, None] + slot).clamp(max=text.ids.shape[1] - 1))
    name = torch.where(slot < length, pieces, IGNORE)
    name = torch.where(slot == length, end_id, name)
    return torch.where(has[:, None], name, IGNORE)


def _squeeze(text: Text, pieces: Tensor, keep: Tensor) -> tuple[Text, Tensor]:
    """Close the gaps where `keep` is False; what follows moves up, the rest becomes padding."""
    order = torch.argsort((~keep).to(torch.uint8), dim=1, stable=True)
    width = int(keep.sum(1).max())
    order = order[:, :width]
    mask = keep.gather(1, order)
    moved = Text(
        ids=text.ids.gather(1, order).masked_fill(~mask, 0),
        mask=mask,
        special=text.special.gather(1, order) | ~mask,
        words=text.words.gather(1, order).masked_fill(~mask, -1),
    )
    return moved, pieces.gather(1, order).masked_fill(~mask, IGNORE)


def _shift(mentions: Mentions, start: Tensor, end: Tensor, hidden: Tensor) -> Mentions:
    """Mentions behind the asked one move up with their words; the hidden ones are no longer visible."""
    behind = (mentions.start >= end[:, None]) & (mentions.host == Host.TEXT)
    gap = torch.where(behind, (end - start - 1)[:, None], 0)
    overlapping = (mentions.start < end[:, None]) & (mentions.end > start[:, None]) & (mentions.host == Host.TEXT)
    touched = overlapping & hidden.any(1, keepdim=True)
    return replace(
        mentions,
        start=torch.where(touched, start[:, None], mentions.start - gap),
        end=torch.where(touched, start[:, None] + 1, mentions.end - gap),
        visible=mentions.visible & ~hidden & ~touched,
    )


def hide_text_mentions(batch: Batch) -> Batch:
    """The batch without the mentions of its text, for views in which that text is to be found out."""
    mentions = batch.mentions
    of_text = mentions.host == Host.TEXT
    return replace(
        batch,
        mentions=replace(
            mentions,
            start=mentions.start.masked_fill(of_text, 0),
            end=torch.where(of_text, 1, mentions.end),
            mask=mentions.mask & ~of_text,
            visible=mentions.visible & ~of_text,
        ),
    )
