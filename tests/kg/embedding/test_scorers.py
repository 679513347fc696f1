"""The members of the scorer family, each against its formula."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from kg.embedding import SCORERS, Scorer
from kg.errors import InputError
from tests.kg.embedding.contract import ScorerContract

TRANSLATIONS = frozenset({"antisymmetric", "inverse", "one-to-many"})
BILINEAR = frozenset({"symmetric", "antisymmetric", "inverse", "one-to-many", "ring"})
COMPOSITION = frozenset({"composition"})
NOT_TRANSLATIONS = frozenset({"symmetric", "ring"})
BY_ADAM: Mapping[str, Any] = {"optimizer": "adam", "lr": 0.05}
BY_NEGATIVES: Mapping[str, Any] = {**BY_ADAM, "mode": "negatives", "negatives": 24, "margin": 2.0, "epochs": 300}


class TestTransE(ScorerContract):
    member = "transe"
    fit_settings: ClassVar[Mapping[str, Any]] = BY_ADAM
    recovers = TRANSLATIONS | COMPOSITION
    cannot = NOT_TRANSLATIONS


class TestTransEByL1(TestTransE):
    options: ClassVar[dict[str, Any]] = {"distance": "l1"}
    recovers = frozenset({"antisymmetric"})


class TestTransEBySquares(TestTransE):
    options: ClassVar[dict[str, Any]] = {"distance": "squared"}
    recovers = frozenset({"antisymmetric"})


class TestTransH(ScorerContract):
    member = "transh"
    fit_settings: ClassVar[Mapping[str, Any]] = BY_NEGATIVES
    recovers = TRANSLATIONS | COMPOSITION
    cannot = NOT_TRANSLATIONS


class TestTransD(ScorerContract):
    member = "transd"
    fit_settings: ClassVar[Mapping[str, Any]] = BY_NEGATIVES
    recovers = TRANSLATIONS | COMPOSITION
    cannot = NOT_TRANSLATIONS


class TestTransR(ScorerContract):
    member = "transr"
    fit_settings: ClassVar[Mapping[str, Any]] = BY_ADAM
    recovers = TRANSLATIONS
    cannot = NOT_TRANSLATIONS


class TestTransRIntoASmallerSpace(TestTransR):
    options: ClassVar[dict[str, Any]] = {"relation_dim": 5}
    recovers = frozenset({"antisymmetric"})


class TestTranSparse(ScorerContract):
    member = "transparse"
    fit_settings: ClassVar[Mapping[str, Any]] = BY_ADAM
    recovers = TRANSLATIONS
    cannot = NOT_TRANSLATIONS


class TestKG2E(ScorerContract):
    member = "kg2e"
    fit_settings: ClassVar[Mapping[str, Any]] = BY_NEGATIVES
    recovers = TRANSLATIONS | COMPOSITION | {"symmetric"}
    cannot = frozenset({"ring"})


class TestKG2EByExpectedLikelihood(TestKG2E):
    options: ClassVar[dict[str, Any]] = {"similarity": "el"}
    fit_settings: ClassVar[Mapping[str, Any]] = BY_ADAM
    recovers = frozenset({"antisymmetric"})
    cannot = frozenset()


class TestDistMult(ScorerContract):
    member = "distmult"
    recovers = frozenset({"symmetric", "one-to-many"})
    cannot = frozenset({"antisymmetric", "ring"})


class TestRotatE(ScorerContract):
    member = "rotate"
    fit_settings: ClassVar[Mapping[str, Any]] = BY_ADAM
    recovers = BILINEAR | COMPOSITION
    cannot = frozenset()


class TestRotatEByL2(TestRotatE):
    options: ClassVar[dict[str, Any]] = {"norm": "l2"}
    recovers = frozenset({"symmetric", "antisymmetric"})


class TestComplEx(ScorerContract):
    member = "complex"
    recovers = BILINEAR | COMPOSITION
    cannot = frozenset()


class TestHolE(ScorerContract):
    member = "hole"
    recovers = BILINEAR | COMPOSITION
    cannot = frozenset()


class TestANALOGY(ScorerContract):
    member = "analogy"
    recovers = BILINEAR | COMPOSITION
    cannot = frozenset()


class TestQuatE(ScorerContract):
    member = "quate"
    recovers = BILINEAR | COMPOSITION
    cannot = frozenset()


class TestCP(ScorerContract):
    member = "cp"
    recovers = BILINEAR
    cannot = frozenset()


class TestSimplE(ScorerContract):
    member = "simple"
    recovers = BILINEAR
    cannot = frozenset()


class TestRESCAL(ScorerContract):
    member = "rescal"
    fit_settings: ClassVar[dict[str, Any]] = {**BY_ADAM, "dim": 8, "l2": 0.01}
    recovers = BILINEAR | COMPOSITION
    cannot = frozenset()


class TestRESCALOfTwoMatrices(TestRESCAL):
    options: ClassVar[dict[str, Any]] = {"tied": False}
    fit_settings: ClassVar[dict[str, Any]] = {**BY_ADAM, "dim": 10, "l2": 0.01}


class TestTuckER(ScorerContract):
    member = "tucker"
    options: ClassVar[dict[str, Any]] = {"relation_dim": 5}
    fit_settings: ClassVar[dict[str, Any]] = {**BY_ADAM, "lr": 0.02}
    recovers = BILINEAR
    cannot = frozenset()


class TestSME(ScorerContract):
    member = "sme"
    fit_settings: ClassVar[dict[str, Any]] = {**BY_ADAM, "lr": 0.02}
    recovers = BILINEAR
    cannot = frozenset()


class TestSMELinear(TestSME):
    options: ClassVar[dict[str, Any]] = {"form": "linear"}
    recovers = frozenset({"symmetric", "one-to-many"})
    cannot = frozenset({"ring"})


class TestNTN(ScorerContract):
    member = "ntn"
    options: ClassVar[dict[str, Any]] = {"slices": 2}
    fit_settings: ClassVar[dict[str, Any]] = {**BY_ADAM, "lr": 0.02, "dim": 8, "l2": 0.003}
    recovers = BILINEAR - {"inverse"}
    cannot = frozenset()


class TestConvE(ScorerContract):
    member = "conve"
    options: ClassVar[dict[str, Any]] = {"channels": 8, "input_dropout": 0.0, "map_dropout": 0.0, "hidden_dropout": 0.0}
    recovers = BILINEAR
    cannot = frozenset()


class TestConvTransE(ScorerContract):
    member = "conv-transe"
    options: ClassVar[dict[str, Any]] = {"channels": 8, "input_dropout": 0.0, "map_dropout": 0.0, "hidden_dropout": 0.0}
    recovers = BILINEAR
    cannot = frozenset()


class TestConvKB(ScorerContract):
    member = "convkb"
    options: ClassVar[dict[str, Any]] = {"filters": 4}
    fit_settings: ClassVar[Mapping[str, Any]] = BY_ADAM
    recovers = BILINEAR
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


def small(name: str, **options: Any) -> Scorer:
    torch.manual_seed(0)
    return SCORERS[name](5, 2, dim=8, init_std=0.7, **options).double().eval()


def assert_scores(scorer: Scorer, expected: list[float]) -> None:
    np.testing.assert_allclose(scorer.score(HEAD, RELATION, TAIL).detach(), expected, rtol=1e-9)


def facts_of(scorer: Scorer) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    return list(zip(*fact_vectors(scorer), strict=True))


def test_transh_projects_on_hyperplanes() -> None:
    scorer = small("transh")
    expected = []
    for head, relation, tail in facts_of(scorer):
        translation, normal = np.split(relation, 2)
        onto = np.eye(8) - np.outer(normal, normal) / (normal @ normal)
        expected.append(-np.sum((onto @ head + translation - onto @ tail) ** 2))
    assert_scores(scorer, expected)


def test_transr_maps_into_the_space_of_a_relation() -> None:
    scorer = small("transr", relation_dim=3)
    expected = []
    for head, relation, tail in facts_of(scorer):
        translation, matrix = relation[:3], relation[3:].reshape(3, 8)
        expected.append(-np.sum((matrix @ head + translation - matrix @ tail) ** 2))
    assert_scores(scorer, expected)


def test_transd_makes_its_matrices_from_two_vectors() -> None:
    scorer = small("transd")
    expected = []
    for head, relation, tail in facts_of(scorer):
        translation, direction = np.split(relation, 2)
        moved = [
            (np.outer(direction, projection) + np.eye(4)) @ position
            for position, projection in (np.split(head, 2), np.split(tail, 2))
        ]
        expected.append(-np.sum((moved[0] + translation - moved[1]) ** 2))
    assert_scores(scorer, expected)


def test_transparse_is_sparser_for_rarer_relations() -> None:
    counts = torch.tensor([100, 10, 100, 10])
    scorer = SCORERS["transparse"](5, 2, dim=40, sparseness=0.5, facts_per_relation=counts)
    matrices = scorer.states().relations[:, 40:].unflatten(1, (40, 40))
    zeros = (matrices == 0).double().mean((1, 2))
    assert abs(zeros[0] - 0.5) < 0.05
    assert abs(zeros[1] - 0.95) < 0.05
    assert (matrices.diagonal(dim1=1, dim2=2) != 0).all()


def test_transparse_is_kept_in_its_vectors() -> None:
    scorer = small("transparse", facts_per_relation=torch.tensor([9, 1, 9, 1]))
    plain = small("transr")
    with torch.no_grad():
        plain.entities.copy_(scorer.entities)
        plain.relations.copy_(scorer.states().relations)
    torch.testing.assert_close(plain.score(HEAD, RELATION, TAIL), scorer.score(HEAD, RELATION, TAIL))


def test_rescal_is_a_matrix_between_two_vectors() -> None:
    scorer = small("rescal", tied=False)
    assert_scores(scorer, [head @ relation.reshape(8, 8) @ tail for head, relation, tail in facts_of(scorer)])


def test_a_tied_rescal_scores_both_sides_alike() -> None:
    scorer = small("rescal")
    assert not torch.allclose(scorer.score(HEAD, RELATION, TAIL), scorer.score(TAIL, RELATION, HEAD))
    back = scorer.score(TAIL, scorer.inverse(RELATION), HEAD)
    torch.testing.assert_close(scorer.score(HEAD, RELATION, TAIL), back)


def test_cp_has_two_vectors_for_an_entity() -> None:
    scorer = small("cp")
    assert_scores(scorer, [np.sum(head[:4] * relation * tail[4:]) for head, relation, tail in facts_of(scorer)])


def test_simple_is_the_mean_of_both_directions() -> None:
    scorer = small("simple")
    assert_scores(
        scorer,
        [
            (np.sum(head[:4] * relation[:4] * tail[4:]) + np.sum(tail[:4] * relation[4:] * head[4:])) / 2
            for head, relation, tail in facts_of(scorer)
        ],
    )


def test_hole_correlates_head_and_tail() -> None:
    scorer = small("hole")
    assert_scores(
        scorer,
        [
            sum(relation[k] * sum(head[i] * tail[(i + k) % 8] for i in range(8)) for k in range(8))
            for head, relation, tail in facts_of(scorer)
        ],
    )


def test_analogy_has_normal_matrices_that_commute() -> None:
    scorer = small("analogy")

    def matrix(relation: np.ndarray) -> np.ndarray:
        block = np.zeros((8, 8))
        block[:4, :4] = np.diag(relation[:4])
        for place in (4, 5):
            real, imaginary = relation[place], relation[place + 2]
            block[np.ix_([place, place + 2], [place, place + 2])] = [[real, imaginary], [-imaginary, real]]
        return block

    facts = facts_of(scorer)
    assert_scores(scorer, [head @ matrix(relation) @ tail for head, relation, tail in facts])
    first, second = (matrix(relation) for _, relation, _ in facts)
    np.testing.assert_allclose(first @ second, second @ first)
    np.testing.assert_allclose(first @ first.T, first.T @ first)


def test_quate_multiplies_quaternions() -> None:
    scorer = small("quate")

    def left(a: float, b: float, c: float, d: float) -> np.ndarray:
        return np.array([[a, -b, -c, -d], [b, a, -d, c], [c, d, a, -b], [d, -c, b, a]])

    expected = []
    for head, relation, tail in facts_of(scorer):
        quaternions = zip(head.reshape(4, 2).T, relation.reshape(4, 2).T, tail.reshape(4, 2).T, strict=True)
        expected.append(sum(left(*h) @ (r / np.linalg.norm(r)) @ t for h, r, t in quaternions))
    assert_scores(scorer, expected)


def test_tucker_contracts_its_core() -> None:
    scorer = small("tucker", relation_dim=3, batch_norm=False)
    core = scorer.core.detach().numpy()
    assert_scores(
        scorer,
        [np.einsum("rij,i,r,j", core, head, relation, tail) for head, relation, tail in facts_of(scorer)],
    )


@pytest.mark.parametrize("form", ["linear", "bilinear"])
def test_sme_combines_each_side_with_the_relation(form: str) -> None:
    scorer = small("sme", form=form)
    with torch.no_grad():
        scorer.head_bias.normal_()
        scorer.tail_bias.normal_()
    parts = {name: value.detach().numpy() for name, value in scorer.named_parameters()}

    def side(which: str, state: np.ndarray, relation: np.ndarray) -> np.ndarray:
        own, other = parts[f"{which}_map.weight"] @ state, parts[f"{which}_relation_map.weight"] @ relation
        return (own + other if form == "linear" else own * other) + parts[f"{which}_bias"]

    assert_scores(
        scorer,
        [side("head", head, relation) @ side("tail", tail, relation) for head, relation, tail in facts_of(scorer)],
    )


def test_ntn_is_a_network_with_a_tensor() -> None:
    scorer = small("ntn", slices=2)
    expected = []
    for head, relation, tail in facts_of(scorer):
        total = 0.0
        for one in relation.reshape(2, -1):
            u, b, of_head, of_tail, form = one[0], one[1], one[2:10], one[10:18], one[18:].reshape(8, 8)
            total += u * np.tanh(head @ form @ tail + of_head @ head + of_tail @ tail + b)
        expected.append(total)
    assert_scores(scorer, expected)


def test_conve_convolves_the_picture_of_head_and_relation() -> None:
    scorer = small("conve", channels=3)
    weights, bias = (value.detach().numpy() for value in (scorer.filters.weight, scorer.filters.bias))
    scale = 1 / np.sqrt(1 + 1e-5)  # fresh batch norms divide by the running variance, which is 1
    expected = []
    for head, relation, tail in facts_of(scorer):
        picture = np.concatenate([head[:8].reshape(2, 4), relation.reshape(2, 4)]) * scale
        maps = [
            [[np.sum(weights[f, 0] * picture[i : i + 3, j : j + 3]) + bias[f] for j in range(2)] for i in range(2)]
            for f in range(3)
        ]
        hidden = np.maximum(np.array(maps) * scale, 0).ravel()
        query = scorer.last.weight.detach().numpy() @ hidden + scorer.last.bias.detach().numpy()
        expected.append(np.maximum(query * scale, 0) @ tail[:8] + tail[8])
    assert_scores(scorer, expected)


def test_conv_transe_keeps_head_and_relation_aligned() -> None:
    scorer = small("conv-transe", channels=2, kernel=3)
    weights, bias = (value.detach().numpy() for value in (scorer.filters.weight, scorer.filters.bias))
    scale = 1 / np.sqrt(1 + 1e-5)
    expected = []
    for head, relation, tail in facts_of(scorer):
        rows = np.pad(np.stack([head, relation]) * scale, ((0, 0), (1, 1)))
        maps = [[np.sum(weights[f] * rows[:, j : j + 3]) + bias[f] for j in range(8)] for f in range(2)]
        hidden = np.maximum(np.array(maps) * scale, 0).ravel()
        query = scorer.last.weight.detach().numpy() @ hidden + scorer.last.bias.detach().numpy()
        expected.append(np.maximum(query * scale, 0) @ tail)
    assert_scores(scorer, expected)


def test_convkb_filters_three_columns() -> None:
    scorer = small("convkb", filters=3)
    filters, weights = scorer.filters.detach().numpy(), scorer.weights.detach().numpy()
    expected = [
        sum(weights[f] @ np.maximum(np.stack([head, relation, tail], 1) @ filters[f], 0) for f in range(3))
        for head, relation, tail in facts_of(scorer)
    ]
    assert_scores(scorer, expected)


def test_kg2e_by_divergence_and_by_likelihood_of_gaussians() -> None:
    from torch.distributions import Independent, Normal, kl_divergence

    for similarity in ("kl", "el"):
        scorer = small("kg2e", similarity=similarity)
        expected = []
        for fact in facts_of(scorer):
            (head, head_log), (relation, relation_log), (tail, tail_log) = (
                torch.as_tensor(vector).chunk(2) for vector in fact
            )
            variance = head_log.exp() + tail_log.exp()
            if similarity == "kl":
                pair = Independent(Normal(head - tail, variance.sqrt()), 1)
                expected.append(-kl_divergence(pair, Independent(Normal(relation, (relation_log / 2).exp()), 1)).item())
            else:
                both = Independent(Normal(head - tail - relation, (variance + relation_log.exp()).sqrt()), 1)
                expected.append((both.log_prob(torch.zeros(4)) + 2 * np.log(2 * np.pi)).item())
        assert_scores(scorer, expected)


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
