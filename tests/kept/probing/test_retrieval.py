"""Retrieval against sorting, with ties broken in every way."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kept.probing.metrics import rank_of
from kept.probing.retrieval import best_positive, both_directions, retrieval


def test_without_ties_it_is_a_sort() -> None:
    random = np.random.default_rng(0)
    similarity, positive = random.normal(size=(40, 30)), random.random((40, 30)) < 0.1
    asked = positive.any(1)
    ranks = []
    for row in np.flatnonzero(asked):
        order = np.argsort(-similarity[row])
        ranks.append(1 + int(np.flatnonzero(positive[row][order])[0]))
    found = retrieval(similarity, positive, ks=(1, 3, 10))
    assert found.queries == asked.sum()
    assert found.median_rank == np.median(ranks)
    for k, value in found.recall.items():
        assert value == pytest.approx(np.mean([rank <= k for rank in ranks]))


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 2), min_size=2, max_size=5), st.integers(0, 4), st.integers(1, 4))
def test_ties_are_shared_out_over_all_orders(values: list[int], gold: int, k: int) -> None:
    """One positive: the mean over all orders of equals is the reported recall and rank."""
    gold %= len(values)
    positive = np.arange(len(values))[None] == gold
    ranks = []
    for order in itertools.permutations(range(len(values))):
        if all(values[a] >= values[b] for a, b in itertools.pairwise(order)):
            ranks.append(order.index(gold) + 1)
    found = retrieval(np.array([values], dtype=float), positive, ks=(k,))
    assert found.recall[k] == pytest.approx(np.mean([rank <= k for rank in ranks]))
    assert found.median_rank == pytest.approx((min(ranks) + max(ranks)) / 2)


def test_rows_as_the_house_ranks_them() -> None:
    random = np.random.default_rng(1)
    similarity, positive = random.integers(0, 4, (50, 8)).astype(float), random.random((50, 8)) < 0.4
    better, ties = best_positive(similarity, positive)
    for row in np.flatnonzero(positive.any(1)):
        rank = rank_of(similarity[row], np.flatnonzero(positive[row]))
        assert (rank.better, rank.ties) == (better[row], ties[row])


def test_a_constant_similarity_gets_what_chance_gets() -> None:
    found = retrieval(np.zeros((6, 20)), np.eye(6, 20, dtype=bool), ks=(1, 5))
    assert found.recall == {1: pytest.approx(1 / 20), 5: pytest.approx(5 / 20)}
    assert found.median_rank == 10.5


def test_both_directions_by_hand() -> None:
    """Two pictures; texts 0 and 1 are of the first, text 2 of the second."""
    similarity = np.array([[0.2, 0.9, 0.1], [0.8, 0.3, 0.1]])
    positive = np.array([[True, True, False], [False, False, True]])
    texts, pictures = both_directions(similarity, positive, ks=(1, 2, 3))
    assert texts == ({1: 0.5, 2: 0.5, 3: 1.0}, 2.0, 2)
    # Text 0 finds the wrong picture first, text 1 the right one, text 2 sees both alike.
    assert pictures == ({1: 0.5, 2: 1.0, 3: 1.0}, 1.5, 3)


def test_minus_infinity_is_a_similarity() -> None:
    found = retrieval(np.array([[-np.inf, 0.0], [-np.inf, -np.inf]]), np.array([[True, False]] * 2), ks=(1,))
    assert found.recall[1] == pytest.approx(0.25)


def test_queries_without_a_positive_are_left_out() -> None:
    found = retrieval(np.eye(3), np.diag([True, True, False]), ks=(1,))
    assert found == ({1: 1.0}, 1.0, 2)
    assert best_positive(np.eye(3), np.zeros((3, 3)))[0].tolist() == [3, 3, 3]


@pytest.mark.parametrize(
    ("similarity", "positive", "message"),
    [
        (np.full((2, 2), np.nan), np.eye(2), "NaN"),
        (np.zeros((2, 2)), np.zeros((2, 3)), "one matrix"),
        (np.zeros((2, 2)), np.zeros((2, 2)), "no query"),
    ],
)
def test_refuses(similarity: np.ndarray, positive: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        retrieval(similarity, positive)
