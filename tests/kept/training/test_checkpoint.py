"""Checkpoints: everything there, and one clear line where it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kg.errors import InputError
from tests.kept import tiny
from tests.kept.training.stage import assert_equal, trainer, weights


def test_weights_moments_and_random_numbers_come_back(tmp_path: Path) -> None:
    saved = trainer(folder=tmp_path, steps=2)
    saved.run()
    following = torch.rand(3)
    torch.manual_seed(5)
    restored = trainer(folder=tmp_path, steps=2, model=tiny.model(seed=8))
    restored.restore()
    assert torch.equal(torch.rand(3), following)
    assert_equal(weights(restored.model), weights(saved.model))
    one, two = restored.optimizer.state_dict()["state"], saved.optimizer.state_dict()["state"]
    assert set(one) == set(two)
    for number, moments in two.items():
        assert_equal(one[number], moments)


def test_a_checkpoint_holds_no_pickle(tmp_path: Path) -> None:
    trainer(folder=tmp_path, steps=2).run()
    names = sorted(path.name for path in (tmp_path / "checkpoint").iterdir())
    assert names == ["progress.json", "state.safetensors"]


def edit(change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "progress.json"
        progress = json.loads(path.read_text())
        changed = change(progress)
        path.write_text(json.dumps(changed if changed is not None else progress))

    return apply


def cut(folder: Path) -> None:
    path = folder / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-50])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (edit(lambda progress: progress.update(format=99)), "checkpoint format 99, this version reads 1"),
        (edit(lambda progress: []), "checkpoint format None, this version reads 1"),
        (edit(lambda progress: progress.update(stage="other")), "a checkpoint of stage 'other', not of 'train'"),
        (lambda folder: (folder / "progress.json").write_text("{"), "progress.json: not valid JSON"),
        (lambda folder: (folder / "progress.json").unlink(), "progress.json: no such file"),
        (lambda folder: (folder / "state.safetensors").unlink(), "state.safetensors: cannot be read"),
        (cut, "state.safetensors: cannot be read"),
    ],
)
def test_a_broken_checkpoint_is_told_in_one_line(damage: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    trainer(folder=tmp_path, steps=2).run()
    damage(tmp_path / "checkpoint")
    with pytest.raises(InputError, match=message) as caught:
        trainer(folder=tmp_path, steps=2).restore()
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    trainer(("mlm",), folder=tmp_path, steps=2).run()
    for other, message in (
        (trainer(("mlm",), folder=tmp_path, model=tiny.model(layers=3)), r"another model \(model.blocks.2"),
        (trainer(("mlm",), folder=tmp_path, model=tiny.model(hidden=40)), r"another model \(model.blocks.0"),
        (trainer(("mlm",), folder=tmp_path, model=tiny.model(knowledge=False)), r"another model \(model.knowledge"),
        (trainer(("mlm",), folder=tmp_path, freeze=("towers",)), "of other settings"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            other.restore()
        assert "\n" not in str(caught.value)
