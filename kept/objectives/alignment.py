"""Words and regions aligned by optimal transport."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from kept.data.batch import Batch
from kept.modeling.rules import Apart
from kept.modeling.streams import Stream, Streams
from kept.objectives.base import (
    OBJECTIVES,
    Context,
    Forward,
    Loss,
    Objective,
    Term,
    View,
    nothing,
    pictured,
    with_words,
)
from kept.objectives.negatives import with_texts, wrong_texts
from kept.objectives.transport import transport_distance, transport_plan


@OBJECTIVES.register("wra")
class WordRegionAlignment(Objective):
    """L = sum over pairs of s <T, C>: what it costs to carry the words of a text onto the regions of its picture.

    C is 1 - cosine of final states, T the plan of inexact proximal point steps (`transport_plan`), which gets no
    gradient. Pairs that belong together attract (s = 1); one wrong pair for each, its picture with a text of the corpus
    that says something else, repels (s = -1) or is left out. Specials take no part. Without regions the patches of the
    picture are aligned. No baseline: distances have no best constant.

    In a stack where words and regions see each other, right and wrong pairs can be told apart without any word finding
    its region; with `apart` neither sees the other, so that only their own contents can be near.

    Args:
        apart: words and regions are encoded each for themselves.
        negatives: "repel" as in UNITER's code, or "ignore" as in its paper.
        beta, steps: of the transport.

    Source: Chen et al. 2020, UNITER, section 3.2 (WRA); Xie et al. 2019, IPOT; apart: Yao et al. 2022, FILIP, section
    3.1 (words and patches compared before they meet).
    """

    needs = frozenset({"text", "pictures"})
    parts = ("wra",)

    def __init__(
        self,
        weight: float = 0.1,
        negatives: Literal["repel", "ignore"] = "repel",
        beta: float = 0.5,
        steps: int = 50,
        apart: bool = False,
    ) -> None:
        super().__init__()
        self.weight, self.negatives, self.beta, self.steps = weight, negatives, beta, steps
        self.rule = Apart() if apart else None

    def prepare(self, batch: Batch, context: Context) -> View:
        rows = pictured(batch, context)
        rows = rows[with_words(batch)[rows]]
        shown = batch.take(rows)
        if self.rule is not None and shown.regions is not None:
            # Neither words nor regions would see it.
            shown = replace(shown, image=None)
        sign = torch.ones(len(rows), device=rows.device)
        if self.negatives == "repel" and len(rows):
            other = wrong_texts(shown, context, hard=0.0, top_k=0, sim_max=1.0, purpose="wra")
            found = (other >= 0).nonzero().squeeze(1)
            texts = torch.cat([shown.rows, other[found]])
            pictures = torch.cat([torch.arange(len(rows), device=rows.device), found])
            shown = with_texts(shown.take(pictures), texts, context)
            sign = torch.cat([sign, -torch.ones(len(found), device=rows.device)])
        return View(
            name=("aligned", self.negatives, self.rule),
            batch=shown,
            targets={"sign": sign},
            counts={"wra": len(rows)},
            knowledge=False,
            rule=self.rule,
        )

    def loss(self, view: View, forward: Forward) -> Loss:
        count = view.counts["wra"]
        if not count:
            return {"wra": Term(nothing(forward.model), 0, self.weight)}
        streams = forward(view).streams
        words, things = words_of(view.batch), things_of(streams)
        distance = transport_distance(
            streams["text"].states, things.states, words, things.mask, beta=self.beta, steps=self.steps
        )
        floor = -2.0 if self.negatives == "repel" else 0.0
        return {"wra": Term((distance * view.targets["sign"]).sum(), count, self.weight, None, floor)}


def words_of(batch: Batch) -> Tensor:
    """(B, L) bool, True at pieces that are no specials."""
    return batch.text.mask & ~batch.text.special


def things_of(streams: Streams) -> Stream:
    """The regions, or the patches of a picture without its summary."""
    if "regions" in streams:
        return streams["regions"]
    patches = streams["image"]
    mask = patches.mask.clone()
    mask[:, 0] = False
    return replace(patches, mask=mask)


def align(streams: Streams, batch: Batch, *, beta: float = 0.5, steps: int = 50) -> Tensor:
    """(B, L, R): how much of each word goes to each region; a word's region is where most of it goes."""
    things = things_of(streams)
    x, y = (torch.nn.functional.normalize(each.float(), dim=-1) for each in (streams["text"].states, things.states))
    return transport_plan(1 - x @ y.transpose(1, 2), words_of(batch), things.mask, beta=beta, steps=steps)
