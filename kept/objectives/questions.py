"""Image question answering as a choice among a closed list of answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F

from kept.data.batch import IGNORE, Batch
from kept.objectives.base import OBJECTIVES, Context, Forward, Loss, Objective, Term, View, full_precision, nothing
from kept.objectives.terms import entropy_of


@OBJECTIVES.register("iqa")
class ImageQuestionAnswering(Objective):
    """L = -sum log p(answer | question, picture) over the answers that the recipe's records give.

    The question is the record's text, clean; records without an answer, or whose answer is none of the list, are left
    out. Baseline: the entropy of the answers of the batch.
    Source: Tan & Bansal 2019, LXMERT, section 3.1.2.
    """

    needs = frozenset({"text", "answer"})
    parts = ("iqa",)

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def heads(self) -> Mapping[str, Mapping[str, Any]]:
        return {"answers": {}}

    def prepare(self, batch: Batch, context: Context) -> View:
        answer = torch.full_like(batch.keys, IGNORE) if batch.answer is None else batch.answer
        summary = torch.zeros_like(batch.text.mask)
        summary[:, :1] = True
        return View(
            name="asked",
            batch=batch,
            targets={"answer": answer},
            counts={"iqa": int((answer != IGNORE).sum())},
            read=summary,
        )

    def loss(self, view: View, forward: Forward) -> Loss:
        count, answer = view.counts["iqa"], view.targets["answer"]
        if not count:
            return {"iqa": Term(nothing(forward.model), 0, self.weight, 0.0)}
        asked = answer != IGNORE
        with full_precision():
            logits = forward.model.heads["answers"](forward(view).summary[asked]).float()
            total = F.cross_entropy(logits, answer[asked], reduction="sum")
        return {"iqa": Term(total, count, self.weight, entropy_of(answer[asked]))}
