from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg import InputError, KnowledgeGraph
from kg.split import PARTS, FactSplit, split_facts
from tests.worlds import toy_graph, toy_split

GRAPH = ("A", "B-dev", "B-test", "S")
TEXT = ("A", "C")


def name_pairs(kg: KnowledgeGraph, row: int) -> set[frozenset[str]]:
    """What a reader may call the two ends of a fact."""
    head, _, tail = kg.triples[row].tolist()
    fold = [[name.casefold() for name in kg.names(entity)] for entity in (head, tail)]
    return {frozenset((first, second)) for first in fold[0] for second in fold[1]}


@st.composite
def graphs(draw: st.DrawFn) -> KnowledgeGraph:
    """Graphs full of twins: few names for many entities, inverse and parallel facts."""
    keys = [f"e{i}" for i in range(draw(st.integers(2, 9)))]
    names = st.sampled_from(["Ann", "ann", "Bob", "Cid", "Dora", "Eve", "Fay"])
    triples = draw(
        st.lists(
            st.tuples(st.sampled_from(keys), st.sampled_from(["p", "q", "r"]), st.sampled_from(keys)),
            min_size=1,
            max_size=25,
        )
    )
    labels = {key: draw(names) for key in keys if draw(st.booleans())}
    aliases = {key: draw(st.lists(names, max_size=2)) for key in keys}
    return KnowledgeGraph.from_triples(triples, labels=labels, aliases=aliases)


@settings(max_examples=80, deadline=None)
@given(graphs(), st.integers(0, 5))
def test_no_text_states_a_hidden_fact(kg: KnowledgeGraph, seed: int) -> None:
    """Brute force: whoever reads two names in a text learns only facts that text may state, or the structure."""
    split = split_facts(kg, structural_relations=["r"] if kg.relations.get("r") is not None else [], seed=seed)
    for first, second in combinations(range(kg.num_triples), 2):
        if name_pairs(kg, first) & name_pairs(kg, second):
            assert split.part(first) == split.part(second)


@settings(max_examples=40, deadline=None)
@given(graphs(), st.integers(0, 5))
def test_facts_of_held_out_entities_and_their_twins_are_in_the_graph_alone(kg: KnowledgeGraph, seed: int) -> None:
    held = [0]
    split = split_facts(kg, hold_out=held, seed=seed)
    for row, (head, _, tail) in enumerate(kg.triples.tolist()):
        if 0 in (head, tail):
            assert split.part(row) in ("B-dev", "B-test", "S")
        if {n.casefold() for n in kg.names(head)} & {n.casefold() for n in kg.names(tail)}:
            assert split.part(row) == "S"


def many_facts(count: int = 4000) -> KnowledgeGraph:
    return KnowledgeGraph.from_triples([(f"h{i}", "pq"[i % 4 == 0], f"t{i}") for i in range(count)])


def test_shares_hold_in_every_relation() -> None:
    kg = many_facts()
    split = split_facts(kg, seed=3)
    for relation in range(kg.num_relations):
        parts = split.parts[kg.triples[:, 1] == relation]
        shares = np.bincount(parts, minlength=len(PARTS)) / len(parts)
        np.testing.assert_allclose(shares, [0.45, 0.125, 0.125, 0.15, 0.15, 0], atol=0.002)


def test_equal_seeds_give_equal_splits_and_others_do_not() -> None:
    kg = many_facts(200)
    assert np.array_equal(split_facts(kg, seed=1).parts, split_facts(kg, seed=1).parts)
    assert not np.array_equal(split_facts(kg, seed=1).parts, split_facts(kg, seed=2).parts)


def test_types_and_named_relations_are_structure() -> None:
    kg = toy_graph()
    split = split_facts(kg, structural_relations=["kind"])
    structural = np.isin(kg.triples[:, 1], [kg.type_relation, kg.relations.id("kind")])
    assert (split.parts[structural] == PARTS.index("S")).all()
    self_named = kg.triples[split.rows("S")].tolist()
    assert [kg.entities.id("LU"), kg.relations.id("capital"), kg.entities.id("city/LU")] in self_named


def test_language_and_demonym_of_one_name_go_together() -> None:
    kg = toy_graph()
    france = kg.entities.id("FR")
    for seed in range(20):
        split = split_facts(kg, seed=seed)
        rows = {
            kg.relation_label(relation): row
            for row, (head, relation, _) in enumerate(kg.triples.tolist())
            if head == france
        }
        assert split.part(rows["language"]) == split.part(rows["demonym"])


def test_entities_said_to_be_the_same_are() -> None:
    kg = KnowledgeGraph.from_triples([("a", "p", "c"), ("b", "q", "c")])
    parts = [split_facts(kg, equivalent=[("a", "b")], seed=seed).parts for seed in range(20)]
    assert all(first == second for first, second in parts)
    assert any(first != second for first, second in (split_facts(kg, seed=seed).parts for seed in range(20)))


def test_the_graph_of_a_split_lacks_text_only_and_hidden_facts() -> None:
    kg = toy_graph()
    split = toy_split(kg)
    seen = split.graph(kg)
    assert {tuple(fact) for fact in seen.triples.tolist()} == {
        tuple(fact) for fact in kg.triples[split.rows(*GRAPH)].tolist()
    }
    with pytest.raises(InputError, match="split again"):
        split.graph(seen)


def test_drawn_held_out_entities_have_names_of_their_own() -> None:
    kg = toy_graph()
    split = split_facts(kg, hold_out={"Country": 6}, seed=0)
    named_alike = {kg.entities.id("LU"), kg.entities.id("TR")}
    assert named_alike.isdisjoint(split.held_out.tolist())
    with pytest.raises(InputError, match="hold_out: 7 of Country are wanted, 6 have names of their own"):
        split_facts(kg, hold_out={"Country": 7})


def test_what_rules_derive_is_marked_in_d_alone() -> None:
    triples = [(f"c{i}", "lies", f"s{i % 4}") for i in range(80)]
    triples += [(f"c{i}", "region", f"r{i % 4 % 2}") for i in range(80)]
    triples += [(f"s{i}", "part", f"r{i % 2}") for i in range(4)]
    kg = KnowledgeGraph.from_triples(triples)
    split = split_facts(kg, structural_relations=["part"], seed=0)
    assert split.inferable.any()
    for row in np.flatnonzero(split.inferable).tolist():
        head, relation, _ = kg.triples[row].tolist()
        lies = np.flatnonzero((kg.triples[:, 0] == head) & (kg.triples[:, 1] == kg.relations.id("lies")))
        assert split.part(row) == "D"
        assert kg.relation_label(relation) == "region"
        assert split.part(int(lies[0])) in GRAPH
    assert any("lies(x, y), part(y, z) => region(x, z)" in rule for rule in split.rules)


def test_a_split_survives_the_disk(tmp_path: Path) -> None:
    split = toy_split(toy_graph())
    split.save(tmp_path / "split")
    again = FactSplit.load(tmp_path / "split")
    for name in ("parts", "held_out", "inferable"):
        np.testing.assert_array_equal(getattr(again, name), getattr(split, name))
    assert (again.seed, again.shares, again.hash, again.rules) == (split.seed, split.shares, split.hash, split.rules)


def test_what_the_user_can_mend(tmp_path: Path) -> None:
    kg = toy_graph()
    with pytest.raises(InputError, match="must give A, B, C and D"):
        split_facts(kg, shares={"A": 1.0})
    with pytest.raises(InputError, match="capitl"):
        split_facts(kg, structural_relations=["capitl"])
    with pytest.raises(InputError, match="Countri"):
        split_facts(kg, hold_out={"Countri": 1})
    with pytest.raises(InputError, match="no part is called 'B-tst'; did you mean 'B-test'"):
        toy_split(kg).rows("B-tst")
    with pytest.raises(InputError, match="no such file"):
        FactSplit.load(tmp_path / "absent")
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(InputError, match="junk: not a split of facts"):
        FactSplit.load(tmp_path / "junk")
