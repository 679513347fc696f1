"""Texts as numbers, by a language model on disk: what `kg.embedding` takes as features of entities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kg.errors import InputError

LONGEST = 128
"""Tokens of a text that are read."""


class TextFeatures:
    """Texts -> (n, D): the mean of a language model's last hidden states over the tokens of each text, at length 1.

    The model stays as it is; a map of its own is learned on top where the features are used.

    Args:
        folder: a local transformers folder with a tokenizer, such as a MiniLM or BERT; nothing is downloaded.
        device: where the model runs.

    Source: Reimers & Gurevych 2019, "Sentence-BERT", section 3 (mean pooling); Wang et al. 2021, KEPLER, for
    descriptions as entities.

    `fit(..., features=encode_items(texts_of(kg), TextFeatures("minilm")))`
    """

    def __init__(self, folder: str | Path, device: str = "cpu") -> None:
        from transformers import AutoModel, AutoTokenizer

        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder of a language model")
        try:
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self.model: Any = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{folder}: not a language model with a tokenizer ({str(error).splitlines()[0]})"
            ) from None
        self.model = self.model.eval().to(device)
        self.device = device

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        tokens = self.tokenizer(list(texts), padding=True, truncation=True, max_length=LONGEST, return_tensors="pt").to(
            self.device
        )
        hidden = self.model(**tokens).last_hidden_state
        mask = tokens["attention_mask"][..., None].to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp_min(1)
        normed: np.ndarray = torch.nn.functional.normalize(mean, dim=1).cpu().numpy()
        return normed
