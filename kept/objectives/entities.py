"""Masked entity prediction: the answer is read from the graph."""

from __future__ import annotations

import math
from dataclasses import replace

import torch.nn.functional as F

from kept.data.batch import Batch
from kept.objectives.base import OBJECTIVES, Context, Forward, Loss, Objective, Term, View, full_precision, nothing
from kept.objectives.masking import at, mask_view


@OBJECTIVES.register("mep")
class MaskedEntityPrediction(Objective):
    """L = -sum log p(e | text and entities without e) over all entities of the graph, and the gate's loss.

    Asked only where the graph joins the masked mention to another mention of the record (`Mentions.known`), as
    distant supervision tells: where it does not, there is nothing to read and the tokens answer. The gate learns just
    that distinction, -sum log p(known), over all masked mentions. Each entity decoder of the model gets its own term;
    the first one is the model's answer. Baselines: log N, and the entropy of the share of known mentions.
    Source: Zhang et al. 2019, ERNIE, section 3.4; the view is that of "mlm" with equal settings and shares its forward.
    """

    needs = frozenset({"text", "mentions", "knowledge"})
    parts = ("mep", "gate")

    def __init__(
        self, weight: float = 1.0, gate_weight: float = 1.0, rate: float = 0.1, ask_answer: float = 0.8
    ) -> None:
        super().__init__()
        self.weight, self.gate_weight = weight, gate_weight
        self.rate, self.ask_answer = rate, ask_answer

    def prepare(self, batch: Batch, context: Context) -> View:
        view = mask_view(batch, context, rate=self.rate, ask_answer=self.ask_answer, slots=context.slots)
        asked = view.targets["asked"]
        known = (asked >= 0) & at(batch.mentions.known, asked)
        return replace(
            view,
            targets={**view.targets, "known": known},
            counts={"mep": int(known.sum()), "gate": int((asked >= 0).sum())},
        )

    def loss(self, view: View, forward: Forward) -> Loss:
        model, knowledge = forward.model, forward.model.knowledge
        if knowledge is None:
            raise ValueError("masked entity prediction needs a model with knowledge")
        asked, known = view.targets["asked"], view.targets["known"]
        entities, gates = view.counts["mep"], view.counts["gate"]
        sums = {name: nothing(model) for name in knowledge.decoders}
        gate_sum = nothing(model)
        if gates:
            rows = (asked >= 0).nonzero().squeeze(1)
            places, joined = view.targets["place"][rows], known[rows]
            gold = at(view.batch.mentions.entity, asked)[rows][joined]
            encodings = forward(view)
            with full_precision():
                for name in knowledge.decoders:
                    logits = model.entity_logits(encodings, rows, places, name).float()
                    sums[name] = F.cross_entropy(logits[joined], gold, reduction="sum")
                    if name == knowledge.answering:
                        odds = knowledge.gate(encodings.streams["text"].states[rows, places], logits)
                        gate_sum = F.binary_cross_entropy_with_logits(odds, joined.float(), reduction="sum")
        baseline = math.log(max(len(knowledge.table), 1))
        terms = {f"mep/{name}": Term(total, entities, self.weight, baseline) for name, total in sums.items()}
        return {**terms, "gate": Term(gate_sum, gates, self.gate_weight, _entropy(entities / max(gates, 1)))}


def _entropy(share: float) -> float:
    """The loss of always predicting `share`, in nats."""
    return -sum(p * math.log(p) for p in (share, 1 - share) if p > 0)
