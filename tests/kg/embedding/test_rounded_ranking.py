"""Counts from rounded products against counts in 64 bits, also where scores are equal or hard to tell apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kg.embedding import SCORERS, rank, rounded_ranking
from kg.embedding.rounded_ranking import Facts, Rounded, count_by_rounding, exact_scores
from tests.kg.embedding.contract import ENTITIES, RELATIONS, random_facts


def example(seed: int, queries: int, entities: int, width: int, spread: float) -> tuple[Tensor, Tensor, Facts]:
    """Vectors of very unequal lengths, a third of the entities twins or nearly, several facts of a query."""
    draw = np.random.default_rng(seed)
    left = draw.normal(size=(queries, width)) * np.exp(spread * draw.normal(size=(queries, 1)))
    right = draw.normal(size=(entities, width)) * np.exp(spread * draw.normal(size=(entities, 1)))
    twins, first = draw.integers(0, entities, (2, entities // 3))
    right[twins] = right[first] * draw.choice([1.0, 1.0 + 1e-6], (len(twins), 1))
    rows = np.sort(draw.integers(0, queries, 2 * queries))
    columns = draw.integers(0, entities, len(rows))
    others = [np.unique(np.append(columns[rows == row], draw.integers(0, entities, 3))) for row in range(queries)]
    starts = np.cumsum([0, *map(len, others)])
    facts = Facts(rows, columns, starts, np.concatenate(others))
    return torch.tensor(left, dtype=torch.float32), torch.tensor(right, dtype=torch.float32), facts


def in_full(left: Tensor, right: Tensor, facts: Facts) -> tuple[list[int], list[int]]:
    rows, columns = facts.rows.repeat(len(right)), np.tile(np.arange(len(right)), len(facts.rows))
    scores = exact_scores(left.numpy(), right.numpy(), rows, columns).reshape(len(facts.rows), -1)
    np.testing.assert_allclose(
        scores, (left.double() @ right.double().T).numpy()[facts.rows], rtol=1e-9, atol=1e-9 * np.abs(scores).max()
    )
    better, equal = [], []
    for row, column, line in zip(facts.rows, facts.columns, scores, strict=True):
        unknown = np.ones(len(right), dtype=bool)
        unknown[facts.known[facts.starts[row] : facts.starts[row + 1]]] = False
        better.append(int((line[unknown] > line[column]).sum()))
        equal.append(int((line[unknown] == line[column]).sum()))
    return better, equal


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    width=st.integers(1, 70),
    spread=st.sampled_from([0.0, 1.0, 4.0]),
    chunk=st.sampled_from([None, 1, 7, 64]),
)
def test_counts_are_those_of_64_bits(seed: int, width: int, spread: float, chunk: int | None) -> None:
    left, right, facts = example(seed, 9, 90, width, spread)
    counted = count_by_rounding(left, right, facts, chunk)
    assert counted is not None
    assert (counted[0].tolist(), counted[1].tolist()) == in_full(left, right, facts)


def test_blocks_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    left, right, facts = example(3, 40, 200, 16, 1.0)
    expected = in_full(left, right, facts)
    monkeypatch.setattr(rounded_ranking, "SLICE", 33)
    monkeypatch.setattr(rounded_ranking, "QUERIES", 7)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        counted = count_by_rounding(left, right, facts)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert counted is not None
    assert (counted[0].tolist(), counted[1].tolist()) == expected


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), width=st.integers(1, 300), spread=st.sampled_from([0.0, 2.0, 8.0]))
def test_the_bound_holds(seed: int, width: int, spread: float) -> None:
    draw = np.random.default_rng(seed)
    one, two = (
        torch.tensor(
            draw.normal(size=(20, width)) * np.exp(spread * draw.normal(size=(20, width))), dtype=torch.float32
        )
        for _ in range(2)
    )
    left, right = Rounded.of(one), Rounded.of(two)
    missed = (left.values.double() @ right.values.double().T - one.double() @ two.double().T).abs().numpy()
    most = np.outer(left.slack, right.norm) + np.outer(left.values.norm(dim=1).numpy(), right.slack)
    assert (missed <= most * (1 + 1e-5)).all()
    assert missed.max() > 0


def test_doubt_without_end_is_left_to_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    left, right, facts = example(5, 9, 90, 8, 0.0)
    monkeypatch.setattr(rounded_ranking, "ENOUGH", 1)
    assert count_by_rounding(left, torch.ones_like(right), facts) is None
    monkeypatch.setattr(rounded_ranking, "ENOUGH", 1 << 20)
    monkeypatch.setattr(rounded_ranking, "ROOM", 8)
    assert count_by_rounding(left, torch.ones_like(right), facts) is None
    model, test = SCORERS["complex"](ENTITIES, RELATIONS, dim=8), random_facts()
    with torch.no_grad():
        model.entities.fill_(0.5)
    assert (rank(model, test, test).optimistic == 1).all()


@pytest.mark.parametrize("scale", [1e-12, 1e-17, 1e-20, 1e15])
def test_very_small_and_very_large_vectors_are_counted_as_others(scale: float) -> None:
    left, right, facts = example(7, 9, 90, 24, 0.0)
    left, right = left * scale, right * scale
    counted = count_by_rounding(left, right, facts)
    assert counted is not None
    assert (counted[0].tolist(), counted[1].tolist()) == in_full(left, right, facts)


def test_scores_beyond_32_bits_are_left_to_the_other_way() -> None:
    left, right, facts = example(7, 9, 90, 24, 0.0)
    assert count_by_rounding(left * 1e19, right * 1e19, facts) is None


@pytest.mark.parametrize("name", sorted(SCORERS))
def test_ranks_in_32_bits_are_those_of_the_same_vectors_in_64(name: str) -> None:
    model, test = SCORERS[name](ENTITIES, RELATIONS, dim=8).eval(), random_facts()
    found = rank(model, test, test)
    np.testing.assert_array_equal(found.realistic, rank(model.double(), test, test).realistic)
