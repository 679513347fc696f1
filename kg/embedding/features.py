"""What is known of entities besides facts, as numbers: texts, pictures, numeric literals."""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from kg.errors import InputError

if TYPE_CHECKING:
    from kg.graph import KnowledgeGraph

Encode = Callable[[Sequence[Any]], np.ndarray]
"""Items (texts, paths of pictures, ...) -> (n, F) floats: any model, passed in from outside."""
WORD = re.compile(r"\w+")


class FeatureMap(nn.Module):
    """Entity inputs from fixed features: x_i = W_2 GELU(W_1 f_i + b_1) + b_2, brought to an entity's width.

    Columns are centred, and all features brought to unit variance as a whole: a rare word's column stays small. They
    are no parameters and are not saved with a model.

    Args:
        features: (N, F).
        width: numbers of an entity.
        hidden: width of the layer between.

        >>> import torch
        >>> FeatureMap(torch.eye(3), 4).eval()(torch.tensor([0, 2])).shape
        torch.Size([2, 4])
    """

    def __init__(self, features: Tensor, width: int, hidden: int = 256) -> None:
        super().__init__()
        self.features: Tensor
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", features.mean(0))
        self.register_buffer("scale", 1 / (features - self.mean).square().mean().sqrt().clamp_min(1e-6))
        self.register_buffer("features", features, persistent=False)
        self.layers = nn.Sequential(nn.Linear(features.shape[1], hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, ids: Tensor | None = None) -> Tensor:
        """(n,) ids -> (n, width); without ids, all entities."""
        return self.of(self.features if ids is None else self.features[ids])

    def of(self, features: Tensor) -> Tensor:
        """(n, F) features, perhaps of entities that are in no graph -> (n, width)."""
        made: Tensor = self.layers((features - self.mean) * self.scale)
        return made


def encode_items(items: Sequence[Any], encode: Encode, batch: int = 256) -> np.ndarray:
    """(N, F) features of items, `batch` at a time.

    Raises:
        InputError: where the callable does not give one finite row for each item.

    >>> encode_items(["a", "bc"], lambda items: np.array([[len(item)] for item in items])).tolist()
    [[1.0], [2.0]]
    """
    parts = []
    for start in range(0, len(items), batch):
        some = items[start : start + batch]
        made = np.asarray(encode(some), dtype=np.float32)
        if made.ndim != 2 or len(made) != len(some):
            raise InputError(f"features: expected ({len(some)}, F) numbers, the callable gave {made.shape}")
        if not np.isfinite(made).all():
            raise InputError(f"features: of items {start} to {start + len(some) - 1} some are not finite")
        parts.append(made)
    if not parts:
        raise InputError("features: there are no items")
    return np.concatenate(parts)


def texts_of(kg: KnowledgeGraph) -> list[str]:
    """What the graph says of each entity in words: its label, then its description where it has one."""
    said = []
    for entity in range(kg.num_entities):
        description = kg.description(entity)
        said.append(f"{kg.label(entity)}: {description}" if description else kg.label(entity))
    return said


def hashed_words(width: int = 512) -> Encode:
    """A callable of texts that needs no model: words and pairs of neighbouring ones, hashed into `width` signed counts.

    Source: Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning".

    >>> rows = hashed_words(64)(["red apple", "Red apple!", "blue sky"])
    >>> bool((rows[0] == rows[1]).all()), bool((rows[0] == rows[2]).all())
    (True, False)
    """

    def encode(texts: Sequence[str]) -> np.ndarray:
        rows = np.zeros((len(texts), width), np.float32)
        for row, text in enumerate(texts):
            words = WORD.findall(text.casefold())
            for term in (*words, *(" ".join(pair) for pair in itertools.pairwise(words))):
                code = zlib.crc32(term.encode())
                rows[row, (code >> 1) % width] += 1 if code & 1 else -1
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.maximum(norms, 1e-6)

    return encode


def numeric_literals(kg: KnowledgeGraph, *, least: int = 10) -> tuple[np.ndarray, list[str]]:
    """(N, 2P) numbers that literals give, and the P predicates: for each, the value and whether there is one.

    Values are the first that reads as a number (dates by their year), as ranks from -1 to 1 among the predicate's, so
    that no unit and no outlier matters; 0 where there is none. Predicates with fewer than `least` numbers are left out.
    Source: Kristiadi et al. 2019, LiteralE, for numbers as features of entities.
    """
    table = kg.parts.literals.table
    predicates = table["predicate"].combine_chunks()
    codes = np.asarray(predicates.indices)
    subjects, values = table["subject"].to_numpy(), table["value"].to_pylist()
    numbers = np.array([number_in(value) for value in values])
    columns, names = [], []
    for code, name in enumerate(predicates.dictionary.to_pylist()):
        rows = np.flatnonzero((codes == code) & ~np.isnan(numbers))
        if len(rows) < least:
            continue
        owners, first = np.unique(subjects[rows], return_index=True)
        own = numbers[rows[first]]
        distinct, place = np.unique(own, return_inverse=True)
        ranked = (2 * place + 2) / len(distinct) - 1 if len(distinct) > 1 else np.zeros(len(own))
        column = np.zeros((kg.num_entities, 2), np.float32)
        column[owners, 0], column[owners, 1] = ranked, 1
        columns.append(column)
        names.append(name)
    if not columns:
        return np.zeros((kg.num_entities, 0), np.float32), []
    return np.concatenate(columns, 1), names


def number_in(value: str) -> float:
    """A literal as a number, a date as its year; not a number where it is neither.

    >>> number_in("+3.5e2"), number_in("1999-12-31"), number_in("red")
    (350.0, 1999.0, nan)
    """
    try:
        number = float(value)
    except ValueError:
        match = re.match(r"([+-]?\d{1,6})-\d\d-\d\d", value)
        return float(match[1]) if match else float("nan")
    return number if np.isfinite(number) else float("nan")
