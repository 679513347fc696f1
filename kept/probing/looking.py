"""Pictures of one's own before a trained model: captions, and answers from its closed list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from kept.data.batch import Batch
from kept.data.drawings import PixelPictures
from kept.data.pictures import PLAIN, load_pictures
from kept.data.record import Record
from kept.data.tokenized import Pictures, TokenizedRecords
from kept.modeling.model import KeptModel
from kept.modeling.writing import How, write
from kept.objectives.base import Context
from kept.objectives.generation import blank
from kept.probing.media.corpora import NOISE
from kept.training.grid import GridNetwork
from kg.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def shown(
    model: KeptModel, tokenizer: PreTrainedTokenizerFast, images: Sequence[Path | None], question: str | None = None
) -> Batch:
    """Pictures as a model reads them, drawn as they are, each beside the question; None is no picture.

    Raises:
        InputError: when the model reads no pictures, or a file is missing or no picture.
    """
    files = [image for image in images if image is not None]
    pictures: Pictures | None = None
    if files:
        if model.config.image is None:
            raise InputError("this model reads no pictures")
        names = [str(number) for number in range(len(files))]
        pictures = _seen(model, files, names)
    named = iter(range(len(files)))
    records = [
        Record(id=str(row), question=question, image=None if image is None else str(next(named)))
        for row, image in enumerate(images)
    ]
    corpus = TokenizedRecords.build(records, tokenizer, pictures=pictures, max_length=model.config.max_pieces)
    return corpus.batch(np.arange(len(records)), NOISE).to(model.device)


def _seen(model: KeptModel, files: Sequence[Path], names: Sequence[str]) -> Pictures:
    grid = GridNetwork.of_model(model)
    if grid is not None:
        return grid.show(files, names)
    size = int((model.config.image or {}).get("size", 24))
    return PixelPictures(load_pictures(files, size=size), names, look=PLAIN)


def captions(
    model: KeptModel, tokenizer: PreTrainedTokenizerFast, images: Sequence[Path], how: How = "greedy"
) -> list[str]:
    """A caption for each picture, written as the objective "caption" trains it.

    >>> captions(model, tokenizer, [Path("cat.png")], how="beam")                         # doctest: +SKIP
    ['a black cat on a sofa']
    """
    batch = shown(model, tokenizer, images)
    return write(model, replace(batch, text=blank(batch.text, Context.of(tokenizer, NOISE))), tokenizer, how=how)


@torch.no_grad()
def choose(
    model: KeptModel, tokenizer: PreTrainedTokenizerFast, question: str, image: Path | None = None, top: int = 5
) -> list[tuple[str, float]]:
    """The likeliest answers of the model's closed list and their probabilities, best first.

    Raises:
        InputError: when the model was not trained to choose answers (objective "iqa").
    """
    if "answers" not in model.heads:
        raise InputError("this model has no list of answers: train it with the objective 'iqa', or ask for a [MASK]")
    names = (model.config.classes or {})["answers"]
    batch = shown(model, tokenizer, [image], question)
    likely = model.heads["answers"](model.encode(batch).summary)[0].softmax(-1)
    best = likely.topk(min(top, len(names)))
    return [(names[place], value) for value, place in zip(best.values.tolist(), best.indices.tolist(), strict=True)]
