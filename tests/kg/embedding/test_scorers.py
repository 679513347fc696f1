"""The members of the scorer family, each against its formula."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from kg.embedding import SCORERS, Scorer
from kg.errors import InputError
from tests.kg.embedding.contract import ScorerContract


class TestTransE(ScorerContract):
    member = "transe"
    fit_settings: ClassVar[dict[str, Any]] = {"optimizer": "adam", "lr": 0.05}
    recovers = frozenset({"antisymmetric", "inverse", "composition"})
    cannot = frozenset({"symmetric"})


class TestTransEByL1(TestTransE):
    options: ClassVar[dict[str, Any]] = {"distance": "l1"}
    recovers = frozenset({"antisymmetric"})


class TestTransEBySquares(TestTransE):
    options: ClassVar[dict[str, Any]] = {"distance": "squared"}
    recovers = frozenset({"antisymmetric"})


class TestDistMult(ScorerContract):
    member = "distmult"
    recovers = frozenset({"symmetric", "one-to-many"})
    cannot = frozenset({"antisymmetric"})


class TestComplEx(ScorerContract):
    member = "complex"
    recovers = frozenset({"symmetric", "antisymmetric", "inverse", "one-to-many"})
    cannot = frozenset()


class TestRotatE(ScorerContract):
    member = "rotate"
    fit_settings: ClassVar[dict[str, Any]] = {"optimizer": "adam", "lr": 0.05}
    recovers = frozenset({"symmetric", "antisymmetric", "inverse", "composition"})
    cannot = frozenset()


HEAD, RELATION, TAIL = torch.tensor([0, 3]), torch.tensor([1, 2]), torch.tensor([2, 0])


def fact_vectors(scorer: Scorer) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    entities, relations = scorer.entities.detach().numpy(), scorer.relations.detach().numpy()
    return entities[HEAD], relations[RELATION], entities[TAIL]


def as_complex(reals: np.ndarray) -> np.ndarray:
    real, imaginary = np.split(reals, 2, axis=1)
    return real + 1j * imaginary


def test_complex_is_a_complex_trilinear_product() -> None:
    scorer = SCORERS["complex"](5, 2, dim=6).double()
    head, relation, tail = map(as_complex, fact_vectors(scorer))
    expected = (head * relation * tail.conj()).sum(1).real
    np.testing.assert_allclose(scorer.score(HEAD, RELATION, TAIL).detach(), expected)


def test_rotate_rotates_complex_numbers() -> None:
    scorer = SCORERS["rotate"](5, 2, dim=6).double()
    head, phases, tail = fact_vectors(scorer)
    expected = -np.abs(as_complex(head) * np.exp(1j * phases) - as_complex(tail)).sum(1)
    np.testing.assert_allclose(scorer.score(HEAD, RELATION, TAIL).detach(), expected)


@pytest.mark.parametrize(("distance", "order", "power"), [("l1", 1, 1), ("l2", 2, 1), ("squared", 2, 2)])
def test_transe_is_a_distance_after_a_translation(distance: str, order: int, power: int) -> None:
    scorer = SCORERS["transe"](5, 2, dim=6, distance=distance).double()
    head, relation, tail = fact_vectors(scorer)
    expected = -(np.linalg.norm(head + relation - tail, ord=order, axis=1) ** power)
    np.testing.assert_allclose(scorer.score(HEAD, RELATION, TAIL).detach(), expected)


def test_distmult_is_symmetric() -> None:
    scorer = SCORERS["distmult"](5, 2, dim=6).double()
    head, relation, tail = fact_vectors(scorer)
    np.testing.assert_allclose(scorer.score(HEAD, RELATION, TAIL).detach(), (head * relation * tail).sum(1))
    torch.testing.assert_close(scorer.score(HEAD, RELATION, TAIL), scorer.score(TAIL, RELATION, HEAD))


@pytest.mark.parametrize("name", ["complex", "rotate"])
def test_complex_vectors_need_an_even_dimension(name: str) -> None:
    with pytest.raises(InputError, match=r"dim: .* even .* got 7"):
        SCORERS[name](5, 2, dim=7)


def test_transe_names_the_nearest_distance() -> None:
    with pytest.raises(InputError, match="did you mean 'squared'"):
        SCORERS["transe"](5, 2, distance="square")


def test_dropout_is_for_training_only() -> None:
    scorer = SCORERS["complex"](5, 2, dim=64, dropout=0.5)
    assert not torch.equal(scorer.score(HEAD, RELATION, TAIL), scorer.score(HEAD, RELATION, TAIL))
    scorer.eval()
    assert torch.equal(scorer.score(HEAD, RELATION, TAIL), scorer.score(HEAD, RELATION, TAIL))
