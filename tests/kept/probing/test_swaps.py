from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept.probing.swaps import _derangement, draw_swaps, swapped_triples
from kept.probing.world import Swap
from tests.kept.probing.worlds import make_world, split_of


def test_swaps_change_facts_of_the_named_parts_to_other_objects_of_the_relation() -> None:
    world = make_world()
    part = {world.keys(row): world.split.part(row) for row in range(world.graph.num_triples)}
    swaps = draw_swaps(world)
    assert swaps == draw_swaps(make_world())
    assert {swap.relation for swap in swaps} == {"capital", "region"}
    for swap in swaps:
        assert part[swap.subject, swap.relation, swap.old] in ("A", "B-test")
        assert swap.new != swap.old and swap.new in {c.key for c in world.range_of(swap.relation).candidates}
    before, after = Counter(s.old for s in swaps), Counter(s.new for s in swaps)
    assert {s for s in swaps if s.relation == "capital"} and before == after


def test_relations_with_several_objects_or_a_twin_are_left_alone() -> None:
    world = make_world()
    assert not [swap for swap in draw_swaps(world) if swap.relation == "borders"]


@pytest.mark.parametrize("twin", [("city/0", "borders", "country/0"), ("country/0", "borders", "city/0")])
def test_a_fact_that_a_second_one_repeats_is_left_alone(twin: tuple[str, str, str]) -> None:
    world = make_world()
    capital = ("country/0", "capital", "city/0")
    assert capital in {swap[:3] for swap in draw_swaps(world)}
    parts = {world.keys(row): world.split.part(row) for row in range(world.graph.num_triples)}
    ids = [world.graph.entities.id(twin[0]), world.graph.relations.id(twin[1]), world.graph.entities.id(twin[2])]
    graph = world.graph.with_triples(np.vstack([world.graph.triples, [ids]]))
    repeated = replace(world, graph=graph, split=split_of(graph, {**parts, twin: "A"}))
    assert capital not in {swap[:3] for swap in draw_swaps(repeated)}


def test_at_most_so_many_of_each_relation() -> None:
    counts = Counter(swap.relation for swap in draw_swaps(make_world(), per_relation=4))
    assert max(counts.values()) <= 4


@given(st.lists(st.integers(0, 5), max_size=30), st.integers(0, 9))
def test_a_derangement_moves_all_that_can_move(values: list[int], seed: int) -> None:
    objects = np.array(values, dtype=np.int64)
    moved = _derangement(objects, np.random.default_rng(seed))
    assert sorted(moved.tolist()) == sorted(values)
    commonest = max(Counter(values).values(), default=0)
    stay = int((moved == objects).sum())
    # An object with more than half of the places cannot leave them all.
    assert stay == max(0, 2 * commonest - len(values))


def test_the_changed_graph_differs_in_the_changed_facts_alone() -> None:
    world = make_world()
    changed = world.graph.with_triples(swapped_triples(world.graph, world.swaps))
    before, after = set(world.graph.statements()), set(changed.statements())
    assert before - after == {("country/0", "capital", "city/0"), ("country/3", "capital", "city/3")}
    assert after - before == {("country/0", "capital", "city/3"), ("country/3", "capital", "city/0")}


def test_a_fact_that_the_graph_lacks_stays_absent() -> None:
    world = make_world()
    other = (Swap("country/0", "capital", "city/7", "city/9"),)
    assert np.array_equal(swapped_triples(world.graph, other), world.graph.triples)
    with pytest.raises(ValueError, match="country/99"):
        swapped_triples(world.graph, (Swap("country/99", "capital", "city/7", "city/9"),))
