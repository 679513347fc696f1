from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from kept.probing.floors import GraphAlone, Majority
from kept.probing.items import AnswerSpace, Candidate, ProbeItem
from kept.probing.run import evaluate
from kept.probing.scores import ScoreStore
from kept.probing.tasks import TASKS
from kept.probing.world import World
from kg.embedding import FitConfig, Vectors, fit
from tests.kept.probing.worlds import make_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def vectors(world: World) -> Vectors:
    """Fitted on what the split leaves in the graph."""
    torch.set_num_threads(1)
    graph = world.split.graph(world.graph)
    config = FitConfig(dim=32, epochs=60)
    model = fit(np.asarray(graph.triples), graph.num_entities, graph.num_relations, config).model
    keys, relations = graph.entities.keys(range(graph.num_entities)), graph.relations.keys(range(graph.num_relations))
    return Vectors.from_model(model, config, keys=keys, relation_keys=relations, graph=graph.hash)


def test_majority_is_the_most_frequent_object_of_the_training_facts() -> None:
    space = AnswerSpace("r", tuple(Candidate(key, key) for key in "abc"))
    item = ProbeItem("i", "t", "A", "q", answer_space="r", relation="r")
    floor = Majority({("r", "object"): {"b": 5, "a": 2}})
    assert floor.score([item], {"r": space})["answer"][0].tolist() == [2, 5, 0]
    unknown = ProbeItem("i", "t", "A", "q", answer_space="r", relation="q")
    assert floor.score([unknown], {"r": space})["answer"][0].tolist() == [0, 0, 0]


def test_majority_counts_part_a_alone(world: World) -> None:
    counts = Majority.from_world(world).counts["capital", "object"]
    assert set(counts) == {"city/0", "city/1", "city/6", "city/7"}
    assert Majority.from_world(world, "A", "C").fingerprint != Majority.from_world(world).fingerprint


def test_the_graph_alone_answers_what_is_in_the_graph_and_nothing_else(
    world: World, vectors: Vectors, tmp_path: Path
) -> None:
    probe = TASKS["facts"]().build(world)
    found = evaluate(GraphAlone(vectors), probe, ScoreStore(tmp_path / "scores"))["answer"]
    right = found.values("p@1")
    known = np.isin(found.splits, ["A", "B-dev", "B-test"])
    assert right[known].mean() > 0.95
    assert right[~known].mean() < 0.5


def test_it_is_asked_for_heads_as_well(world: World, vectors: Vectors, tmp_path: Path) -> None:
    probe = TASKS["concept-choice"]().build(world)
    found = evaluate(GraphAlone(vectors), probe, ScoreStore(tmp_path / "scores"))["answer"]
    assert found.values("accuracy").mean() == 1


def test_it_has_no_eyes(world: World, vectors: Vectors, tmp_path: Path) -> None:
    probe = TASKS["picture-facts"]().build(world)
    found = evaluate(GraphAlone(vectors), probe, ScoreStore(tmp_path / "scores"))["answer"]
    assert np.array_equal(found.ties, found.candidates)


def test_its_scores_are_the_scorer_s(world: World, vectors: Vectors) -> None:
    probe = TASKS["facts"]().build(world)
    items = [item.blind() for item in probe.items]
    scores = GraphAlone(vectors).score(items, probe.spaces)["answer"]
    model, relation = vectors.scorer(), {key: row for row, key in enumerate(vectors.relation_keys)}
    for item, given in list(zip(items, scores, strict=True))[::5]:
        tails = torch.tensor([vectors.id(c.key) for c in item.space(probe.spaces).candidates])
        head = torch.full_like(tails, vectors.id(item.subject or ""))
        expected = model.score(head, torch.full_like(tails, relation[item.relation or ""]), tails)
        assert given == pytest.approx(expected.detach().numpy(), rel=1e-4, abs=1e-5)


def test_candidates_without_a_vector_rank_nowhere(vectors: Vectors) -> None:
    space = AnswerSpace("s", (Candidate("city/0", ""), Candidate("nobody", "")))
    item = ProbeItem("i", "t", "A", "q", answer_space="s", relation="capital", subject="country/0")
    scores = GraphAlone(vectors).score([item], {"s": space})["answer"][0]
    assert np.isfinite(scores[0]) and scores[1] == -np.inf


def test_the_fingerprint_is_of_the_content(vectors: Vectors, tmp_path: Path) -> None:
    vectors.save(tmp_path / "copy")
    assert GraphAlone(Vectors.load(tmp_path / "copy")).fingerprint == GraphAlone(vectors).fingerprint
    moved = Vectors(
        vectors.entities + 1e-3, vectors.relations, vectors.keys, vectors.labels, vectors.relation_keys, vectors.config
    )
    assert GraphAlone(moved).fingerprint != GraphAlone(vectors).fingerprint
