"""Texts that a trained model writes about a picture, or as the answer to a question."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from kept.data.batch import Batch, Text
from kept.data.noise import Noise
from kept.modeling.generation import Hypothesis, beam_search, greedy, nucleus
from kept.modeling.model import KeptModel
from kept.modeling.rules import Writing

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

How = Literal["greedy", "beam", "nucleus"]


@torch.no_grad()
def write(
    model: KeptModel,
    batch: Batch,
    tokenizer: PreTrainedTokenizerFast,
    *,
    how: How = "greedy",
    max_length: int = 40,
    beams: int = 4,
    p: float = 0.9,
    noise: Noise = Noise(0, 0),
    knowledge: bool = True,
) -> list[str]:
    """One text for each record of a batch, written piece by piece from what the batch shows.

    For a caption the batch's text says nothing (`kept.objectives.generation.blank`), for an answer it is the question.
    A model with the head "writer" writes with that decoder, any other with the stack itself. Every piece is a forward
    of its own over what was written so far; nothing is cached.

    Args:
        how: "greedy", "beam" with `beams` hypotheses, or "nucleus" sampling of mass `p`, drawn by `noise` from each
            record's own numbers.
        max_length: pieces at most, the end included.

    `write(model, corpus.batch(rows, noise), tokenizer, how="beam")`
    """
    start_id, end_id = int(tokenizer.cls_token_id), int(tokenizer.sep_token_id)
    start = torch.full((len(batch), 1), start_id, dtype=torch.int64)

    def step(prefixes: Tensor, rows: Tensor) -> Tensor:
        read = batch.take(rows)
        real = torch.ones_like(prefixes, dtype=torch.bool)
        target = Text(ids=prefixes, mask=real, special=~real, words=torch.zeros_like(prefixes))
        states = written_states(model, replace(read, target=target), knowledge)
        return model.piece_logits(states[:, -1]).log_softmax(-1)

    limit = min(max_length, model.config.max_pieces - 1)
    best: list[Hypothesis]
    if how == "greedy":
        best = greedy(step, start, end_id=end_id, max_length=limit)
    elif how == "beam":
        best = [found[0] for found in beam_search(step, start, end_id=end_id, max_length=limit, beams=beams)]
    else:
        best = nucleus(step, start, end_id=end_id, draws=noise.uniform(batch.keys, limit, "writing"), p=p)
    return [str(tokenizer.decode(found.ids, skip_special_tokens=True)) for found in best]


def written_states(model: KeptModel, batch: Batch, knowledge: bool = True) -> Tensor:
    """(B, L, D): the states that predict the piece behind each one of the batch's target."""
    encodings = model.encode(batch, knowledge=knowledge, rule=Writing())
    if "writer" not in model.heads or batch.target is None:
        return encodings.streams["target"].states
    read = {name: stream for name, stream in encodings.streams.items() if name != "target"}
    states: Tensor = model.heads["writer"](model.embed_text(batch.target), read)
    return states
