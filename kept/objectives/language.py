"""Language modelling beside masking words in place: units of any size, prefixes, permutations."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from kept.data.batch import IGNORE, Batch, Host, Mentions, Text
from kept.modeling.rules import Prefix, TwoStreams
from kept.objectives.base import (
    OBJECTIVES,
    Context,
    Forward,
    Loss,
    Objective,
    View,
    with_words,
)
from kept.objectives.permutation import last_in_order, permutation_order, two_stream_visibility
from kept.objectives.terms import text_term
from kept.objectives.units import UNITS, corrupted, per_group, without_masked_entities


@OBJECTIVES.register("masked-units")
class MaskedUnits(Objective):
    """L = -sum log p(w | the rest) over masked units of the text: pieces, words, spans or linked mentions.

    About `rate` of the pieces are chosen, whole units of them, at least one; of the units 80% become [MASK], piece by
    piece, 10% random pieces and 10% stay. Pictures are whole, entities of masked mentions hidden. Baseline: log V.

    Args:
        unit: "piece", "word", "span" or "entity".

    Source: Devlin et al. 2019, BERT, section 3.1; Joshi et al. 2020, SpanBERT; Sun et al. 2019, ERNIE, section 3.2;
    conditional masking: Chen et al. 2020, UNITER, section 3.2.
    """

    parts = ("units",)

    def __init__(self, weight: float = 1.0, rate: float = 0.15, unit: str = "word") -> None:
        super().__init__()
        self.weight, self.rate, self.unit = weight, rate, UNITS[unit]()

    def prepare(self, batch: Batch, context: Context) -> View:
        text = batch.text
        able = text.mask & ~text.special
        chosen = self.unit.choose(batch, able, self.rate, context.noise)
        draw = context.noise.uniform(batch.keys, text.ids.shape[1], "mask/kind")
        kind = per_group(self.unit.groups(batch), draw)
        masked, pieces = corrupted(text, chosen, kind, context, batch.keys)
        return View(
            name=("units", UNITS.name_of(type(self.unit)), self.rate),
            batch=replace(without_masked_entities(batch, chosen), text=masked),
            targets={"pieces": pieces},
            counts={"units": int(chosen.sum())},
            read=chosen,
        )

    def loss(self, view: View, forward: Forward) -> Loss:
        return {"units": text_term(view, forward, "units", self.weight)}


@OBJECTIVES.register("prefix-lm")
class PrefixLanguageModeling(Objective):
    """L = -sum over t >= P of log p(x_t | x_<t, the prefix, the picture); attention is two-way inside the prefix.

    The prefix takes pictures and a share of the text's pieces that is uniform in [0, `most`), of each record its own;
    at least one piece is left to be written. Only entities mentioned inside the prefix are shown. `most=0` is
    plain (causal) language modelling, image-conditioned where there is a picture. Baseline: log V.
    Source: Wang et al. 2022, SimVLM, section 3.1.
    """

    parts = ("prefix-lm",)

    def __init__(self, weight: float = 1.0, most: float = 1.0) -> None:
        super().__init__()
        self.weight, self.most = weight, most

    def prepare(self, batch: Batch, context: Context) -> View:
        text = batch.text
        length = text.mask.sum(1)
        share = context.noise.uniform(batch.keys, 1, "prefix").squeeze(1) * self.most
        # The first piece is [CLS]; of the others at least one is written.
        prefix = 1 + (share * (length - 1).clamp(min=0)).floor().to(torch.int64)
        prefix = torch.minimum(prefix, (length - 1).clamp(min=1))
        places = torch.arange(text.ids.shape[1], device=text.ids.device)
        predicts = (places >= prefix[:, None] - 1) & (places < (length - 1)[:, None]) & with_words(batch)[:, None]
        following = F.pad(text.ids[:, 1:], (0, 1), value=0)
        return View(
            name=("prefix", self.most),
            batch=replace(batch, mentions=shown_before(batch, prefix)),
            targets={"pieces": torch.where(predicts, following, IGNORE)},
            counts={"prefix-lm": int(predicts.sum())},
            read=predicts,
            rule=Prefix(prefix),
        )

    def loss(self, view: View, forward: Forward) -> Loss:
        return {"prefix-lm": text_term(view, forward, "prefix-lm", self.weight)}


def shown_before(batch: Batch, prefix: Tensor) -> Mentions:
    """The mentions, those of the text visible only where they end inside the prefix and are not named behind it."""
    mentions = batch.mentions
    of_text = mentions.host == Host.TEXT
    behind = of_text & mentions.mask & (mentions.end > prefix[:, None])
    same = (mentions.entity[:, :, None] == mentions.entity[:, None, :]) & behind[:, None, :]
    return replace(mentions, visible=mentions.visible & ~same.any(2))


@OBJECTIVES.register("permutation-lm")
class PermutationLanguageModeling(Objective):
    """L = -sum log p(x_z | x of the pieces before z in a random order, place z) over the last sixth of the order.

    Two streams share all weights: the content of a piece sees itself and what comes before it, its query sees the
    place but not the piece. Specials stay outside the order and are seen by all. Baseline: log V.

    Args:
        share: of the pieces that are predicted.

    Source: Yang et al. 2019, XLNet, sections 2.2 and 2.3.
    """

    parts = ("permutation-lm",)

    def __init__(self, weight: float = 1.0, share: float = 1 / 6) -> None:
        super().__init__()
        self.weight, self.share = weight, share

    def prepare(self, batch: Batch, context: Context) -> View:
        text = batch.text
        draws = context.noise.uniform(batch.keys, text.ids.shape[1], "permutation")
        rank = permutation_order(draws, text.mask, text.special)
        targets = last_in_order(rank, self.share)
        content, queries = two_stream_visibility(rank, targets, text.mask)
        asked = Text(
            ids=torch.full_like(text.ids, context.mask_id),
            mask=targets,
            special=~targets,
            words=text.words,
            positions=torch.arange(text.ids.shape[1], device=text.ids.device).expand_as(text.ids),
        )
        return View(
            name=("permutation", self.share),
            batch=replace(without_masked_entities(batch, targets), target=asked),
            targets={"pieces": torch.where(targets, text.ids, IGNORE)},
            counts={"permutation-lm": int(targets.sum())},
            read=torch.zeros_like(targets),
            rule=TwoStreams(content, queries, ~targets & text.mask),
        )

    def loss(self, view: View, forward: Forward) -> Loss:
        return {"permutation-lm": text_term(view, forward, "permutation-lm", self.weight, "target")}
