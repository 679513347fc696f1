"""The texts with regions, their targets and the first weights that LXMERT's arms of `kept bench train` share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.bench.train_sentences import DROPOUTS, IGNORE, MODEL, POOL, RATE, Batches, choose

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

SHAPE: dict[str, Any] = {
    "vocab_size": 30522,
    "hidden_size": 256,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "max_position_embeddings": 512,
    "l_layers": 4,
    "r_layers": 2,
    "x_layers": 2,
    "visual_feat_dim": 2048,
    "visual_pos_dim": 7,
    "num_object_labels": 1600,
    "num_attr_labels": 400,
    "num_qa_labels": 9500,
}
"""LXMERT's inputs and targets at a third of its width and depth, boxes as our seven numbers."""
REGIONS = 36
SHORTEST, LONGEST = 8, 20
"""Pieces of a text, [CLS] and [SEP] among them; LXMERT reads 20 at most."""
CLS, SEP, MASK, FIRST = 101, 102, 103, 999
"""Pieces of BERT's vocabulary, and the first that is a word's."""
PAIRS = "pairs.npz"


def prepare(folder: Path, batch: int, dropout: float, seed: int, shape: dict[str, Any] = SHAPE) -> None:
    """Write the model that all begin with, and the pairs with their targets, into `folder`.

    What a step costs depends on lengths and counts alone, so pieces, features and targets are drawn at random.
    """
    import torch
    from transformers import LxmertConfig, LxmertForPreTraining

    from kept.modeling.layers import initialise

    rates: dict[str, Any] = {f"{theirs}_dropout_prob": dropout for theirs in DROPOUTS.values()}
    model = LxmertForPreTraining(LxmertConfig(**shape, **rates))
    initialise(model, torch.Generator().manual_seed(seed), embedding_std=0.02)
    # A hidden feature is all zeros, and the norm of a zero vector has a gradient without bound.
    model.lxmert.encoder.visn_fc.visn_fc.bias.data.normal_(0.0, 0.1, generator=torch.Generator().manual_seed(seed))
    model.save_pretrained(str(folder / MODEL))
    generator, count = np.random.default_rng(seed), batch * POOL
    lengths = generator.integers(SHORTEST, LONGEST + 1, count)
    places = np.arange(LONGEST)
    ids = generator.integers(min(FIRST, shape["vocab_size"] // 2), shape["vocab_size"], (count, LONGEST))
    inner = (places > 0) & (places < lengths[:, None] - 1)
    masked = inner & (generator.random(ids.shape) < RATE)
    masked[:, 1] = True
    shown = np.where(masked, MASK, ids)
    shown[:, 0] = CLS
    shown[np.arange(count), lengths - 1] = SEP
    shown[places >= lengths[:, None]] = 0
    hidden = generator.random((count, REGIONS)) < RATE
    matched = generator.integers(0, 2, count)
    # A mean over no answers is no number.
    matched[::batch] = 1
    corners = np.sort(generator.random((count, REGIONS, 2, 2)), axis=2).reshape(count, REGIONS, 4)
    # A mismatched question has no answer.
    answers = np.where(matched == 1, generator.integers(0, shape["num_qa_labels"], count), IGNORE)
    np.savez(
        folder / PAIRS,
        ids=shown,
        labels=np.where(masked, ids, IGNORE),
        lengths=lengths,
        boxes=corners.astype(np.float32),
        features=generator.random((count, REGIONS, shape["visual_feat_dim"]), dtype=np.float32),
        hidden=hidden,
        objects=generator.integers(0, shape["num_object_labels"], hidden.shape),
        attributes=generator.integers(0, shape["num_attr_labels"], hidden.shape),
        matched=matched,
        answers=answers,
        batch=batch,
    )


@dataclass(frozen=True)
class PairBatches(Batches):
    """What an arm steps over: texts as in `Batches`, and what stands beside them.

    Attributes:
        beside: by name, "boxes" (count, R, 4), "features" (count, R, F), "hidden" (count, R) where they are not shown
            but asked for, "objects" and "attributes" (count, R), "matched" (count,) 1 or 0, "answers" (count,).
    """

    beside: dict[str, NDArray[Any]]

    @classmethod
    def read(cls, folder: Path, buckets: bool, count: int) -> PairBatches:
        with np.load(folder / PAIRS, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        ids, labels, lengths, batch = (arrays.pop(name) for name in ("ids", "labels", "lengths", "batch"))
        return cls(ids, labels, lengths, choose(lengths, int(batch), buckets, count), arrays)

    def tensors(self, number: int, device: str) -> tuple[torch.Tensor, ...]:
        """Those of `Batches`, then all beside them."""
        import torch

        rows = self.rows[number]
        beside = (torch.from_numpy(array[rows]).to(device) for array in self.beside.values())
        return (*super().tensors(number, device), *beside)

    def units(self, number: int) -> dict[str, float]:
        """Those of `Batches`, and pairs, regions that are asked for, answers."""
        rows = self.rows[number]
        return {
            **super().units(number),
            "pairs": float(len(rows)),
            "hidden": float(self.beside["hidden"][rows].sum()),
        }
