"""Masked language modelling."""

from __future__ import annotations

import math

import torch.nn.functional as F

from kept.data.batch import IGNORE, Batch
from kept.objectives.base import (
    OBJECTIVES,
    Context,
    Forward,
    Loss,
    Objective,
    Term,
    View,
    full_precision,
    nothing,
)
from kept.objectives.masking import mask_view


@OBJECTIVES.register("mlm")
class MaskedLanguageModeling(Objective):
    """L = -sum log p(w | the rest) over masked words and over the pieces of one masked name, given text and pictures.

    A whole mention is replaced by one [MASK], from whose state its pieces and their end are read one after the other;
    of the other words `rate` are masked in place (see `mask_view`). The vocabulary is scored at masked places only, and
    the knowledge's own tokens are never targets. Terms: "mlm" (words) and "names" (pieces of names). Baseline: log V.
    Source: Devlin et al. 2019, BERT, section 3.1.
    """

    parts = ("mlm", "names")

    def __init__(self, weight: float = 1.0, rate: float = 0.1, ask_answer: float = 0.8) -> None:
        super().__init__()
        self.weight, self.rate, self.ask_answer = weight, rate, ask_answer

    def prepare(self, batch: Batch, context: Context) -> View:
        return mask_view(batch, context, rate=self.rate, ask_answer=self.ask_answer, slots=context.slots)

    def loss(self, view: View, forward: Forward) -> Loss:
        model = forward.model
        pieces, name = view.targets["pieces"], view.targets["name"]
        words, names = view.counts["mlm"], view.counts["names"]
        baseline = math.log(model.config.vocabulary)
        word_sum = name_sum = nothing(model)
        if words or names:
            hidden = forward(view).streams["text"].states
        with full_precision():
            if words:
                masked = pieces != IGNORE
                logits = model.piece_logits(hidden[masked]).float()
                word_sum = F.cross_entropy(logits, pieces[masked], reduction="sum")
            if names:
                wanted = (name != IGNORE).nonzero()
                rows, slots = wanted[:, 0], wanted[:, 1]
                before = name[rows, (slots - 1).clamp(min=0)]
                logits = model.name_logits(hidden[rows, view.targets["place"][rows]], slots, before).float()
                name_sum = F.cross_entropy(logits, name[rows, slots], reduction="sum")
        return {
            "mlm": Term(word_sum, words, self.weight, baseline),
            "names": Term(name_sum, names, self.weight, baseline),
        }
