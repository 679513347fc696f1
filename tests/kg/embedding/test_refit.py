"""Refitting some entities after the graph changed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kg.embedding import FitConfig, Scorer, fit, rank, refit_rows, touched
from kg.embedding.ranking import TAIL
from kg.errors import InputError

COUNTRIES, CITIES, REGIONS = 20, 20, 4
ENTITIES = COUNTRIES + CITIES + REGIONS
CONFIG = FitConfig(dim=32, epochs=40, batch=16, n3=1e-3)


def world() -> np.ndarray:
    """Relation 0: country -> capital; relation 1: country -> region."""
    countries = np.arange(COUNTRIES)
    capitals = np.stack([countries, np.zeros(COUNTRIES, int), countries + COUNTRIES], 1)
    regions = np.stack([countries, np.ones(COUNTRIES, int), COUNTRIES + CITIES + countries % REGIONS], 1)
    return np.concatenate([capitals, regions])


def swapped(facts: np.ndarray, count: int = 4) -> np.ndarray:
    changed = facts.copy()
    changed[:count, 2] = np.roll(facts[:count, 2], 1)
    return changed


@pytest.fixture(scope="module")
def model() -> Scorer:
    return fit(world(), ENTITIES, 2, CONFIG).model


def answers(model: Scorer, facts: np.ndarray, known: np.ndarray) -> float:
    return rank(model, facts, known).hits(1, side=TAIL)


def test_answers_follow_the_graph_and_the_rest_stays(model: Scorer) -> None:
    before, after = world(), swapped(world())
    rows = touched(before, after)
    refitted = refit_rows(model, after, rows, CONFIG)
    assert answers(refitted, after[:4], after) == 1.0
    assert answers(refitted, before[:4], before) == 0.0
    assert answers(refitted, after[4:], after) == 1.0
    frozen = np.setdiff1d(np.arange(ENTITIES), rows)
    assert torch.equal(refitted.entities[frozen], model.entities[frozen])
    assert torch.equal(refitted.relations, model.relations)
    assert not torch.equal(refitted.entities[rows], model.entities[rows])
    assert answers(model, before, before) == 1.0, "the model that was passed in must not be touched"


def test_nothing_moves_when_no_row_may(model: Scorer) -> None:
    refitted = refit_rows(model, swapped(world()), np.array([], int), CONFIG)
    assert torch.equal(refitted.entities, model.entities)


def test_a_fit_from_scratch_cannot_be_read_by_the_old_relations(model: Scorer) -> None:
    after = swapped(world())
    scratch = refit_rows(model, after, touched(world(), after), CONFIG, start="scratch")
    assert answers(scratch, after, after) == 1.0
    with torch.no_grad():
        scratch.relations.copy_(model.relations)
    assert answers(scratch, after, after) < 0.3


def test_a_refitted_model_can_be_refitted_again(model: Scorer) -> None:
    after = swapped(world())
    rows = touched(world(), after)
    back = refit_rows(refit_rows(model, after, rows, CONFIG), world(), rows, CONFIG)
    assert answers(back, world(), world()) == 1.0


def test_touched_are_the_entities_of_changed_facts() -> None:
    assert touched(world(), swapped(world())).tolist() == [0, 1, 2, 3, 20, 21, 22, 23]
    assert touched(world(), world()).tolist() == []


def test_rows_out_of_range_and_gnn_vectors_are_told(model: Scorer) -> None:
    with pytest.raises(InputError, match=r"rows: ids must lie in 0\.\.43"):
        refit_rows(model, world(), np.array([ENTITIES]), CONFIG)
    config = FitConfig(encoder="rgcn", dim=8, epochs=1)
    gnn = fit(world(), ENTITIES, 2, config).model
    with pytest.raises(InputError, match="come from an encoder"):
        refit_rows(gnn, world(), np.array([0]), config)
