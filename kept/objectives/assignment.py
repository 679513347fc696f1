"""Detection as the prediction of a set: which query answers for which object, and what that costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from kept.data.batch import IGNORE
from kept.data.boxes import generalized_iou, to_corners
from kept.objectives.base import full_precision

# What a cost that is no finite number counts as: such a pair is chosen only where nothing else is left.
WORST = 1e6

Matches = list[tuple[Tensor, Tensor]]


class SetTerms(NamedTuple):
    """Sums over a batch and what to divide them by.

    Args:
        class_sum: the weighted cross-entropy of all queries; the unmatched ones say "no object" at weight `no_object`.
        class_weight_sum: the sum of its weights, matched + no_object (queries - matched).
        l1_sum: sum over matched boxes of |c - c'| over centre, width and height.
        giou_sum: sum over matched boxes of 1 - generalised IoU.
        boxes: how many objects were matched.
        attribute_sum: sum over matched objects that have an attribute of -log p(attribute).
        attributes: how many those are.
    """

    class_sum: Tensor
    class_weight_sum: float
    l1_sum: Tensor
    giou_sum: Tensor
    boxes: int
    attribute_sum: Tensor
    attributes: int


@torch.no_grad()
def set_costs(
    logits: Tensor,
    boxes: Tensor,
    labels: Tensor,
    targets: Tensor,
    *,
    class_weight: float = 1.0,
    l1_weight: float = 5.0,
    giou_weight: float = 2.0,
) -> Tensor:
    """(Q, T), what it would cost query i to answer for object j: -p_i(c_j) + 5 |b_i - b_j|_1 - 2 GIoU(b_i, b_j).

    Args:
        logits: (Q, C + 1), the last one for "no object".
        boxes: (Q, 4) predicted centre x, centre y, width, height, as shares of the picture.
        labels: (T,) int64 classes in [0, C).
        targets: (T, 4), as `boxes`.

    Source: Carion et al. 2020, DETR, section 3.1.

        >>> box = torch.tensor([[0.5, 0.5, 1.0, 1.0]])
        >>> set_costs(torch.tensor([[90.0, 0.0]]), box, torch.tensor([0]), box).tolist()
        [[-3.0]]
    """
    with full_precision():
        likely = logits.float().softmax(-1)[:, labels]
        boxes, targets = boxes.float(), targets.float()
        apart = (boxes[:, None] - targets[None]).abs().sum(-1)
        overlap = generalized_iou(to_corners(boxes), to_corners(targets))
        return l1_weight * apart - class_weight * likely - giou_weight * overlap


def match_sets(costs: Iterable[Tensor]) -> Matches:
    """For each (Q, T) cost the assignment of least total cost, as (query indices, target indices), min(Q, T) of each.

    The queries come in ascending order. Pairs whose cost is no finite number are matched last. Runs on the CPU.

    Source: Kuhn 1955, the Hungarian method; as in Carion et al. 2020, DETR, section 3.1.

        >>> [(queries, targets)] = match_sets([torch.tensor([[1.0, 2.0], [0.0, 5.0], [9.0, 9.0]])])
        >>> queries.tolist(), targets.tolist()
        ([0, 1], [1, 0])
    """
    matches: Matches = []
    for cost in costs:
        known = cost.detach().double().nan_to_num(WORST, posinf=WORST, neginf=WORST).clamp(-WORST, WORST).cpu().numpy()
        queries, targets = linear_sum_assignment(known)
        matches.append((torch.as_tensor(queries, device=cost.device), torch.as_tensor(targets, device=cost.device)))
    return matches


def set_loss_terms(
    logits: Tensor,
    boxes: Tensor,
    labels: Sequence[Tensor],
    targets: Sequence[Tensor],
    *,
    attribute_logits: Tensor | None = None,
    attributes: Sequence[Tensor] | None = None,
    no_object: float = 0.1,
    class_weight: float = 1.0,
    l1_weight: float = 5.0,
    giou_weight: float = 2.0,
) -> SetTerms:
    """Match every record's queries to its objects and sum what they miss.

    The three weights are those of the matching (`set_costs`); the sums come unweighted, and DETR adds them up with the
    same. The result's `class_weight_sum` and `boxes` are known before any forward, and so is `attributes` as long as no
    record has more objects than queries.

    Args:
        logits: (B, Q, C + 1), the last one for "no object".
        boxes: (B, Q, 4) predicted centre x, centre y, width, height, as shares of the picture.
        labels: of each record, (T,) int64 classes.
        targets: of each record, (T, 4), as `boxes`.
        attribute_logits: (B, Q, A), or None.
        attributes: of each record, (T,) int64, IGNORE where an object has none.
        no_object: the weight of queries that answer for nothing.

    Raises:
        ValueError: if only one of attribute_logits and attributes is given.

    Source: Carion et al. 2020, DETR, section 3.1; attributes as in Xu et al. 2021, E2E-VLP, section 3.3.

        >>> box = torch.tensor([[[0.5, 0.5, 1.0, 1.0], [0.2, 0.2, 0.1, 0.1]]])
        >>> terms = set_loss_terms(torch.zeros(1, 2, 3), box, [torch.tensor([1])], [box[0, :1]])
        >>> terms.boxes, round(terms.class_weight_sum, 1), float(terms.l1_sum)
        (1, 1.1, 0.0)
    """
    if (attribute_logits is None) != (attributes is None):
        raise ValueError("attribute_logits and attributes come together")
    matches = match_sets(
        set_costs(*one, class_weight=class_weight, l1_weight=l1_weight, giou_weight=giou_weight)
        for one in zip(logits, boxes, labels, targets, strict=True)
    )
    none = torch.zeros(0, dtype=torch.int64, device=logits.device)
    row = torch.cat([none, *(torch.full_like(queries, b) for b, (queries, _) in enumerate(matches))])
    query = torch.cat([none, *(queries for queries, _ in matches)])

    def gold(values: Sequence[Tensor], nothing: Tensor) -> Tensor:
        return torch.cat([nothing, *(value[objects] for value, (_, objects) in zip(values, matches, strict=True))])

    with full_precision():
        wanted = torch.full(logits.shape[:2], logits.shape[-1] - 1, device=logits.device)
        wanted[row, query] = gold(labels, none)
        weight = torch.full(logits.shape[:2], no_object, device=logits.device)
        weight[row, query] = 1.0
        entropy = F.cross_entropy(logits.float().transpose(1, 2), wanted, reduction="none")
        found, truth = boxes[row, query].float(), gold(targets, boxes.new_zeros(0, 4)).float()
        overlap = generalized_iou(to_corners(found), to_corners(truth)).diagonal()
        attribute_sum, count = found[:0].sum(), 0
        if attribute_logits is not None and attributes is not None:
            true_attributes = gold(attributes, none)
            count = int((true_attributes != IGNORE).sum())
            guesses = attribute_logits[row, query].float()
            attribute_sum = F.cross_entropy(guesses, true_attributes, ignore_index=IGNORE, reduction="sum")
    unmatched = wanted.numel() - len(row)
    return SetTerms(
        class_sum=(weight * entropy).sum(),
        class_weight_sum=len(row) + no_object * unmatched,
        l1_sum=(found - truth).abs().sum(),
        giou_sum=(1 - overlap).sum(),
        boxes=len(row),
        attribute_sum=attribute_sum,
        attributes=count,
    )
