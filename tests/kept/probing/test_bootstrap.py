from __future__ import annotations

import numpy as np
import pytest

from kept.probing.bootstrap import CLUSTERED_FROM, Interval, Resamples, Sample, difference, intervals
from kept.probing.metrics import macro, micro


def sample(values: np.ndarray, relations: list[str] | None = None, seeds: tuple[int, ...] | None = None) -> Sample:
    values = np.atleast_2d(values)
    facts = np.array([f"f{n}" for n in range(values.shape[1])])
    groups = np.array(relations or ["r"] * values.shape[1])
    return Sample(values, seeds or tuple(range(len(values))), facts, groups)


def plain_bootstrap(one: Sample, other: Sample | None, average: str, draws: int, seed: int) -> tuple[float, float]:
    """The same resampling with loops and index lists instead of weights: the oracle."""
    rng = np.random.default_rng(seed)
    means = []
    relations = np.unique(one.relations)
    for _ in range(draws):
        if len(relations) >= CLUSTERED_FROM:
            picks = [np.flatnonzero(one.relations == r) for r in rng.choice(relations, len(relations))]
        else:
            members = [np.flatnonzero(one.relations == relation) for relation in relations]
            picks = [rng.choice(m, len(m)) for m in members]
        seeds = rng.choice(len(one.seeds), len(one.seeds))

        def mean(arm: Sample, seeds: np.ndarray = seeds, picks: list[np.ndarray] = picks) -> float:
            if average == "micro":
                return float(np.nanmean(arm.values[seeds][:, np.concatenate(picks)]))
            return float(np.mean([np.nanmean(arm.values[seeds][:, pick]) for pick in picks]))

        means.append(mean(one) - mean(other) if other else mean(one))
    low, high = np.quantile(means, [0.025, 0.975])
    return low, high


def interval(one: Sample, average: str = "micro", **options: int) -> Interval:
    return getattr(intervals(one, **options), average)


def random_arms(relations: int, size: int = 12) -> tuple[Sample, Sample]:
    rng = np.random.default_rng(3)
    names = [f"r{n}" for n in range(relations) for _ in range(size + n % 3)]
    hard = rng.random(len(names))
    arms = [(rng.random((3, len(names))) > hard * bar).astype(float) for bar in (0.8, 1.2)]
    return sample(arms[0], names), sample(arms[1], names)


@pytest.mark.parametrize("relations", [3, CLUSTERED_FROM])
@pytest.mark.parametrize("average", ["micro", "macro"])
def test_intervals_equal_a_plain_bootstrap(relations: int, average: str) -> None:
    one, other = random_arms(relations)
    single = interval(one, average=average, draws=4000)
    assert (single.low, single.high) == pytest.approx(plain_bootstrap(one, None, average, 1500, 1), abs=0.02)
    both = getattr(difference(one, other, draws=4000), average)
    assert (both.low, both.high) == pytest.approx(plain_bootstrap(one, other, average, 1500, 1), abs=0.02)


def test_values_are_the_plain_means() -> None:
    one, other = random_arms(4)
    mean = one.values.mean(axis=0)
    assert interval(one).value == pytest.approx(micro(mean))
    assert interval(one, average="macro").value == pytest.approx(macro(mean, one.relations))
    assert difference(one, other).micro.value == pytest.approx(micro(mean) - micro(other.values.mean(axis=0)))


def test_a_binomial_share_gets_its_textbook_width() -> None:
    n, p = 400, 0.3
    found = interval(sample((np.arange(n) < p * n).astype(float)), draws=4000)
    half = 1.96 * np.sqrt(p * (1 - p) / n)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.08)


def test_pairing_cancels_what_is_hard_for_both() -> None:
    rng = np.random.default_rng(0)
    hard = (rng.random(300) > 0.5).astype(float)
    easier = hard.copy()
    easier[np.flatnonzero(hard == 0)[:9]] = 1.0
    one, other = sample(easier), sample(hard)
    paired = difference(one, other).micro
    assert paired.value == pytest.approx(9 / 300)
    assert paired.low > 0
    assert interval(one).low < interval(other).high  # Unpaired, the two intervals overlap.


def test_equal_arms_do_not_differ() -> None:
    one, _ = random_arms(3)
    assert difference(one, one).micro == (0, 0, 0)


def test_seeds_widen_the_interval() -> None:
    steady = np.tile((np.arange(200) < 100).astype(float), (3, 1))
    shaky = np.stack([np.ones(200), (np.arange(200) < 100).astype(float), np.zeros(200)])
    width = [found.high - found.low for found in (interval(sample(steady)), interval(sample(shaky)))]
    assert width[1] > 3 * width[0]


def test_seeds_pair_when_both_arms_ran_the_same() -> None:
    base = np.random.default_rng(0).random((3, 100))
    drift = np.array([[0.0], [0.3], [0.6]])
    one, same, other = sample(base + drift + 0.01), sample(base + drift), sample(base + drift, seeds=(5, 6, 7))
    assert difference(one, same).micro.low > 0
    assert difference(one, other).micro.low < 0


def test_runs_on_different_facts_are_stacked_and_compared_on_what_they_share() -> None:
    facts, relations = np.array(["a", "b", "c"]), np.array(["r", "r", "q"])
    stacked = Sample.stack(
        [(0, np.array([1.0, 0.0]), facts[:2], relations[:2]), (1, np.array([1.0]), facts[2:], relations[2:])]
    )
    assert interval(stacked).value == pytest.approx(2 / 3)
    other = Sample.stack([(0, np.array([0.0]), facts[:1], relations[:1])])
    assert difference(stacked, other).micro.value == 1.0
    with pytest.raises(ValueError, match="share no fact"):
        difference(stacked, Sample.stack([(0, np.ones(1), np.array(["z"]), np.array(["r"]))]))


def test_each_relation_has_an_interval_of_its_own() -> None:
    for relations in (3, CLUSTERED_FROM):
        one, other = random_arms(relations)
        alone = one.of(one.facts[one.relations == "r1"])
        own = intervals(one, draws=4000).within["r1"]
        assert own.value == pytest.approx(interval(alone).value)
        assert own[1:] == pytest.approx(interval(alone, draws=4000)[1:], abs=0.06)
        gap = difference(one, other).within["r1"]
        assert gap.value == pytest.approx(own.value - intervals(other).within["r1"].value)
        assert gap.low < gap.value < gap.high


def test_facts_are_drawn_within_relations_and_relations_as_wholes() -> None:
    few = Resamples.draw(("a", "b", "a", "b", "b"), 50, 0)
    assert (few.names, few.clusters) == (("a", "b"), None)
    assert [places.tolist() for places in few.members] == [[0, 2], [1, 3, 4]]
    assert [set(drawn.sum(axis=1)) for drawn in few.facts] == [{2}, {3}]
    many = Resamples.draw([f"r{n // 2}" for n in range(2 * CLUSTERED_FROM)], 50, 0)
    assert many.clusters is not None
    assert set(many.clusters.sum(axis=1)) == {CLUSTERED_FROM} and many.clusters.max() > 1


def test_a_relation_that_one_seed_lacks_counts_where_it_was_asked() -> None:
    values = np.array([[1.0, 1.0, np.nan, np.nan], [0.0, 0.0, 1.0, 0.0]])
    found = intervals(sample(values, ["a", "a", "b", "b"]))
    assert found.micro.value == pytest.approx(3 / 6)
    assert found.within["b"].value == 0.5 and np.isfinite(found.macro.low)


def test_equal_seeds_give_equal_intervals() -> None:
    one, _ = random_arms(3)
    assert intervals(one, seed=4) == intervals(one, seed=4) != intervals(one, seed=5)
