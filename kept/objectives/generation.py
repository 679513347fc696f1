"""Texts that are written from what is read: captions, denoised captions, answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor

from kept.data.batch import IGNORE, Batch, Text
from kept.modeling.rules import Writing
from kept.objectives.base import (
    OBJECTIVES,
    Context,
    Forward,
    Loss,
    Objective,
    View,
    pictured,
    with_words,
)
from kept.objectives.masking import hide_text_mentions
from kept.objectives.spans import infill, poisson_lengths, span_words
from kept.objectives.terms import piece_term, text_term
from kept.objectives.units import SPANS

Decoder = Literal["shared", "separate"]


class Generation(Objective):
    """L = -sum_t log p(w_t | w_<t, what is read), over the pieces of a text and its end.

    `shared`: what is written is one more stream of the stack, which sees everything and is seen by nobody; all weights
    are those of what is read. `separate`: a decoder of its own (`HEADS["writer"]`) reads the final states.
    """

    def __init__(self, weight: float = 1.0, decoder: Decoder = "shared") -> None:
        super().__init__()
        self.weight, self.decoder = weight, decoder

    def heads(self) -> Mapping[str, Mapping[str, Any]]:
        return {"writer": {}} if self.decoder == "separate" else {}

    def view(self, name: str, batch: Batch, written: Text, rows: Tensor, options: tuple[object, ...] = ()) -> View:
        """A view in which these rows' texts are to be written, everything else of the batch being read."""
        part = self.parts[0]
        asked = written.mask & rows[:, None]
        following = torch.nn.functional.pad(written.ids[:, 1:], (0, 1), value=0)
        predicts = asked & torch.nn.functional.pad(asked[:, 1:], (0, 1), value=False)
        return View(
            name=(name, self.decoder, *options),
            batch=replace(batch, target=replace(written, mask=asked)),
            targets={"pieces": torch.where(predicts, following, IGNORE)},
            counts={part: int(predicts.sum())},
            rule=Writing(),
        )

    def loss(self, view: View, forward: Forward) -> Loss:
        part = self.parts[0]
        if self.decoder == "separate":
            return {part: piece_term(view, forward, part, self.weight, lambda: separately(view, forward))}
        return {part: text_term(view, forward, part, self.weight, "target")}


def separately(view: View, forward: Forward) -> Tensor:
    """(B, L, D) states of the separate decoder over the view's target."""
    model, target = forward.model, view.batch.target
    if target is None:
        raise ValueError("there is nothing to write in this view")
    read = {name: stream for name, stream in forward(view).streams.items() if name != "target"}
    states: Tensor = model.heads["writer"](model.embed_text(target), read)
    return states


@OBJECTIVES.register("caption")
class Captioning(Generation):
    """L = -sum_t log p(w_t | w_<t, picture): the record's text is written from its picture alone.

    The text that is read is empty ([CLS] [SEP]); entities seen in the picture are shown. Baseline: log V.
    Source: Li et al. 2022, BLIP, section 3.2 (LM); Wang et al. 2023, "Large-scale Multi-Modal Pre-trained Models",
    section 3.3 (image-text generation).
    """

    needs = frozenset({"text", "pictures"})
    parts = ("caption",)

    def prepare(self, batch: Batch, context: Context) -> View:
        read = replace(hide_text_mentions(batch), text=blank(batch.text, context))
        return self.view("caption", read, batch.text, tells_a_picture(batch, context))


def tells_a_picture(batch: Batch, context: Context) -> Tensor:
    """(B,) bool, True where a record has both a picture and words."""
    shown = torch.zeros(len(batch), dtype=torch.bool, device=batch.keys.device)
    return shown.index_fill(0, pictured(batch, context), True) & with_words(batch)


def blank(text: Text, context: Context) -> Text:
    """[CLS] [SEP] for every record: a text that says nothing."""
    ids = torch.tensor([context.start_id, context.end_id], device=text.ids.device).expand(len(text.ids), 2)
    real = torch.ones_like(ids, dtype=torch.bool)
    return Text(ids=ids, mask=real, special=real, words=torch.full_like(ids, -1))


@OBJECTIVES.register("denoising")
class ImageConditionedDenoising(Generation):
    """L = -sum_t log p(w_t | w_<t, corrupted text, picture): the whole text is written anew from its ruins.

    Spans of words (Poisson lengths of mean 3, `rate` of the words) are replaced by one [MASK] each, so that their
    lengths are not known. Records without a picture are left out. Baseline: log V.
    Source: Xia et al. 2021, XGPT, section 3.2 (image-conditioned denoising autoencoding); noise as in Lewis et al.
    2020, BART, section 2.2.
    """

    needs = frozenset({"text", "pictures"})
    parts = ("denoising",)

    def __init__(self, weight: float = 1.0, rate: float = 0.3, decoder: Decoder = "shared") -> None:
        super().__init__(weight, decoder)
        self.rate = rate

    def prepare(self, batch: Batch, context: Context) -> View:
        text = batch.text
        draws = context.noise.uniform(batch.keys, 2 * SPANS, "denoising")
        spans = span_words(text, text.mask & ~text.special, draws, poisson_lengths(), self.rate, at_least=1)
        ruins, _ = infill(text, spans, context.mask_id)
        read = replace(hide_text_mentions(batch), text=ruins)
        return self.view("denoising", read, text, tells_a_picture(batch, context), (self.rate,))


@OBJECTIVES.register("answering")
class AnswerGeneration(Generation):
    """L = -sum_t log p(a_t | a_<t, question, picture): the answer is written, the question's pieces are no targets.

    Baseline: log V.
    Source: Wang et al. 2022, OFA, section 3.3; Li et al. 2022, BLIP, section 5.3 (question answering as generation).
    """

    needs = frozenset({"text", "reply"})
    parts = ("answering",)

    def prepare(self, batch: Batch, context: Context) -> View:
        reply = batch.reply or blank(batch.text, context)
        return self.view("answering", batch, reply, (reply.mask & ~reply.special).any(1))
