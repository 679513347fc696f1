"""Folders of facts, and facts of graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg import KnowledgeGraph
from kg.embedding.facts import from_graph, hold_out, read_folder
from kg.errors import InputError


def write(folder: Path, **parts: str) -> Path:
    for name, text in parts.items():
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


def test_a_folder_is_read_with_sorted_names(tmp_path: Path) -> None:
    facts = read_folder(write(tmp_path, train="b\tr\ta\nb\tr\ta\n\na\ts\tc\n", test="c\tr\td\n"))
    assert facts.keys == ["a", "b", "c", "d"]
    assert facts.relation_keys == ["r", "s"]
    assert facts.train.tolist() == [[0, 1, 2], [1, 0, 0]]
    assert facts.test.tolist() == [[2, 0, 3]]
    assert facts.valid.shape == (0, 3)
    assert facts.unseen("test").tolist() == [3]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"valid": "a\tr\tb\n"}, r"train\.txt: no such file"),
        ({"train": "a\tr\tb\na r b\n"}, r"train\.txt:2: expected head, relation and tail between tabs, got 1"),
        ({"train": "a\tr\tb\n", "test": "a\ts\tb\n"}, r"test\.txt: fact 1: no training fact has the relation 's'"),
    ],
)
def test_bad_folders_are_told_by_file_and_line(tmp_path: Path, parts: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_folder(write(tmp_path, **parts))


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_bytes(b"a\tr\t\xff\n")
    with pytest.raises(InputError, match=r"train\.txt: not UTF-8"):
        read_folder(tmp_path)


def test_facts_of_a_graph_carry_names_and_hash() -> None:
    kg = KnowledgeGraph.from_triples([("paris", "in", "france"), ("lyon", "in", "france")], labels={"paris": "Paris"})
    facts = from_graph(kg)
    assert len(facts.train) == 2
    assert facts.graph == kg.hash
    assert dict(zip(facts.keys, facts.labels, strict=True))["paris"] == "Paris"


def test_a_graph_without_facts_is_told() -> None:
    with pytest.raises(InputError, match="no triples"):
        from_graph(KnowledgeGraph.from_triples([], labels={"a": "A"}))


@given(
    triples=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(0, 5)), min_size=1, unique=True),
    share=st.floats(0, 0.9),
    seed=st.integers(0, 3),
)
def test_what_is_held_out_leaves_no_one_alone(triples: list[tuple[int, int, int]], share: float, seed: int) -> None:
    facts = np.array(triples)
    held = hold_out(facts, share, seed=seed)
    left = np.delete(facts, held, 0)
    assert len(held) <= share * len(facts)
    assert len(set(held.tolist())) == len(held)
    assert set(left[:, [0, 2]].ravel()) == set(facts[:, [0, 2]].ravel())
    assert set(left[:, 1]) == set(facts[:, 1])


def test_a_share_of_a_dense_graph_is_held_out() -> None:
    facts = np.array([(h, 0, t) for h in range(10) for t in range(10)])
    assert len(hold_out(facts, 0.2)) == 20
    assert not np.array_equal(hold_out(facts, 0.2, seed=0), hold_out(facts, 0.2, seed=1))
