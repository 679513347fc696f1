"""Ranks of the right answers and the metrics made from them: pure functions over arrays.

A rank is kept as two numbers, how many candidates beat the gold one and how many tie with it (itself included), so that
ties are resolved by expectation instead of by the order of a sort.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from kg.errors import InputError, nearest

Metric = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Rank(NamedTuple):
    """The best gold answer: `better` beat it, `ties` stand level (itself included), out of `candidates`."""

    better: int
    ties: int
    candidates: int


def rank_of(scores: np.ndarray, gold: np.ndarray, also_true: np.ndarray | None = None) -> Rank:
    """The filtered rank of the best gold candidate; other true answers stand aside, other golds among them.

    Args:
        scores: (C,) float, higher is better; -inf allowed.
        gold: positions of the right candidates, at least one.
        also_true: positions of other true answers.

    Raises:
        ValueError: on a NaN score or without a gold candidate.

    Source: Bordes et al. 2013, "Translating embeddings for modeling multi-relational data", section 4.2 (filtered).

    >>> rank_of(np.array([.9, .5, .7, .5]), gold=np.array([1]), also_true=np.array([0]))
    Rank(better=1, ties=2, candidates=3)
    """
    scores = np.asarray(scores)
    if np.isnan(scores).any():
        raise ValueError("a score is NaN")
    if len(gold) == 0:
        raise ValueError("an item without a gold candidate has no rank")
    best = scores[gold].max()
    others = np.ones(len(scores), dtype=bool)
    others[gold] = False
    if also_true is not None:
        others[also_true] = False
    rivals = scores[others]
    return Rank(int((rivals > best).sum()), int((rivals == best).sum()) + 1, len(rivals) + 1)


def realistic_rank(better: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """The mean of the best and the worst rank among ties: better + (ties + 1) / 2.

    Source: Berrendorf et al. 2020, "On the ambiguity of rank-based evaluation of entity alignment or link prediction
    methods", section 3.
    """
    return np.asarray(better) + (np.asarray(ties) + 1) / 2


def mrr(better: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """The reciprocal of the realistic rank, per item; 0 < value <= 1.

    >>> mrr(np.array([0, 1]), np.array([1, 1])).tolist()
    [1.0, 0.5]
    """
    return 1 / realistic_rank(better, ties)


def hits(better: np.ndarray, ties: np.ndarray, k: int) -> np.ndarray:
    """The chance that the gold answer is among the first k when ties are broken at random, per item.

    Without ties it is the usual 0 or 1; a scorer that gives all C candidates one score gets exactly k / C.

    >>> hits(np.array([0, 0, 3]), np.array([1, 4, 1]), k=1).tolist()
    [1.0, 0.25, 0.0]
    """
    return np.clip((k - np.asarray(better)) / np.asarray(ties), 0.0, 1.0)


def metric(name: str) -> Metric:
    """The per-item function of a metric name: accuracy, p@K, hits@K or mrr.

    `accuracy` (choices) and `p@1` (answer spaces) are both hits at 1. p@K is LAMA's precision at K, which is hits@K.

    Raises:
        InputError: on an unknown name.
    """
    if name == "mrr":
        return mrr
    if name == "accuracy":
        return lambda better, ties: hits(better, ties, 1)
    found = re.fullmatch(r"(?:p|hits)@([1-9]\d*)", name)
    if not found:
        raise InputError(f"no metric is called {name!r}; {nearest(name, ('accuracy', 'mrr', 'p@1', 'hits@10'))}")
    k = int(found[1])
    return lambda better, ties: hits(better, ties, k)


def micro(values: np.ndarray) -> float:
    """The mean over items."""
    return float(np.mean(values))


def macro(values: np.ndarray, groups: np.ndarray) -> float:
    """The mean over groups of the means within them: every relation counts alike.

    >>> macro(np.array([1., 1., 1., 0.]), np.array([0, 0, 0, 1]))
    0.5
    """
    _, codes = np.unique(groups, return_inverse=True)
    return float(np.mean(np.bincount(codes, weights=values) / np.bincount(codes)))
