"""Intervals by paired bootstrap over facts within relations, and over seeds.

One draw resamples facts (within each relation, so that relations keep their size) and, independently, seeds; from
`CLUSTERED_FROM` relations on it resamples whole relations instead, for facts of one relation are not independent. Arms
that are compared share every draw, so what is hard for both cancels out of their difference.

Source: Efron and Tibshirani 1993, "An introduction to the bootstrap", chapters 8 and 13 (percentile intervals).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

CLUSTERED_FROM = 20
DRAWS = 1000
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
        groups: dict[str, str] = {}
        for _, _, facts, relations in runs:
            groups.update(zip(facts.tolist(), relations.tolist(), strict=True))
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


class Means(NamedTuple):
    """The means of one arm, or of each draw: over facts, over relations, and within each relation.

    Attributes:
        micro, macro: (draws,).
        within: relation -> (draws,).
    """

    micro: np.ndarray
    macro: np.ndarray
    within: dict[str, np.ndarray]


class Intervals(NamedTuple):
    """The mean over facts, the mean over relations, and each relation's own."""

    micro: Interval
    macro: Interval
    within: dict[str, Interval]


@dataclass(frozen=True)
class Resamples:
    """How often each fact and each relation is in each draw.

    Attributes:
        names: the R relations.
        members: for each relation the (n,) places of its facts.
        facts: for each relation the (draws, n) counts of its facts.
        clusters: (draws, R) counts of whole relations, where these are what is resampled for totals.
    """

    names: tuple[str, ...]
    members: tuple[np.ndarray, ...]
    facts: tuple[np.ndarray, ...]
    clusters: np.ndarray | None

    @classmethod
    def draw(cls, relations: Sequence[str], draws: int, seed: int) -> Resamples:
        """Resample N facts, given by the relation of each."""
        rng = np.random.default_rng(seed)
        names, codes = np.unique(np.asarray(relations, dtype=str), return_inverse=True)
        members = tuple(np.flatnonzero(codes == code) for code in range(len(names)))
        facts = tuple(counts(len(places), draws, rng) for places in members)
        clusters = counts(len(names), draws, rng) if len(names) >= CLUSTERED_FROM else None
        return cls(tuple(names.tolist()), members, facts, clusters)

    @cached_property
    def whole(self) -> Resamples:
        """Every fact once, in a single draw."""
        ones = tuple(np.ones((1, len(places))) for places in self.members)
        return Resamples(self.names, self.members, ones, None)

    def means(self, sample: Sample, seeds: np.ndarray) -> Means:
        """The means in each draw; `seeds` (draws, S) says how often each seed is in it."""
        asked = ~np.isnan(sample.values)
        values, ones = (table.T.astype(seeds.dtype) for table in (np.where(asked, sample.values, 0), asked))
        # (R, draws, S) each: what the drawn facts of a relation sum to, and how many of them were asked.
        pairs = list(zip(self.facts, self.members, strict=True))
        sums = np.stack([drawn @ values[places] for drawn, places in pairs])
        if asked.all():
            sizes = np.array([len(places) for places in self.members], dtype=seeds.dtype)[:, None, None]
        else:
            sizes = np.stack([drawn @ ones[places] for drawn, places in pairs])
        within = _ratio((sums * seeds).sum(-1), (sizes * seeds).sum(-1))
        own = dict(zip(self.names, within, strict=True))
        if self.clusters is None:
            micro = _ratio((sums.sum(0) * seeds).sum(-1), (sizes.sum(0) * seeds).sum(-1))
            return Means(micro, within.mean(0), own)
        sums, sizes = (np.stack([table[places].sum(0) for places in self.members]) for table in (values, ones))
        micro = _ratio((self.clusters @ sums * seeds).sum(-1), (self.clusters @ sizes * seeds).sum(-1))
        macro = (self.clusters * _ratio(seeds @ sums.T, seeds @ sizes.T)).sum(-1) / len(self.names)
        return Means(micro, macro, own)


# Arms of one part follow each other and are asked the same facts: a part and its slices are all that is ever in use.
_resamples = lru_cache(maxsize=8)(Resamples.draw)


def intervals(sample: Sample, *, draws: int = DRAWS, seed: int = 0) -> Intervals:
    """The means with their percentile intervals.

    With one seed an interval says how the figure might move with other facts, not with another training run.

    >>> sample = Sample(np.array([[1., 0., 1., 1.]]), (0,), np.array(list("abcd")), np.array(["r"] * 4))
    >>> intervals(sample).micro.value
    0.75
    """
    resamples = _resamples(tuple(sample.relations.tolist()), draws, seed)
    drawn = resamples.means(sample, seed_counts(len(sample.seeds), draws, seed))
    plain = resamples.whole.means(sample, np.ones((1, len(sample.seeds))))
    within = {name: _bounds(plain.within[name], drawn.within[name]) for name in resamples.names}
    return Intervals(_bounds(plain.micro, drawn.micro), _bounds(plain.macro, drawn.macro), within)


def difference(one: Sample, other: Sample, *, draws: int = DRAWS, seed: int = 0) -> Intervals:
    """How much higher the first arm is, on the facts that both were asked.

    Where both arms ran the same seeds, a draw takes the same seeds of both; else each draws its own.

    Raises:
        ValueError: when no fact was asked of both.
    """
    shared = one.facts[np.isin(one.facts, other.facts)]
    if not len(shared):
        raise ValueError("the two arms share no fact")
    arms = one.of(shared), other.of(shared)
    resamples = _resamples(tuple(arms[0].relations.tolist()), draws, seed)
    paired = one.seeds == other.seeds
    drawn, plain = [], []
    for number, arm in enumerate(arms):
        drawn.append(resamples.means(arm, seed_counts(len(arm.seeds), draws, seed if paired else seed + number)))
        plain.append(resamples.whole.means(arm, np.ones((1, len(arm.seeds)))))
    within = {
        name: _bounds(plain[0].within[name] - plain[1].within[name], drawn[0].within[name] - drawn[1].within[name])
        for name in resamples.names
    }
    micro = _bounds(plain[0].micro - plain[1].micro, drawn[0].micro - drawn[1].micro)
    return Intervals(micro, _bounds(plain[0].macro - plain[1].macro, drawn[0].macro - drawn[1].macro), within)


def counts(size: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """(draws, size): how often each of `size` things is among `size` drawn with replacement."""
    return rng.multinomial(size, np.full(size, 1 / size), size=draws).astype(np.float32)


def seed_counts(seeds: int, draws: int, seed: int) -> np.ndarray:
    """(draws, S): how often each seed is in each draw."""
    return counts(seeds, draws, np.random.default_rng([seed, seeds]))


def _ratio(total: np.ndarray, size: np.ndarray) -> np.ndarray:
    return np.divide(total, size, out=np.full(total.shape, np.nan), where=size > 0, dtype=np.float64)


def _bounds(plain: np.ndarray, drawn: np.ndarray) -> Interval:
    if np.isnan(plain[0]):
        return Interval(np.nan, np.nan, np.nan)
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(plain[0]), float(low), float(high))
