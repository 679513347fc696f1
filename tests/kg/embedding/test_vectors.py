"""Vectors on disk and their neighbours."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from kg.embedding import SCORERS, FitConfig, Vectors, fit
from kg.embedding.export import export
from kg.embedding.neighbors import NeighborIndex
from kg.embedding.projection import draw_projection, project
from kg.errors import InputError
from kg.storage import read_json, write_json
from tests.kg.embedding.contract import ENTITIES, RELATIONS, random_facts

KEYS = [f"http://example.org/{row}" for row in range(ENTITIES)]
LABELS = ["Zürich", "Bern", "Basel", "Genf", "Chur", "Thun", "Biel", "Sion", "Bern"]
OPTIONS = {"transe": {"distance": "l1"}}


def made(scorer: str = "complex", encoder: str = "none") -> Vectors:
    config = FitConfig(scorer=scorer, scorer_options=OPTIONS.get(scorer, {}), encoder=encoder, dim=8, epochs=2, batch=8)
    model = fit(random_facts(), ENTITIES, RELATIONS, config).model
    relations = [f"r{row}" for row in range(RELATIONS)]
    return Vectors.from_model(
        model, config, keys=KEYS, labels=LABELS, relation_keys=relations, graph="abc", figures={"mrr": 0.5}
    )


@pytest.mark.parametrize("scorer", sorted(SCORERS))
@pytest.mark.parametrize("encoder", ["none", "compgcn"])
def test_what_is_loaded_scores_as_what_was_saved(tmp_path: Path, scorer: str, encoder: str) -> None:
    config = FitConfig(scorer=scorer, scorer_options=OPTIONS.get(scorer, {}), encoder=encoder, dim=8, epochs=2, batch=8)
    model = fit(random_facts(), ENTITIES, RELATIONS, config).model
    relations = [f"r{row}" for row in range(RELATIONS)]
    Vectors.from_model(model, config, keys=KEYS, relation_keys=relations).save(tmp_path / "vectors")
    restored = Vectors.load(tmp_path / "vectors").scorer()
    head, relation = torch.arange(ENTITIES), torch.arange(ENTITIES) % (2 * RELATIONS)
    with torch.no_grad():
        assert torch.equal(restored.score_tails(head, relation), model.score_tails(head, relation))


def test_everything_comes_back(tmp_path: Path) -> None:
    vectors = made()
    vectors.save(tmp_path / "vectors")
    loaded = Vectors.load(tmp_path / "vectors")
    assert loaded.entities.dtype == np.float32
    np.testing.assert_array_equal(loaded.entities, vectors.entities)
    np.testing.assert_array_equal(loaded.relations, vectors.relations)
    for name in ("keys", "labels", "relation_keys", "config", "graph", "figures"):
        assert getattr(loaded, name) == getattr(vectors, name)
    names = {path.name for path in (tmp_path / "vectors").iterdir()}
    assert names == {"vectors.safetensors", "entities.arrow", "relations.arrow", "config.json"}


def test_vectors_are_a_copy_of_the_model() -> None:
    config = FitConfig(dim=8, epochs=1)
    model = fit(random_facts(), ENTITIES, RELATIONS, config).model
    vectors = Vectors.from_model(model, config, keys=KEYS, relation_keys=["a", "b", "c"])
    before = vectors.entities.copy()
    with torch.no_grad():
        model.entities.zero_()
    np.testing.assert_array_equal(vectors.entities, before)


def test_neighbors_are_those_of_the_cosine() -> None:
    vectors = made()
    unit = vectors.entities / np.linalg.norm(vectors.entities, axis=1, keepdims=True)
    similarity = unit @ unit[2]
    expected = [row for row in np.argsort(-similarity) if row != 2][:4]
    found = vectors.neighbors("basel", k=4)
    assert [neighbor.id for neighbor in found] == expected
    assert [neighbor.label for neighbor in found] == [LABELS[row] for row in expected]
    np.testing.assert_allclose([neighbor.similarity for neighbor in found], similarity[expected], rtol=1e-5)
    assert len(vectors.neighbors(KEYS[0], k=100)) == ENTITIES - 1


def test_entities_with_equal_vectors_are_still_neighbors() -> None:
    vectors = made()
    vectors.entities[:] = 1.0
    found = vectors.neighbors(3, k=5)
    assert len(found) == 5
    assert 3 not in {neighbor.id for neighbor in found}


def test_an_entity_is_found_by_key_and_by_label() -> None:
    vectors = made()
    assert vectors.id(KEYS[3]) == 3
    assert vectors.id("ZÜRICH") == 0
    assert vectors.id("Bern") == 1
    with pytest.raises(InputError, match="no entity is called 'Züric'; did you mean 'Zürich'"):
        vectors.id("Züric")
    with pytest.raises(InputError, match="there are 9 entities"):
        vectors.neighbors(9)


def test_missing_and_newer_and_broken_folders_are_told(tmp_path: Path) -> None:
    good = tmp_path / "good"
    made().save(good)
    with pytest.raises(InputError, match="no such folder of vectors"):
        Vectors.load(tmp_path / "none")
    for name in ("vectors.safetensors", "entities.arrow", "relations.arrow", "config.json"):
        broken = tmp_path / f"without-{name}"
        shutil.copytree(good, broken)
        (broken / name).unlink()
        with pytest.raises(InputError, match=rf"{name}: no such file"):
            Vectors.load(broken)
        (broken / name).write_bytes(b"nonsense")
        with pytest.raises(InputError, match=name):
            Vectors.load(broken)
    config = read_json(good / "config.json")
    write_json(good / "config.json", {**config, "format": 99})
    with pytest.raises(InputError, match="format 99, this version of kept reads up to 1"):
        Vectors.load(good)
    write_json(good / "config.json", {"something": "else"})
    with pytest.raises(InputError, match="not the configuration of entity vectors"):
        Vectors.load(good)


def test_tables_that_do_not_fit_the_names_are_told(tmp_path: Path) -> None:
    vectors = made()
    vectors.save(tmp_path / "vectors")
    other = Vectors(vectors.entities[:-1], vectors.relations, KEYS[:-1], LABELS[:-1], ["a", "b", "c"], vectors.config)
    other.save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "entities.arrow", tmp_path / "vectors" / "entities.arrow")
    with pytest.raises(InputError, match=r"does not fit entities\.arrow \(8 rows\)"):
        Vectors.load(tmp_path / "vectors")
    with pytest.raises(InputError, match="1 entities and 3 relations are named, the model has 9 and 3"):
        model = fit(random_facts(), ENTITIES, RELATIONS, FitConfig(dim=8, epochs=1)).model
        Vectors.from_model(model, FitConfig(dim=8), keys=["only"], relation_keys=["a", "b", "c"])


def spread(count: int = 3000, width: int = 16) -> np.ndarray:
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(40, width))
    return (centres[generator.integers(0, 40, count)] + 0.3 * generator.normal(size=(count, width))).astype(np.float32)


@pytest.mark.parametrize(("kind", "recall"), [("flat", 1.0), ("hnsw", 0.95), ("ivf-pq", 0.5)])
def test_each_kind_of_index_finds_near_ones(kind: str, recall: float) -> None:
    vectors = spread()
    labels = [str(row) for row in range(len(vectors))]
    index = NeighborIndex(vectors, labels, kind=kind)
    lengths = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = 0
    for row in range(0, 200, 10):
        nearest = set(np.argsort(-(lengths @ lengths[row]))[1:11].tolist())
        near = index.neighbors(row, 10)
        assert row not in {neighbor.id for neighbor in near}
        found += len(nearest & {neighbor.id for neighbor in near})
    assert found / 200 >= recall
    assert index.kind == kind


def test_an_unknown_kind_of_index_is_named() -> None:
    with pytest.raises(InputError, match="index: no kind is called 'flt'; did you mean 'flat'"):
        NeighborIndex(spread(10), ["x"] * 10, kind="flt")


@pytest.mark.parametrize("scorer", sorted(SCORERS))
@pytest.mark.parametrize("inverse", [False, True])
def test_answers_are_the_best_scores(scorer: str, inverse: bool) -> None:
    vectors = made(scorer)
    asked = vectors.answers(3, 1, 4, inverse=inverse)
    with torch.no_grad():
        model, one = vectors.scorer(), torch.tensor([3])
        scores = (model.score_heads if inverse else model.score_tails)(
            *((torch.tensor([1]), one) if inverse else (one, torch.tensor([1])))
        )[0]
    values, rows = scores.topk(4)
    assert [answer.id for answer in asked] == rows.tolist()
    np.testing.assert_allclose([answer.similarity for answer in asked], values, rtol=1e-4, atol=1e-5)


def test_relations_are_found_by_the_end_of_their_key() -> None:
    vectors = dataclasses.replace(
        made(), relation_keys=["http://a.org/p#knows", "http://a.org/x/of", "http://b.org/of"]
    )
    assert vectors.relation_id("knows") == 0
    assert vectors.relation_id("http://b.org/of") == 2
    with pytest.raises(InputError, match="several relations end so: 'of'"):
        vectors.relation_id("of")
    with pytest.raises(InputError, match="no relation is called or ends so: 'know'"):
        vectors.relation_id("know")


def test_projection_keeps_the_directions_of_greatest_variance() -> None:
    vectors = spread(500)
    points, shares = project(vectors)
    centred = vectors - vectors.mean(0)
    singular = np.linalg.svd(centred, compute_uv=False) ** 2
    np.testing.assert_allclose((points**2).sum(0), singular[:2], rtol=1e-4)
    np.testing.assert_allclose(shares, singular[:2] / singular.sum(), rtol=1e-4)


def test_the_picture_names_its_types_and_repeats(tmp_path: Path) -> None:
    kinds = [("town", "river", None)[row % 3] for row in range(60)]
    first, second = (
        draw_projection(spread(60), tmp_path / f"{name}.svg", kinds=kinds, title="all of it").read_bytes()
        for name in "ab"
    )
    assert first == second
    for text in ("town (20)", "river (20)", "no type (20)", "all of it", "of the variance"):
        assert text in first.decode()
    with pytest.raises(InputError, match="pictures are written as"):
        draw_projection(spread(60), tmp_path / "a.bmp")
    with pytest.raises(InputError, match="a picture needs two vectors"):
        draw_projection(spread(1), tmp_path / "one.png")


def test_exports_can_be_read_back(tmp_path: Path) -> None:
    vectors = made()
    lines = export(vectors, tmp_path / "vectors.txt", "word2vec").read_text().splitlines()
    assert lines[0] == f"{ENTITIES} 8"
    key, *numbers = lines[4].split(" ")
    assert key == KEYS[3]
    np.testing.assert_allclose([float(number) for number in numbers], vectors.entities[3], rtol=1e-5)
    folder = export(vectors, tmp_path / "arrays", "numpy")
    np.testing.assert_array_equal(np.load(folder / "entities.npy"), vectors.entities)
    assert (folder / "relations.txt").read_text().split() == vectors.relation_keys
    data = vectors.to_pyg()
    assert data.num_nodes == ENTITIES
    assert data.relation_x.shape == vectors.relations.shape
    with pytest.raises(InputError, match="already there"):
        export(vectors, tmp_path / "arrays", "numpy")
    with pytest.raises(InputError, match="no format is called 'word2vek'; did you mean 'word2vec'"):
        export(vectors, tmp_path / "other", "word2vek")
