"""Intervals by paired bootstrap over facts within relations, and over seeds.

One draw resamples facts (within each relation, so that relations keep their size) and, independently, seeds; from
`CLUSTERED_FROM` relations on it resamples whole relations instead, for facts of one relation are not independent. Arms
that are compared share every draw, so what is hard for both cancels out of their difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    rng = np.random.default_rng(seed)
    facts = fact_weights(sample.relations, draws, rng)
    means = weighted_means(sample, facts, seed_weights(len(sample.seeds), draws, rng), average)
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
    rng = np.random.default_rng(seed)
    facts = fact_weights(one.relations, draws, rng)
    seeds = seed_weights(len(one.seeds), draws, rng)
    if one.seeds == other.seeds:
        other_seeds = seeds
    else:
        other_seeds = seed_weights(len(other.seeds), draws, rng)
    means = weighted_means(one, facts, seeds, average) - weighted_means(other, facts, other_seeds, average)
    return _bounds(plain_mean(one, average) - plain_mean(other, average), means)


def fact_weights(relations: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """(draws, N): how often each fact is in each resample."""
    names, codes = np.unique(relations, return_inverse=True)
    if len(names) >= CLUSTERED_FROM:
        return rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)[:, codes].astype(float)
    weights = np.empty((draws, len(relations)))
    for code in range(len(names)):
        members = np.flatnonzero(codes == code)
        weights[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=draws)
    return weights


def seed_weights(seeds: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """(draws, S): how often each seed is in each resample."""
    return rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws).astype(float)


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
    ones = np.ones((1, len(sample.facts)))
    return float(weighted_means(sample, ones, np.ones((1, len(sample.seeds))), average)[0])


def _ratio(facts: np.ndarray, seeds: np.ndarray, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
    total = ((facts @ values.T) * seeds).sum(axis=1)
    count = ((facts @ asked.T.astype(float)) * seeds).sum(axis=1)
    return np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)


def _bounds(value: float, means: np.ndarray) -> Interval:
    low, high = np.nanquantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))
