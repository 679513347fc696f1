"""Records as a trained model reads them, in order and without chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kept.data.batch import Batch
from kept.data.drawings import PixelPictures
from kept.data.noise import Noise
from kept.data.pictures import PLAIN
from kept.data.record import Record
from kept.data.region_features import Crops
from kept.data.tokenized import Pictures, TokenizedRecords
from kept.modeling.model import KeptModel
from kept.training.grid import GridNetwork
from kg.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CHUNK = 128
NOISE = Noise(0, 0)


def read_corpus(
    model: KeptModel, records: Sequence[Record], tokenizer: PreTrainedTokenizerFast, pictures: Path | None
) -> TokenizedRecords:
    """Records as a model reads them: its classes, its regions, its pictures drawn as they are."""
    config = model.config
    drawn: Pictures | None = None
    features = None
    if config.image is not None or (config.region_features or {}).get("of") == "crops":
        if pictures is None:
            raise InputError("this model reads pictures; say where they are with --pictures")
        grid = GridNetwork.of_model(model)
        if grid is not None:
            drawn = grid.load(pictures)
        elif config.image is not None:
            loaded = PixelPictures.load(pictures, size=int(config.image.get("size", 24)))
            drawn = replace(loaded, look=PLAIN)
        if (config.region_features or {}).get("of") == "crops":
            features = Crops(pictures, int(config.region_features["size"]))
    return TokenizedRecords.build(
        records,
        tokenizer,
        pictures=drawn,
        max_length=config.max_pieces,
        classes=config.classes or {},
        features=features,
        with_regions=config.regions is not None or "detection" in (config.head_options or {}),
    )


def batches(corpus: TokenizedRecords) -> Iterator[Batch]:
    """All records in order."""
    for start in range(0, len(corpus), CHUNK):
        yield corpus.batch(np.arange(start, min(start + CHUNK, len(corpus))), NOISE)
