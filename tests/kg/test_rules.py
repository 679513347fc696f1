from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from kg.rules import Rule, infer, mine_rules

ENTITIES, RELATIONS = 6, 2
triples_of = st.lists(
    st.tuples(st.integers(0, ENTITIES - 1), st.integers(0, RELATIONS - 1), st.integers(0, ENTITIES - 1)),
    min_size=1,
    max_size=30,
    unique=True,
)


def holds(facts: set[tuple[int, int, int]], column: int, x: int, y: int) -> bool:
    if x == y:
        return False
    return (x, column, y) in facts if column < RELATIONS else (y, column - RELATIONS, x) in facts


def pairs_of(facts: set[tuple[int, int, int]], body: tuple[int, ...]) -> set[tuple[int, int]]:
    """By definition: all pairs of distinct entities for which the body holds."""
    everyone = range(ENTITIES)
    if len(body) == 1:
        return {(x, y) for x in everyone for y in everyone if holds(facts, body[0], x, y)}
    return {
        (x, z)
        for x, y, z in itertools.product(everyone, repeat=3)
        if x != z and holds(facts, body[0], x, y) and holds(facts, body[1], y, z)
    }


def by_definition(facts: set[tuple[int, int, int]], least: int, sure: float) -> dict[Any, tuple[float, ...]]:
    proper = {fact for fact in facts if fact[0] != fact[2]}
    found = {}
    columns = range(2 * RELATIONS)
    for body in [(c,) for c in columns] + list(itertools.product(columns, repeat=2)):
        pairs = pairs_of(facts, body)
        for head in range(RELATIONS):
            support = sum((x, head, y) in facts for x, y in pairs)
            known = sum(any((x, head, z) in proper for z in range(ENTITIES)) for x, _ in pairs)
            if support >= least and support >= sure * known and body != (head,):
                size = sum(relation == head for _, relation, _ in proper)
                found[body, head] = (support, support / size, support / known, support / len(pairs))
    return found


@settings(max_examples=60, deadline=None)
@given(triples_of, st.sampled_from([0.3, 0.9]))
def test_rules_are_those_of_the_definition(triples: list[tuple[int, int, int]], sure: float) -> None:
    mined = mine_rules(np.array(triples), ENTITIES, RELATIONS, min_support=2, min_confidence=sure)
    found = {
        (rule.body, rule.head): (rule.support, rule.head_coverage, rule.confidence, rule.standard_confidence)
        for rule in mined
    }
    expected = by_definition(set(triples), 2, sure)
    assert found.keys() == expected.keys()
    for key, figures in expected.items():
        np.testing.assert_allclose(found[key], figures)


@settings(max_examples=40, deadline=None)
@given(triples_of, st.tuples(st.integers(0, 3), st.integers(0, 3)), st.integers(0, 1))
def test_inferred_facts_are_the_new_pairs_of_the_body(
    triples: list[tuple[int, int, int]], body: tuple[int, int], head: int
) -> None:
    facts = set(triples)
    derived, confidence = infer([Rule(body, head, 1, 1.0, 0.7, 0.5)], np.array(triples), ENTITIES, RELATIONS)
    expected = sorted((x, head, y) for x, y in pairs_of(facts, body) if (x, head, y) not in facts)
    assert [tuple(fact) for fact in derived.tolist()] == expected
    assert (confidence == 0.7).all()


def test_what_the_graph_leaves_open_counts_against_no_rule() -> None:
    """Ten countries, nine with a region: the rule is sure of all it can be checked on."""
    lies, part, region = 0, 1, 2
    triples = [(c, lies, 10 + c % 2) for c in range(10)] + [(10, part, 12), (11, part, 13)]
    triples += [(c, region, 12 + c % 2) for c in range(9)]
    mined = mine_rules(np.array(triples), 14, 3, min_support=5)
    rule = next(rule for rule in mined if rule.body == (lies, part) and rule.head == region)
    assert (rule.support, rule.confidence, rule.standard_confidence) == (9, 1.0, 0.9)
    derived = {tuple(fact) for fact in infer([rule], np.array(triples), 14, 3)[0].tolist()}
    assert derived == {(9, region, 13)}


def test_hubs_are_skipped_and_nothing_is_mined_from_nothing() -> None:
    star = np.array([[i, 0, 0] for i in range(1, 50)])
    assert mine_rules(star, 50, 1, min_support=1, max_paths=10) == []
    empty: NDArray[np.int64] = np.zeros((0, 3), dtype=np.int64)
    assert mine_rules(empty, 0, 0) == []
    assert infer([], empty, 0, 0)[0].shape == (0, 3)
