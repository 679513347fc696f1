"""Intervals by paired bootstrap over facts within relations, and over seeds.

One draw resamples facts (within each relation, so that relations keep their size) and, independently, seeds; from
`CLUSTERED_FROM` relations on it resamples whole relations instead, for facts of one relation are not independent. Arms
that are compared share every draw, so what is hard for both cancels out of their difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

CLUSTERED_FROM = 20
DRAWS = 2000
LEVEL = 0.95


class Interval(NamedTuple):
    """A value with its bounds."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Sample:
    """One metric of one arm: a value for each seed and fact.

    Attributes:
        values: (S, N) float; NaN where a seed did not ask a fact.
        seeds: (S,) the seeds, to pair arms by.
        facts: (N,) str ids, to pair arms by.
        relations: (N,) str, the group of each fact.
    """

    values: np.ndarray
    seeds: tuple[int, ...]
    facts: np.ndarray
    relations: np.ndarray

    @classmethod
    def stack(cls, runs: Sequence[tuple[int, np.ndarray, np.ndarray, np.ndarray]]) -> Sample:
        """From (seed, values (n,), facts (n,), relations (n,)) of each run; the facts need not be the same."""
        groups = dict(
            pair for _, _, facts, relations in runs for pair in zip(facts.tolist(), relations.tolist(), strict=True)
        )
        place = {fact: position for position, fact in enumerate(groups)}
        values = np.full((len(runs), len(groups)), np.nan)
        for row, (_, given, facts, _) in enumerate(runs):
            values[row, [place[fact] for fact in facts.tolist()]] = given
        seeds = tuple(seed for seed, *_ in runs)
        return cls(values, seeds, np.array(list(groups), dtype=str), np.array(list(groups.values()), dtype=str))

    def of(self, facts: np.ndarray) -> Sample:
        """The same arm on these facts, in this order."""
        place = {fact: position for position, fact in enumerate(self.facts.tolist())}
        rows = [place[fact] for fact in facts.tolist()]
        return Sample(self.values[:, rows], self.seeds, self.facts[rows], self.relations[rows])


def interval(sample: Sample, *, average: str = "micro", draws: int = DRAWS, seed: int = 0) -> Interval:
    """The mean with its percentile interval.

    With one seed the interval says how the figure might move with other facts, not with another training run.

    Source: Efron and Tibshirani 1993, "An introduction to the bootstrap", chapter 13.

    >>> sample = Sample(np.array([[1., 0., 1., 1.]]), (0,), np.array(list("abcd")), np.array(["r"] * 4))
    >>> interval(sample).value
    0.75
    """
    facts = fact_weights(tuple(sample.relations.tolist()), draws, seed)
    means = weighted_means(sample, facts, seed_weights(len(sample.seeds), draws, seed), average)
    return _bounds(plain_mean(sample, average), means)


def difference(one: Sample, other: Sample, *, average: str = "micro", draws: int = DRAWS, seed: int = 0) -> Interval:
    """How much higher the first arm is, on the facts that both were asked.

    Where both arms ran the same seeds, a draw takes the same seeds of both; else each draws its own.

    Raises:
        ValueError: when no fact was asked of both.
    """
    shared = one.facts[np.isin(one.facts, other.facts)]
    if not len(shared):
        raise ValueError("the two arms share no fact")
    one, other = one.of(shared), other.of(shared)
    facts = fact_weights(tuple(one.relations.tolist()), draws, seed)
    seeds = [seed_weights(len(one.seeds), draws, seed)] * 2
    if one.seeds != other.seeds:
        seeds[1] = seed_weights(len(other.seeds), draws, seed + 1)
    means = weighted_means(one, facts, seeds[0], average) - weighted_means(other, facts, seeds[1], average)
    return _bounds(plain_mean(one, average) - plain_mean(other, average), means)


@lru_cache(maxsize=4)
def fact_weights(relations: tuple[str, ...], draws: int, seed: int) -> np.ndarray:
    """(draws, N): how often each fact is in each resample; N relations in, one per fact.

    Kept for the arms that follow, which are asked the same facts.
    """
    rng = np.random.default_rng(seed)
    names, codes = np.unique(relations, return_inverse=True)
    if len(names) >= CLUSTERED_FROM:
        counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
        return counts[:, codes].astype(np.float32)
    weights = np.empty((draws, len(relations)), dtype=np.float32)
    for code in range(len(names)):
        members = np.flatnonzero(codes == code)
        weights[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=draws)
    return weights


def seed_weights(seeds: int, draws: int, seed: int) -> np.ndarray:
    """(draws, S): how often each seed is in each resample."""
    rng = np.random.default_rng([seed, seeds])
    return rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws).astype(np.float32)


def weighted_means(sample: Sample, facts: np.ndarray, seeds: np.ndarray, average: str) -> np.ndarray:
    """(draws,): the micro mean over facts, or the macro mean over relations of the means within them."""
    asked = ~np.isnan(sample.values)
    values = np.where(asked, sample.values, 0.0)
    if average == "micro":
        return _ratio(facts, seeds, values, asked)
    if average != "macro":
        raise ValueError(f"average is 'micro' or 'macro', not {average!r}")
    means, weights = [], []
    for relation in np.unique(sample.relations):
        members = sample.relations == relation
        means.append(_ratio(facts[:, members], seeds, values[:, members], asked[:, members]))
        weights.append(facts[:, members].mean(axis=1))
    # A relation that a clustered draw leaves out has weight 0 and no mean of its own.
    return np.nansum(np.multiply(means, weights), axis=0) / np.sum(weights, axis=0)


def plain_mean(sample: Sample, average: str) -> float:
    """The mean itself, without resampling."""
    ones = np.ones((1, len(sample.facts)), dtype=np.float32)
    return float(weighted_means(sample, ones, np.ones((1, len(sample.seeds))), average)[0])


def _ratio(facts: np.ndarray, seeds: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    total = ((facts @ values.T.astype(np.float32)) * seeds).sum(axis=1)
    count = ((facts @ asked.T.astype(np.float32)) * seeds).sum(axis=1)
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)


def _bounds(value: float, means: np.ndarray) -> Interval:
    low, high = np.nanquantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
