"""Retrieval from a matrix of similarities: recall at k and the median rank, in both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from kept.probing.metrics import hits, realistic_rank


class Retrieval(NamedTuple):
    """What one direction finds.

    Args:
        recall: for each k the share of queries with a positive among the first k.
        median_rank: of the best positive, counting from 1; halves where ties are shared out.
        queries: how many have a positive at all; the others are left out.
    """

    recall: Mapping[int, float]
    median_rank: float
    queries: int


def best_positive(similarity: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(Q, C) similarities and positives -> (Q,) twice: how many beat the best positive, and how many tie with it.

    It counts itself among the ties, and other positives stand aside, as in `kept.probing.metrics.rank_of`. Rows without
    a positive give the number of their candidates, and a tie of 1.

    Raises:
        ValueError: on a NaN, or where the shapes differ.

    >>> best_positive(np.array([[0.9, 0.5, 0.5, 0.1]]), np.array([[False, True, False, True]]))
    (array([1]), array([2]))
    """
    similarity, positive = np.asarray(similarity), np.asarray(positive, dtype=bool)
    if similarity.shape != positive.shape or similarity.ndim != 2:
        raise ValueError(f"similarities {similarity.shape} and positives {positive.shape} must be one matrix each")
    if np.isnan(similarity).any():
        raise ValueError("a similarity is NaN")
    best = np.where(positive, similarity, -np.inf).max(axis=1, initial=-np.inf, keepdims=True)
    any_positive = positive.any(axis=1)
    better = np.where(any_positive, ((similarity > best) & ~positive).sum(axis=1), similarity.shape[1])
    ties = np.where(any_positive, ((similarity == best) & ~positive).sum(axis=1), 0) + 1
    return better, ties


def retrieval(similarity: np.ndarray, positive: np.ndarray, ks: Sequence[int] = (1, 5, 10)) -> Retrieval:
    """How well each row finds a column that belongs to it.

    Ties are resolved by expectation: a rank is the mean of the best and the worst one that a sort could give, and
    recall the chance that a random order of equals brings a positive to the first k. A constant similarity therefore
    gets what chance gets.

    Args:
        similarity: (Q, C) float, higher is better.
        positive: (Q, C) bool, several of a row allowed.
        ks: where to cut.

    Raises:
        ValueError: on a NaN, where the shapes differ, or where no row has a positive.

    Source: recall at k as in Karpathy and Fei-Fei 2015, section 4.2; ties as in Berrendorf et al. 2020, section 3.

        >>> retrieval(np.array([[0.9, 0.1], [0.8, 0.3]]), np.eye(2, dtype=bool), ks=(1, 2))
        Retrieval(recall={1: 0.5, 2: 1.0}, median_rank=1.5, queries=2)
    """
    better, ties = best_positive(similarity, positive)
    asked = np.asarray(positive, dtype=bool).any(axis=1)
    if not asked.any():
        raise ValueError("no query has a positive")
    better, ties = better[asked], ties[asked]
    recall = {k: float(hits(better, ties, k).mean()) for k in ks}
    return Retrieval(recall, float(np.median(realistic_rank(better, ties))), int(asked.sum()))


def both_directions(
    similarity: np.ndarray, positive: np.ndarray, ks: Sequence[int] = (1, 5, 10)
) -> tuple[Retrieval, Retrieval]:
    """(pictures, texts) similarities -> what pictures find among texts, and texts among pictures."""
    similarity, positive = np.asarray(similarity), np.asarray(positive)
    return retrieval(similarity, positive, ks), retrieval(similarity.T, positive.T, ks)
