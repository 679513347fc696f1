"""Entities known by their texts and numbers: also those that no fact mentions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kg import KnowledgeGraph
from kg.embedding import FitConfig, Vectors, fit, rank
from kg.embedding.features import FeatureMap, encode_items, hashed_words, number_in, numeric_literals, texts_of
from kg.errors import InputError
from kg.literals import Literal

COLOURS = ("red", "green", "blue", "black")
SIZES = ("tiny", "small", "low", "flat", "broad", "long", "tall", "large", "huge", "vast")


def shelves() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Forty things stand on the shelf of their colour; a fact of each tenth is held out. Entities 40 to 43: shelves."""
    things = np.arange(40)
    facts = np.stack([things, np.zeros(40, int), 40 + things % 4], 1)
    texts = [f"a {COLOURS[thing % 4]} thing, {SIZES[thing % 10]}" for thing in things]
    return facts, things[::10] + np.arange(4), texts + [f"the {colour} shelf" for colour in COLOURS]


@pytest.mark.parametrize("mode", ["1vsall", "sampled", "negatives", "in-batch"])
def test_entities_without_a_fact_are_known_by_their_texts(mode: str) -> None:
    facts, unseen, texts = shelves()
    held = np.isin(facts[:, 0], unseen)
    settings = {"optimizer": "adam", "lr": 0.005, "batch": 16, "epochs": 80, "dim": 16, "n3": 0.0, "mode": mode}
    if mode == "in-batch":
        settings |= {"temperature": 0.1, "margin": 0.0}
    features = encode_items(texts, hashed_words(256))

    def hits(free: bool, numbers: np.ndarray | None) -> float:
        model = fit(facts[~held], 44, 1, FitConfig(free=free, **settings), features=numbers).model
        head, relation, tail = torch.as_tensor(facts[held]).unbind(1)
        with torch.no_grad():
            return (model.score_tails(head, relation)[:, 40:].argmax(1) + 40 == tail).double().mean().item()

    assert hits(free=False, numbers=features) == 1.0
    assert hits(free=True, numbers=None) < 1.0


def test_vectors_keep_what_the_features_gave(tmp_path: Path) -> None:
    facts, _, texts = shelves()
    config = FitConfig(dim=8, epochs=2, free=False)
    model = fit(facts, 44, 1, config, features=encode_items(texts, hashed_words(64))).model
    Vectors.from_model(model, config, keys=texts, relation_keys=["on"]).save(tmp_path / "v")
    restored = Vectors.load(tmp_path / "v").scorer()
    np.testing.assert_allclose(rank(restored, facts, facts).realistic, rank(model, facts, facts).realistic)


def test_a_fit_with_features_resumes_and_knows_its_features(tmp_path: Path) -> None:
    facts, _, texts = shelves()
    features = encode_items(texts, hashed_words(64))
    config = FitConfig(dim=8, epochs=4, free=False)
    whole = fit(facts, 44, 1, config, features=features)
    short = config.model_copy(update={"epochs": 2})
    fit(facts, 44, 1, short, features=features, checkpoint=tmp_path / "fit")
    resumed = fit(facts, 44, 1, config, features=features, checkpoint=tmp_path / "fit", resume=True)
    assert torch.equal(whole.model.states().entities, resumed.model.states().entities)
    with pytest.raises(InputError, match="holds a fit of other facts or settings"):
        fit(facts, 44, 1, config, features=features * 2, checkpoint=tmp_path / "fit", resume=True)


def test_features_and_entities_must_be_as_many() -> None:
    facts, _, _ = shelves()
    with pytest.raises(InputError, match="features: 3 rows for 44 entities"):
        fit(facts, 44, 1, FitConfig(dim=8), features=np.ones((3, 2)))
    with pytest.raises(InputError, match="free: without features, entities need free vectors"):
        fit(facts, 44, 1, FitConfig(dim=8, free=False))


@pytest.mark.parametrize(
    ("encode", "reason"),
    [
        (lambda items: np.ones((1, 2)), r"expected \(3, F\) numbers, the callable gave \(1, 2\)"),
        (lambda items: np.full((len(items), 2), np.nan), "of items 0 to 2 some are not finite"),
    ],
)
def test_a_callable_must_give_a_row_for_each_item(encode: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        encode_items(["a", "b", "c"], encode)


def test_batches_of_items_are_put_together() -> None:
    sizes: list[int] = []

    def encode(items: Sequence[int]) -> np.ndarray:
        sizes.append(len(items))
        return np.array(items)[:, None]

    assert encode_items(list(range(7)), encode, batch=3)[:, 0].tolist() == list(range(7))
    assert sizes == [3, 3, 1]


def test_columns_without_spread_are_harmless() -> None:
    made = FeatureMap(torch.tensor([[1.0, 5.0], [2.0, 5.0]]), 4)()
    assert made.isfinite().all()


@pytest.fixture
def kg() -> KnowledgeGraph:
    years = [(f"e{row}", Literal("born", str(1900 + row) + "-01-02")) for row in range(12)]
    heights = [(f"e{row}", Literal("height", f"{row % 3 + 1.5}")) for row in range(11)]
    rare = [("e0", Literal("shoe size", "42"))]
    facts = [(f"e{row}", "knows", f"e{(row + 1) % 13}") for row in range(13)]
    return KnowledgeGraph.from_triples(facts, labels={"e0": "Zero"}, literals=years + heights + rare)


def test_numeric_literals_are_ranks_and_presence(kg: KnowledgeGraph) -> None:
    numbers, predicates = numeric_literals(kg)
    assert predicates == ["born", "height"]
    rows = kg.entities.ids([f"e{row}" for row in range(13)])
    born, has_born, height, has_height = numbers[rows].T
    assert has_born.tolist() == [1] * 12 + [0]
    assert has_height.tolist() == [1] * 11 + [0, 0]
    assert (np.diff(born[:12]) > 0).all()
    assert -1 < born[0] < born[11] == 1
    assert len(set(height[:11].tolist())) == 3
    assert born[12] == 0


def test_numbers_and_years_are_read() -> None:
    assert number_in("-0044-03-15") == -44
    assert number_in("12") == 12
    assert np.isnan(number_in("inf"))
    assert np.isnan(number_in("12 km"))


def test_texts_are_labels_and_descriptions(kg: KnowledgeGraph) -> None:
    texts = texts_of(kg)
    assert texts[kg.entities.id("e0")] == "Zero"
