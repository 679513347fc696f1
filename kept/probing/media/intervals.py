"""Means with intervals over pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kept.probing.rows import Figure

DRAWS = 1000


def interval(values: np.ndarray, groups: Sequence[object]) -> tuple[float, float]:
    """95% of the means of (N,) values when whole groups are resampled (percentile bootstrap).

    Questions about one picture stand and fall together, so pictures are what is drawn.

    >>> interval(np.array([0.0, 0.0, 1.0]), ["a", "a", "b"])
    (0.0, 1.0)
    """
    _, codes = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    sums, sizes = np.bincount(codes, weights=values), np.bincount(codes).astype(float)
    rng, chances = np.random.default_rng(0), np.full(len(sums), 1 / len(sums))
    drawn = (rng.multinomial(len(sums), chances) for _ in range(DRAWS))
    low, high = np.quantile([float(counts @ sums / (counts @ sizes)) for counts in drawn], [0.025, 0.975])
    return float(low), float(high)


def figure(
    task: str,
    split: str,
    arm: str,
    metric: str,
    values: np.ndarray,
    groups: Sequence[object],
    relation: str | None = None,
) -> Figure:
    """The mean of (N,) values, with its interval over groups."""
    low, high = interval(values, groups)
    return Figure(task, split, relation, arm, arm, metric, float(values.mean()), low, high, len(values), (0,))
