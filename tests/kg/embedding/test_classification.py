"""Triples true or false, and entities of classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kg.embedding import SCORERS, FitConfig, fit
from kg.embedding.entity_classification import ClassifierConfig, classify_entities
from kg.embedding.triple_classification import TripleClassifier, best_threshold, plausibility
from kg.errors import InputError
from tests.kg.embedding.contract import ENTITIES, RELATIONS, random_facts


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=12))
def test_no_threshold_is_better_than_the_best(pairs: list[tuple[int, bool]]) -> None:
    scores, labels = np.array([score for score, _ in pairs], float), np.array([label for _, label in pairs])
    found = ((scores >= best_threshold(scores, labels)) == labels).sum()
    assert found == max(((scores >= at) == labels).sum() for at in (*np.unique(scores), np.inf))


def test_plausibility_is_the_mean_of_both_directions() -> None:
    model = SCORERS["complex"](ENTITIES, RELATIONS, dim=8)
    facts = random_facts()
    head, relation, tail = torch.as_tensor(facts).unbind(1)
    with torch.no_grad():
        expected = (model.score(head, relation, tail) + model.score(tail, relation + RELATIONS, head)) / 2
    np.testing.assert_allclose(plausibility(model, facts), expected.numpy(), rtol=1e-6)


def facts_and_falsehoods() -> tuple[np.ndarray, np.ndarray]:
    facts = random_facts()
    known = set(map(tuple, facts.tolist()))
    other = [(h, r, t) for h in range(ENTITIES) for r in range(RELATIONS) for t in range(ENTITIES)]
    return facts, np.array([triple for triple in other if triple not in known])


def test_a_model_that_knows_the_facts_tells_them_from_falsehoods() -> None:
    facts, falsehoods = facts_and_falsehoods()
    model = fit(facts, ENTITIES, RELATIONS, FitConfig(dim=32, epochs=60, batch=8, n3=0.0)).model
    classifier = TripleClassifier.fit(model, facts, falsehoods)
    figures = classifier.evaluate(facts, falsehoods)
    assert figures["accuracy"] > 0.97
    assert figures["f1"] > 0.9


def test_accuracy_and_f1_are_those_of_their_definitions() -> None:
    model = SCORERS["distmult"](4, 1, dim=1)
    with torch.no_grad():
        model.entities.copy_(torch.tensor([[1.0], [2.0], [3.0], [4.0]]))
        model.relations.fill_(1.0)
    classifier = TripleClassifier(model, np.array([5.0]))
    true, false = np.array([[0, 0, 1], [1, 0, 2], [2, 0, 3]]), np.array([[3, 0, 3], [0, 0, 0]])
    # Scores 2, 6, 12 of true triples and 16, 1 of false ones, against 5.
    assert classifier.evaluate(true, false) == pytest.approx({"accuracy": 3 / 5, "f1": 2 * 2 / (2 * 2 + 1 + 1)})


def test_a_relation_without_validation_has_the_threshold_of_all() -> None:
    model = SCORERS["distmult"](ENTITIES, RELATIONS, dim=4)
    facts, falsehoods = facts_and_falsehoods()
    true, false = facts[facts[:, 1] == 0], falsehoods[falsehoods[:, 1] == 0]
    thresholds = TripleClassifier.fit(model, true, false).thresholds
    assert thresholds[0] == thresholds[1] == thresholds[2]
    with pytest.raises(InputError, match="valid: thresholds need true and false triples"):
        TripleClassifier.fit(model, true, false[:0])


def two_clubs() -> tuple[np.ndarray, np.ndarray]:
    """Thirty people who know people of their own club; the clubs have no name in the graph."""
    generator = np.random.default_rng(0)
    clubs = np.arange(30) % 2
    heads = np.repeat(np.arange(30), 4)
    tails = 2 * generator.integers(0, 15, 120) + clubs[heads]
    return np.unique(np.stack([heads, np.zeros(120, int), tails], 1), axis=0), clubs


@pytest.mark.parametrize("encoder", ["rgcn", "sage", "gat"])
def test_the_graph_tells_the_class_of_others(encoder: str) -> None:
    facts, clubs = two_clubs()
    people = np.random.default_rng(1).permutation(30)
    train, test = ((part, clubs[part]) for part in (people[:14], people[14:]))
    config = ClassifierConfig(encoder=encoder, encoder_options={"layers": 2}, epochs=100)
    assert classify_entities(facts, 30, 1, train, test, config) > 0.85


def test_entities_of_the_test_are_no_training() -> None:
    facts, clubs = two_clubs()
    part = np.arange(3)
    with pytest.raises(InputError, match="test: the entity with id 0 is in train too"):
        classify_entities(facts, 30, 1, (part, clubs[part]), (part, clubs[part]))
    with pytest.raises(InputError, match="test: there are no entities with a class"):
        classify_entities(facts, 30, 1, (part, clubs[part]), (part[:0], clubs[:0]))
