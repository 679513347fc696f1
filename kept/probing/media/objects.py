"""Objects found in pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from kept.data.batch import IGNORE
from kept.data.boxes import to_corners
from kept.data.tokenized import TokenizedRecords
from kept.modeling.model import KeptModel
from kept.objectives.base import Context
from kept.objectives.generation import blank
from kept.probing.detection import Detections, Objects, average_precision
from kept.probing.media.corpora import NOISE, batches
from kept.probing.rows import Figure
from kg.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


@torch.no_grad()
def detection(
    model: KeptModel, corpus: TokenizedRecords, tokenizer: PreTrainedTokenizerFast, split: str
) -> list[Figure]:
    """Mean average precision of the candidates, over overlaps 0.5 to 0.95 and at 0.5.

    "boxes-ap50" is the average precision at 0.5 of boxes alone, as if all objects were of one class.
    """
    found: list[Detections] = []
    boxes_found: list[Detections] = []
    truth: list[Objects] = []
    for batch in batches(corpus):
        if batch.regions is None:
            raise InputError("no record has regions; detection cannot be measured")
        read = replace(batch, regions=None, text=blank(batch.text, Context.of(tokenizer, NOISE)))
        logits, boxes, _ = model.heads["detection"](model.encode(read, knowledge=False).streams, ("image",))[-1]
        likely = logits.softmax(-1)
        scores, labels = likely[..., :-1].max(-1)
        for row in range(len(batch)):
            there = batch.regions.mask[row] & (batch.regions.label[row] != IGNORE)
            corners = to_corners(boxes[row]).numpy()
            found.append(Detections(corners, labels[row].numpy(), scores[row].numpy()))
            something = (1 - likely[row, :, -1]).numpy()
            boxes_found.append(Detections(corners, np.zeros(len(corners), dtype=np.int64), something))
            truth.append(Objects(batch.regions.boxes[row][there].numpy(), batch.regions.label[row][there].numpy()))
    if not any(len(each.labels) for each in truth):
        raise InputError("no record has a region of a class that the model knows; detection cannot be measured")
    score = average_precision(found, truth)
    somewhere = [Objects(each.boxes, np.zeros_like(each.labels)) for each in truth]
    alone = average_precision(boxes_found, somewhere)
    values = {"map": score.mean, "ap50": score.at_half, "boxes-ap50": alone.at_half}
    return [
        Figure("detection", split, None, "model", "model", metric, value, None, None, len(truth), (0,))
        for metric, value in values.items()
    ]
