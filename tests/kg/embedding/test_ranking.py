"""Exact ranking against brute force over all entities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kg.embedding import SCORERS, Ranks, Scorer, rank
from kg.embedding.answers import AnswerIndex
from kg.embedding.ranking import as_queries, block_shape, cardinalities
from kg.embedding.sampled_ranking import draw_others, rank_against_sample
from kg.errors import InputError
from tests.kg.embedding.contract import ENTITIES, RELATIONS, random_facts


def by_brute_force(model: Scorer, test: np.ndarray, known: np.ndarray) -> dict[str, list[list[float]]]:
    """Ranks by asking `score` about every candidate of every side, one at a time."""
    facts = {tuple(fact) for fact in np.concatenate([known, test]).tolist()}
    found: dict[str, list[list[float]]] = {"optimistic": [], "pessimistic": []}
    for head, relation, tail in test.tolist():
        sides = []
        for side in ("head", "tail"):

            def score(entity: int, side: str = side, h: int = head, r: int = relation, t: int = tail) -> float:
                ids = (t, r + model.num_relations, entity) if side == "head" else (h, r, entity)
                return model.score(*(torch.tensor([value]) for value in ids)).item()

            true = head if side == "head" else tail
            rivals = [
                score(entity)
                for entity in range(model.num_entities)
                if ((entity, relation, tail) if side == "head" else (head, relation, entity)) not in facts
            ]
            better = sum(rival > score(true) for rival in rivals)
            equal = sum(rival == score(true) for rival in rivals)
            sides.append((better + 1, better + equal + 1))
        found["optimistic"].append([low for low, _ in sides])
        found["pessimistic"].append([high for _, high in sides])
    return found


def with_whole_numbers(seed: int, name: str = "distmult") -> Scorer:
    """Vectors of few whole numbers: many exact ties, no rounding."""
    scorer = SCORERS[name](ENTITIES, RELATIONS, dim=4)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for table in (scorer.entities, scorer.relations):
            table.copy_(torch.randint(-1, 2, table.shape, generator=generator).float())
    return scorer


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.integers(1, 20), chunk=st.sampled_from([None, 1, 4, 100]))
def test_ranks_are_those_of_brute_force(seed: int, share: int, chunk: int | None) -> None:
    model, facts = with_whole_numbers(seed), random_facts(seed=seed)
    test, known = facts[::share], facts[1:]
    ranks = rank(model, test, known, chunk=chunk)
    expected = by_brute_force(model, test, known)
    np.testing.assert_array_equal(ranks.optimistic, expected["optimistic"])
    np.testing.assert_array_equal(ranks.pessimistic, expected["pessimistic"])
    assert (ranks.optimistic != ranks.pessimistic).any() or share > 10


@pytest.mark.parametrize("name", sorted(SCORERS))
def test_every_scorer_is_ranked_as_by_brute_force(name: str) -> None:
    model, facts = SCORERS[name](ENTITIES, RELATIONS, dim=8).double().eval(), random_facts()
    expected = by_brute_force(model, facts[:5], facts)
    np.testing.assert_array_equal(rank(model, facts[:5], facts).optimistic, expected["optimistic"])


def test_a_small_block_of_scores_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model, facts = with_whole_numbers(0), random_facts()
    whole = rank(model, facts, facts)
    monkeypatch.setattr("kg.embedding.ranking.SCORE_BYTES", 4 * ENTITIES * 2)
    monkeypatch.setattr("kg.embedding.ranking.MIN_QUERIES", 1)
    assert block_shape(ENTITIES, None) == (ENTITIES, 2)
    np.testing.assert_array_equal(rank(model, facts, facts).realistic, whole.realistic)
    monkeypatch.setattr("kg.embedding.ranking.MIN_QUERIES", 6)
    assert block_shape(ENTITIES, None) == (3, 6)
    np.testing.assert_array_equal(rank(model, facts, facts).realistic, whole.realistic)


def test_a_constant_scorer_is_not_rewarded() -> None:
    model = with_whole_numbers(0)
    with torch.no_grad():
        model.entities.zero_()
    fact = np.array([[0, 0, 1]])
    ranks = rank(model, fact, fact)
    assert ranks.optimistic.tolist() == [[1, 1]]
    assert ranks.pessimistic.tolist() == [[ENTITIES, ENTITIES]]
    assert ranks.realistic.tolist() == [[(ENTITIES + 1) / 2] * 2]


def test_the_mode_of_the_model_is_left_alone() -> None:
    model = SCORERS["complex"](ENTITIES, RELATIONS, dim=4, dropout=0.5).train()
    first, second = (rank(model, random_facts(), random_facts()) for _ in range(2))
    assert model.training
    np.testing.assert_array_equal(first.realistic, second.realistic)


def ranks_of(*pairs: tuple[int, int]) -> Ranks:
    values = np.array(pairs)
    facts = np.array([[0, row % 2, 1] for row in range(len(pairs))])
    return Ranks(facts, values, values, np.full_like(values, 100))


def test_metrics_of_known_ranks() -> None:
    ranks = ranks_of((1, 2), (4, 10))
    assert ranks.mrr() == pytest.approx((1 + 1 / 2 + 1 / 4 + 1 / 10) / 4)
    assert ranks.mr() == pytest.approx(17 / 4)
    assert ranks.hits(3) == 0.5
    assert ranks.mrr(side=0) == pytest.approx((1 + 1 / 4) / 2)
    assert {relation: part.mr() for relation, part in ranks.per_relation().items()} == {0: 1.5, 1: 7.0}


def test_the_adjusted_index_is_one_for_perfect_ranks_and_zero_for_chance() -> None:
    facts = np.array([[0, 0, 1], [0, 1, 1]])
    candidates = np.array([[11, 21], [31, 1]])
    first = np.ones((2, 2), int)
    assert Ranks(facts, first, first, candidates).values("amri").mean() == 1.0
    middle = (candidates + 1) / 2
    assert Ranks(facts, middle, middle, candidates).values("amri").mean() == pytest.approx(0.0)


def test_a_true_answer_is_ranked_among_the_unknown_and_itself() -> None:
    facts = np.array([[0, 0, 1], [0, 0, 2], [0, 0, 3]])
    ranks = rank(SCORERS["complex"](9, 1, dim=4), facts[:1], facts)
    assert ranks.candidates.tolist() == [[9, 7]]


def test_relations_are_parted_by_how_many_they_relate() -> None:
    known = np.array(
        [[0, 0, 1], [1, 0, 2], [0, 1, 1], [0, 1, 2], [1, 2, 0], [2, 2, 0], *([h, 3, t] for h in (0, 1) for t in (2, 3))]
    )
    assert cardinalities(known) == {0: "1-1", 1: "1-N", 2: "N-1", 3: "N-N"}
    parts = rank(SCORERS["complex"](9, 4, dim=4), known[:5], known).per_cardinality(known)
    assert {name: part.triples[:, 1].tolist() for name, part in parts.items()} == {
        "1-1": [0, 0],
        "1-N": [1, 1],
        "N-1": [2],
    }


def test_a_sample_of_all_others_ranks_as_all_do() -> None:
    model, facts = SCORERS["complex"](ENTITIES, RELATIONS, dim=8).eval(), random_facts()
    exact = rank(model, facts, facts)
    sampled = rank_against_sample(model, facts, facts, negatives=400)
    assert (sampled.candidates == 401).all()
    better = (exact.optimistic - 1) / np.maximum(1, exact.candidates - 1)
    assert np.abs((sampled.optimistic - 1) / 400 - better).max() < 0.12


def test_sampled_entities_answer_nothing_and_repeat_under_a_seed() -> None:
    model, facts = SCORERS["complex"](ENTITIES, RELATIONS, dim=8).eval(), random_facts()
    index = AnswerIndex.build(*as_queries(facts, 1, RELATIONS))
    asked, _ = as_queries(facts, 1, RELATIONS)
    drawn = draw_others(asked, index, ENTITIES, 20, np.random.default_rng(0))
    known = set(map(tuple, facts.tolist()))
    for (head, relation), entities in zip(asked.tolist(), drawn.tolist(), strict=True):
        assert not any((head, relation, entity) in known for entity in entities)
    first, second = (rank_against_sample(model, facts, facts, seed=3).realistic for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_realistic_rank_is_the_mean_of_both() -> None:
    facts = np.array([[0, 0, 1]])
    ranks = Ranks(facts, np.array([[1, 1]]), np.array([[3, 1]]), np.array([[10, 10]]))
    assert ranks.mrr() == pytest.approx((1 / 2 + 1) / 2)
    assert ranks.mrr("optimistic") == 1.0
    assert ranks.mrr("pessimistic") == pytest.approx((1 / 3 + 1) / 2)


def test_the_interval_is_the_bootstraps() -> None:
    generator = np.random.default_rng(0)
    ranks = ranks_of(*(tuple(row) for row in generator.integers(1, 3, (400, 2))))
    low, high = ranks.interval("hits@1")
    error = ranks.values("hits@1").std() / 20
    assert low < ranks.hits(1) < high
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert ranks.interval("hits@1") == (low, high)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda ranks: ranks.values("mmr"), "did you mean"),
        (lambda ranks: ranks.values("hits@x"), "did you mean"),
        (lambda ranks: ranks.mrr("realstic"), "did you mean 'realistic'"),
    ],
)
def test_unknown_names_are_told(call: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(ranks_of((1, 1)))


def test_nothing_to_rank_and_broken_scores_are_told() -> None:
    model = SCORERS["complex"](ENTITIES, RELATIONS, dim=4)
    with pytest.raises(InputError, match="no facts"):
        rank(model, np.empty((0, 3), int), random_facts())
    with torch.no_grad():
        model.entities.fill_(float("nan"))
    with pytest.raises(InputError, match="not finite"):
        rank(model, random_facts(), random_facts())
