"""The sentences, masks and first weights that all arms of `kept bench train` share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

SHAPE = {
    "vocab_size": 30522,
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "max_position_embeddings": 512,
}
"""That of all-MiniLM-L6."""
LONGEST, RATE = 128, 0.15
POOL = 16
"""Batches whose sentences are sorted by length together, as `kept.training.sampling` does."""
IGNORE = -100
DROPOUTS = {"dropout": "hidden", "attention_dropout": "attention_probs"}
"""Our names of rates, and how transformers' begin."""
MODEL, SENTENCES = "model", "sentences.npz"


def prepare(data: Path, model: Path | None, folder: Path, batch: int, dropout: float, seed: int) -> None:
    """Write the model that all begin with, and the sentences with their masks, into `folder`."""
    from kept.data.tokenizer import load_tokenizer, train_tokenizer
    from kg.errors import InputError

    sentences = read_sentences(data)
    generator = np.random.default_rng(seed)
    count = batch * POOL
    if len(sentences) < count:
        raise InputError(f"{data}: {len(sentences)} sentences, and {POOL} batches of {batch} need {count}")
    chosen = [sentences[index] for index in generator.choice(len(sentences), count, replace=False)]
    tokenizer = train_tokenizer(sentences[:20_000], SHAPE["vocab_size"]) if model is None else load_tokenizer(model)
    save_model(model, folder / MODEL, dropout, seed)
    rows = tokenizer(chosen, truncation=True, max_length=LONGEST, return_attention_mask=False)["input_ids"]
    lengths = np.array([len(row) for row in rows])
    ids = np.zeros((count, LONGEST), dtype=np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = row
    real = np.arange(LONGEST) < lengths[:, None]
    inner = real & ~np.isin(ids, np.array(tokenizer.all_special_ids))
    masked = inner & (generator.random(ids.shape) < RATE)
    kind = generator.random(ids.shape)
    drawn = generator.integers(max(tokenizer.all_special_ids) + 1, len(tokenizer), ids.shape)
    shown = np.where(masked & (kind < 0.8), int(tokenizer.mask_token_id), np.where(masked & (kind >= 0.9), drawn, ids))
    np.savez(folder / SENTENCES, ids=shown, labels=np.where(masked, ids, IGNORE), lengths=lengths, batch=batch)


def read_sentences(data: Path) -> list[str]:
    """Sentences, each once: a folder or file of T-REx evidences (JSON lines, as in LAMA), or a text of a line each.

    Raises:
        InputError: when there are none, with the path, and for a broken line, with its number.
    """
    from kg.errors import InputError

    files = sorted(data.glob("*.jsonl")) if data.is_dir() else [data]
    if not files or not files[0].is_file():
        raise InputError(f"{data}: no sentences here; give --data a folder of LAMA's T-REx, or a text")
    found: dict[str, None] = {}
    for path in files:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if path.suffix != ".jsonl":
                    found[line.strip()[:2000]] = None
                    continue
                try:
                    evidences = json.loads(line)["evidences"]
                    texts = [one["masked_sentence"].replace("[MASK]", one["obj_surface"]) for one in evidences]
                except (ValueError, KeyError, TypeError, AttributeError):
                    raise InputError(f"{path}:{number}: no evidences with masked_sentence and obj_surface") from None
                found.update((text[:2000], None) for text in texts)
    found.pop("", None)
    return list(found)


def save_model(source: Path | None, folder: Path, dropout: float, seed: int) -> None:
    """A BERT with its masked head: that of a local folder, or fresh of MiniLM's shape."""
    import torch
    from transformers import BertConfig, BertForMaskedLM
    from transformers.utils import logging

    # What a folder without a masked head lacks is no news here: every arm begins with the same fresh one.
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.manual_seed(seed)
    rates: dict[str, Any] = {f"{theirs}_dropout_prob": dropout for theirs in DROPOUTS.values()}
    if source is None:
        shape: dict[str, Any] = SHAPE
        model: Any = BertForMaskedLM(BertConfig(**shape, **rates))
    else:
        model = BertForMaskedLM.from_pretrained(str(source), local_files_only=True, use_safetensors=True, **rates)
    model.save_pretrained(str(folder))


@dataclass(frozen=True)
class Batches:
    """What an arm steps over.

    Attributes:
        ids, labels: (count, longest) int64, `IGNORE` where nothing is asked.
        lengths: (count,) real pieces.
        rows: which sentences make up each batch.
    """

    ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    lengths: NDArray[np.int64]
    rows: Sequence[NDArray[np.int64]]

    @classmethod
    def read(cls, folder: Path, buckets: bool, count: int) -> Batches:
        """`count` batches out of the pool, evenly spaced; in buckets, of every length."""
        with np.load(folder / SENTENCES, allow_pickle=False) as found:
            ids, labels, lengths, batch = (found[name] for name in ("ids", "labels", "lengths", "batch"))
        return cls(ids, labels, lengths, choose(lengths, int(batch), buckets, count))

    def tensors(self, number: int, device: str) -> tuple[torch.Tensor, ...]:
        """Pieces, where they are real, and labels of one batch, padded to its longest."""
        import torch

        rows = self.rows[number]
        longest = int(self.lengths[rows].max())
        mask = np.arange(longest) < self.lengths[rows, None]
        arrays = self.ids[rows, :longest], mask, self.labels[rows, :longest]
        ids, real, labels = (torch.from_numpy(array).to(device) for array in arrays)
        return ids, real, labels

    def units(self, number: int) -> dict[str, float]:
        """Of one batch: valid and computed tokens of a padded batch, masked ones, sum of squared lengths."""
        rows = self.rows[number]
        lengths = self.lengths[rows]
        return {
            "tokens": float(lengths.sum()),
            "places": float(lengths.max() * len(rows)),
            "masked": float((self.labels[rows] != IGNORE).sum()),
            "squares": float((lengths.astype(np.float64) ** 2).sum()),
        }


def choose(lengths: NDArray[np.int64], batch: int, buckets: bool, count: int) -> list[NDArray[np.int64]]:
    """Which rows make up each of `count` batches of a pool, evenly spaced in it; in buckets, sorted by length first."""
    order = np.argsort(lengths, kind="stable") if buckets else np.arange(len(lengths))
    rows = order.reshape(-1, batch)
    spaced = np.linspace(0, len(rows) - 1, min(count, len(rows)) + 2)[1:-1].round().astype(int)
    return [rows[index] for index in (spaced if count < len(rows) else np.arange(len(rows)))]
