"""Fitting: repeatable, resumable, stopped in time, and clear about what goes wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kg.embedding import FitConfig, FitResult, fit, rank
from kg.errors import InputError
from kg.storage import read_json
from tests.kg.embedding.contract import ENTITIES, RELATIONS, random_facts


def fitted(config: FitConfig | None = None, **more: Any) -> FitResult:
    return fit(random_facts(), ENTITIES, RELATIONS, config or FitConfig(dim=8, epochs=4, batch=8), **more)


def tables(result: FitResult) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in result.model.state_dict().items()}


def assert_same(first: FitResult, second: FitResult) -> None:
    assert all(torch.equal(a, b) for a, b in zip(tables(first).values(), tables(second).values(), strict=True))
    assert [row["loss"] for row in first.history] == [row["loss"] for row in second.history]


def test_it_learns_all_facts_of_a_small_graph() -> None:
    result = fitted(FitConfig(dim=32, epochs=60, batch=8))
    assert rank(result.model, random_facts(), random_facts()).mrr() > 0.98
    assert result.stopped == "epochs"
    assert not result.model.training


def test_equal_seeds_repeat_bit_for_bit_and_others_differ() -> None:
    config = FitConfig(dim=8, epochs=3, batch=8, dropout=0.2)
    assert_same(fitted(config), fitted(config))
    other = fitted(config.model_copy(update={"seed": 1}))
    assert not torch.equal(other.model.entities, fitted(config).model.entities)


def test_the_callers_random_numbers_are_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fitted()
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"optimizer": "adam", "lr": 0.01},
        {"scorer": "transe", "negatives": 4},
        {"encoder": "compgcn", "dropout": 0.1},
        {"scorer": "tucker", "average": 0.9},
    ],
    ids=["adagrad", "adam", "sparse", "gnn", "averaged"],
)
def test_an_interrupted_fit_goes_on_as_if_nothing_had_happened(tmp_path: Path, settings: dict[str, Any]) -> None:
    config = FitConfig(**{"dim": 8, "epochs": 6, "batch": 8, "valid_every": 2, **settings})
    whole = fitted(config, valid=random_facts()[:4])

    class Killed(Exception):
        pass

    def kill(row: dict[str, float]) -> None:
        if row["epoch"] == 4:
            raise Killed

    place = tmp_path / "fit"
    fitted(config.model_copy(update={"epochs": 3}), valid=random_facts()[:4], checkpoint=place)
    with pytest.raises(Killed):
        fitted(config, valid=random_facts()[:4], checkpoint=place, resume=True, on_epoch=kill)
    resumed = fitted(config, valid=random_facts()[:4], checkpoint=place, resume=True)
    assert_same(whole, resumed)
    assert resumed.best_epoch == whole.best_epoch


def test_a_checkpoint_holds_no_pickle(tmp_path: Path) -> None:
    fitted(checkpoint=tmp_path / "fit", valid=random_facts()[:4])
    names = {path.name for path in (tmp_path / "fit").iterdir()}
    tensors = {f"{name}.safetensors" for name in ("model", "optimizer", "best", "average")}
    assert names == {*tensors, "state.json"}


def test_without_resume_a_fit_starts_anew(tmp_path: Path) -> None:
    fitted(checkpoint=tmp_path / "fit")
    assert len(fitted(checkpoint=tmp_path / "fit").history) == 4


def test_a_checkpoint_of_another_fit_is_refused(tmp_path: Path) -> None:
    fitted(checkpoint=tmp_path / "fit")
    with pytest.raises(InputError, match="another --out"):
        fitted(FitConfig(dim=8, epochs=4, batch=8, seed=1), checkpoint=tmp_path / "fit", resume=True)


def test_a_broken_checkpoint_is_named(tmp_path: Path) -> None:
    fitted(checkpoint=tmp_path / "fit")
    (tmp_path / "fit" / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(InputError, match=r"model\.safetensors: not a safetensors file"):
        fitted(checkpoint=tmp_path / "fit", resume=True)


def test_a_loss_that_is_not_finite_stops_with_step_and_rate(tmp_path: Path) -> None:
    place = tmp_path / "fit"
    good = FitConfig(dim=8, epochs=2, batch=8, lr=1e20)

    def run(epochs: int, resume: bool) -> None:
        config = good.model_copy(update={"epochs": epochs})
        fitted(config, checkpoint=place, resume=resume)

    with pytest.raises(InputError, match=r"not finite at step \d+ with learning rate 1e\+20"):
        run(50, resume=False)


def test_the_last_good_checkpoint_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "fit"
    fitted(FitConfig(dim=8, epochs=2, batch=8), checkpoint=place)
    before = read_json(place / "state.json")
    original = torch.Tensor.backward

    def poison(loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        original(loss * float("nan"), *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "backward", poison)
    with pytest.raises(InputError, match="the last good checkpoint stays"):
        fitted(FitConfig(dim=8, epochs=9, batch=8), checkpoint=place, resume=True)
    assert read_json(place / "state.json") == before


def test_it_stops_when_validation_gets_no_better_and_keeps_the_best() -> None:
    valid = np.array([[0, 0, 5], [3, 1, 2], [7, 2, 7]])
    config = FitConfig(dim=16, epochs=300, batch=8, valid_every=1, patience=3)
    result = fitted(config, valid=valid)
    scores = [row["valid_mrr"] for row in result.history]
    assert result.stopped == "patience"
    assert result.best_epoch == 1 + int(np.argmax(scores)) == len(scores) - 3
    everything = np.concatenate([random_facts(), valid])
    assert rank(result.model, valid, everything).mrr() == pytest.approx(max(scores))


def test_it_stops_in_time() -> None:
    result = fitted(FitConfig(dim=8, epochs=100_000, batch=1, minutes=0.01))
    assert result.stopped == "minutes"
    assert result.history[-1]["seconds"] < 5


@pytest.mark.parametrize(
    ("triples", "message"),
    [
        (np.empty((0, 3), int), "no facts"),
        (np.array([[0, 0]]), r"expected \(T, 3\)"),
        (np.array([[0, 0, ENTITIES]]), "ids must lie below"),
        (np.array([[0, -1, 0]]), "ids must lie below"),
    ],
)
def test_bad_facts_are_told(triples: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit(triples, ENTITIES, RELATIONS)


def test_a_relation_unseen_in_training_is_told() -> None:
    with pytest.raises(InputError, match="no training fact has the relation with id 2"):
        fit(np.array([[0, 0, 1]]), ENTITIES, RELATIONS, valid=np.array([[0, 2, 1]]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scorer_options": {"distance": "l1"}}, "scorer_options.distance: ComplEx has no such option"),
        ({"encoder": "rgcn", "encoder_options": {"base": 3}}, "encoder_options.base: .* did you mean 'bases'"),
        ({"mode": "1vsal"}, "no training mode is called '1vsal'; did you mean '1vsall'"),
        ({"scorer": "transe", "sampler": "unifrom"}, "did you mean 'uniform'"),
        ({"device": "abacus"}, "no such device"),
    ],
)
def test_options_that_do_not_exist_are_told(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        fitted(FitConfig(dim=8, epochs=1, **settings))


@pytest.mark.parametrize("settings", [{"mode": "sampled", "shared": 4}, {"mode": "negatives", "optimizer": "adam"}])
def test_mapped_tables_change_nothing_but_where_they_lie(tmp_path: Path, settings: dict[str, Any]) -> None:
    config = FitConfig(dim=8, epochs=4, batch=8, **settings)
    held, mapped = fitted(config), fitted(config, tables=tmp_path / "tables")
    assert_same(held, mapped)
    names = {"entities"} | ({"mean", "square"} if "optimizer" in settings else {"sum"})
    assert {path.stem for path in (tmp_path / "tables").iterdir()} == names
    on_disk = np.fromfile(tmp_path / "tables" / "entities.bin", np.float32).reshape(ENTITIES, 8)
    np.testing.assert_array_equal(on_disk, mapped.model.entities.detach())
    short = config.model_copy(update={"epochs": 2})
    places = {"tables": tmp_path / "tables", "checkpoint": tmp_path / "fit"}
    fitted(short, **places)
    assert_same(held, fitted(config, resume=True, **places))


def test_tables_that_lie_in_files_are_not_averaged(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="average: weights whose tables lie in files"):
        fitted(FitConfig(dim=8, epochs=1, mode="sampled", shared=4, average=0.9), tables=tmp_path / "tables")


def test_tables_without_a_place_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file"):
        fitted(tables=tmp_path / "file" / "tables")
