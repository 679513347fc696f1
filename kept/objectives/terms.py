"""The two terms that most objectives end in: word pieces, and classes of regions."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from kept.data.batch import IGNORE
from kept.objectives.base import Forward, Term, View, full_precision, nothing


def piece_term(view: View, forward: Forward, part: str, weight: float, states: Callable[[], Tensor]) -> Term:
    """-log p of the pieces that the view's target `pieces` (B, L) asks for; baseline log V.

    `states` gives the (B, L, D) states that predict them; it is not called where nothing is asked.
    """
    count, pieces = view.counts[part], view.targets["pieces"]
    total = nothing(forward.model)
    if count:
        wanted = pieces != IGNORE
        with full_precision():
            logits = forward.model.piece_logits(states()[wanted]).float()
            total = F.cross_entropy(logits, pieces[wanted], reduction="sum")
    return Term(total, count, weight, math.log(forward.model.config.vocabulary))


def text_term(view: View, forward: Forward, part: str, weight: float, stream: str = "text") -> Term:
    """`piece_term` from the final states of a stream."""
    return piece_term(view, forward, part, weight, lambda: forward(view).streams[stream].states)


def class_term(view: View, forward: Forward, part: str, weight: float, classes: Tensor, of: str = "objects") -> Term:
    """-log p of classes of regions, (B, R), or (B, R, A) for several of each, IGNORE for none.

    Baseline: the entropy of those that are asked for.
    """
    wanted = classes != IGNORE
    if not view.counts[part]:
        return Term(nothing(forward.model), 0, weight, 0.0)
    states = forward(view).streams["regions"].states
    each = states if classes.dim() == 2 else states[:, :, None].expand(*classes.shape, -1)
    with full_precision():
        logits = forward.model.heads["regions"](each[wanted], of).float()
        total = F.cross_entropy(logits, classes[wanted], reduction="sum")
    return Term(total, view.counts[part], weight, entropy_of(classes[wanted]))


def entropy_of(labels: Tensor) -> float:
    """The entropy of labels in nats: the mean loss of the best constant answer.

    >>> round(entropy_of(torch.tensor([1, 1, 2, 2])), 4)
    0.6931
    """
    shares = torch.unique(labels, return_counts=True)[1].double() / max(1, len(labels))
    return float(-(shares * shares.log()).sum())
