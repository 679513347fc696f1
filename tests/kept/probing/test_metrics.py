from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept.probing.metrics import Rank, hits, macro, metric, micro, mrr, rank_of, realistic_rank
from kg.errors import InputError


@st.composite
def questions(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Few distinct scores, so that ties are frequent."""
    scores = draw(st.lists(st.sampled_from([-np.inf, 0.0, 1.0, 2.0]), min_size=1, max_size=6))
    places = draw(st.permutations(range(len(scores))))
    gold = draw(st.integers(1, len(scores)))
    also = draw(st.integers(0, len(scores) - gold))
    return np.array(scores), np.array(places[:gold]), np.array(places[gold : gold + also], dtype=int)


def orders(scores: np.ndarray, gold: np.ndarray, also_true: np.ndarray) -> list[int]:
    """The rank of the first gold candidate in every ordering that a sort by score might give, by brute force."""
    best = gold[np.argmax(scores[gold])]
    left = [place for place in range(len(scores)) if place == best or place not in {*gold, *also_true}]
    ranks = []
    for order in itertools.permutations(left):
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order)):
            ranks.append(order.index(best) + 1)
    return ranks


@given(questions())
def test_metrics_are_expectations_over_all_orders_of_the_ties(question: tuple[np.ndarray, ...]) -> None:
    scores, gold, also_true = question
    ranks = orders(scores, gold, also_true)
    rank = rank_of(scores, gold, also_true)
    assert rank.candidates == len(scores) - len(gold) + 1 - len(also_true)
    assert realistic_rank(rank.better, rank.ties) == pytest.approx(np.mean(ranks))
    assert mrr(rank.better, rank.ties) == pytest.approx(1 / np.mean(ranks))
    for k in range(1, 5):
        expected = np.mean([place <= k for place in ranks])
        assert hits(rank.better, rank.ties, k) == pytest.approx(expected)


def test_a_constant_scorer_reaches_exactly_chance() -> None:
    rank = rank_of(np.zeros(8), np.array([3]), np.array([1, 2]))
    assert rank == Rank(better=0, ties=6, candidates=6)
    assert hits(rank.better, rank.ties, 1) == pytest.approx(1 / 6)


def test_nan_and_absent_gold_are_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        rank_of(np.array([1.0, np.nan]), np.array([0]))
    with pytest.raises(ValueError, match="without a gold"):
        rank_of(np.array([1.0]), np.array([], dtype=int))


def test_metric_names() -> None:
    better, ties = np.array([0, 1, 9, 10]), np.ones(4)
    assert metric("accuracy")(better, ties).tolist() == metric("p@1")(better, ties).tolist() == [1, 0, 0, 0]
    assert metric("hits@10")(better, ties).tolist() == [1, 1, 1, 0]
    assert metric("mrr")(better, ties).tolist() == [1, 1 / 2, 1 / 10, 1 / 11]
    for wrong in ("mmr", "hits@0", "p@", "p@1.5"):
        with pytest.raises(InputError, match="no metric is called"):
            metric(wrong)
    with pytest.raises(InputError, match="did you mean 'mrr'"):
        metric("mmr")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 1)), min_size=1))
def test_averages_by_hand(pairs: list[tuple[str, float]]) -> None:
    groups, values = zip(*pairs, strict=True)
    by_group = {g: [v for h, v in pairs if h == g] for g in groups}
    assert micro(np.array(values)) == pytest.approx(sum(values) / len(values))
    expected = sum(sum(v) / len(v) for v in by_group.values()) / len(by_group)
    assert macro(np.array(values), np.array(groups)) == pytest.approx(expected)
