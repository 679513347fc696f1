"""NBFNet against the contract of scorers, and on entities that it has never seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kg.embedding import Edges, rank
from kg.embedding.paths import NBFNet, PathConfig, fit_paths
from kg.embedding.ranking import TAIL
from kg.errors import InputError
from tests.kg.embedding.contract import ENTITIES, RELATIONS, random_facts


def fresh(facts: np.ndarray | None = None) -> NBFNet:
    torch.manual_seed(0)
    edges = Edges.from_triples(random_facts() if facts is None else facts, RELATIONS)
    return NBFNet(edges, ENTITIES, RELATIONS, dim=6, layers=2).double().eval()


def test_score_score_tails_and_score_heads_agree() -> None:
    model = fresh()
    head, relation, tail = torch.as_tensor(random_facts()).unbind(1)
    row = torch.arange(len(head))
    with torch.no_grad():
        torch.testing.assert_close(model.score(head, relation, tail), model.score_tails(head, relation)[row, tail])
        asked = model.score(tail, model.inverse(relation), head)
        torch.testing.assert_close(asked, model.score_heads(relation, tail)[row, head])
        part = model.score_tails(head, relation, candidates=slice(2, 5))
        torch.testing.assert_close(part, model.score_tails(head, relation)[:, 2:5])


def test_a_step_equals_its_formula_edge_by_edge() -> None:
    model = fresh()
    step, edges = model.steps[0], model.edges
    found = torch.randn(1, ENTITIES, 6, dtype=torch.float64)
    begin, asked = torch.randn_like(found), model.relations[:1]
    weights = step.weights(asked).view(2 * RELATIONS, 6)
    arriving = begin[0].clone()
    for source, target, relation in zip(edges.source, edges.target, edges.relations, strict=True):
        arriving[target] = arriving[target] + found[0, source] * weights[relation]
    expected = found[0] + torch.relu(step.norm(step.update(torch.cat([found[0], arriving], 1))))
    torch.testing.assert_close(step(found, begin, asked, edges)[0], expected)


def test_renumbering_entities_renumbers_their_scores() -> None:
    model, facts = fresh(), random_facts()
    place = np.random.default_rng(0).permutation(ENTITIES)
    renamed = facts.copy()
    renamed[:, [0, 2]] = place[facts[:, [0, 2]]]
    other = model.on(renamed, ENTITIES).double()
    with torch.no_grad():
        before = model.score_tails(torch.tensor([3]), torch.tensor([1]))
        after = other.score_tails(torch.tensor([place[3]]), torch.tensor([1]))
    torch.testing.assert_close(after[:, place], before)


def test_gradients_are_right() -> None:
    model = fresh()
    values = {name: parameter.detach().clone().requires_grad_() for name, parameter in model.named_parameters()}

    def scores(*parameters: torch.Tensor) -> torch.Tensor:
        given = dict(zip(values, parameters, strict=True))
        return torch.func.functional_call(model, given, (torch.tensor([0, 2]), torch.tensor([1, 4])), strict=True)

    model.forward = model.score_tails  # type: ignore[assignment,method-assign]
    assert torch.autograd.gradcheck(scores, tuple(values.values()), fast_mode=True)


def world(seed: int, size: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Everyone has a parent (0) and a home (1) in it; relation 2 is the parent's home. Facts, and those of 2 alone."""
    generator = np.random.default_rng(seed)
    people, homes = np.arange(size), size + np.arange(8)
    parent, home = generator.permutation(size), generator.integers(0, 8, size)
    of = [np.stack([people, np.full(size, r), tails], 1) for r, tails in ((0, parent), (1, homes[home]))]
    composed = np.stack([people, np.full(size, 2), homes[home[parent]]], 1)
    return np.concatenate(of), composed


def test_what_it_learned_holds_for_entities_that_it_never_saw() -> None:
    known, composed = world(0)
    model = fit_paths(np.concatenate([known, composed]), 48, 3, PathConfig(dim=16, layers=3, epochs=12, lr=0.01))
    other, asked = world(1)
    unseen = model.on(other, 48)
    ranks = rank(unseen, asked, np.concatenate([other, asked]))
    assert ranks.hits(1, side=TAIL) > 0.95
    assert ranks.candidates.max() == 48


def test_facts_that_are_asked_for_are_no_edges() -> None:
    losses: list[float] = []
    facts = np.array([[0, 0, 1], [2, 0, 3], [4, 0, 5]])
    fit_paths(facts, 6, 1, PathConfig(dim=8, epochs=15), on_epoch=lambda epoch, loss: losses.append(loss))
    # Without its own edge nothing tells a fact's tail from other entities.
    assert losses[-1] > 0.9


def test_a_loss_that_is_not_finite_is_told() -> None:
    with pytest.raises(InputError, match="the loss is not finite in epoch"):
        fit_paths(random_facts(), ENTITIES, RELATIONS, PathConfig(dim=4, epochs=9, lr=1e30))
