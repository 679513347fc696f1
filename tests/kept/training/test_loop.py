"""The loop: exact accumulation, resume bit for bit, losses that are no numbers, curves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from kept.data.batch import Batch
from kept.modeling.model import KeptModel
from kept.objectives import Context, Forward, Loss, Objective, Term, View
from kept.training.loop import Settings, Task, Trainer
from kg.errors import InputError
from tests.kept import tiny
from tests.kept.training.stage import SOURCE, assert_close, assert_equal, trainer, weights


class Killed(Exception):
    """What stops a run in these tests."""


def kill_after(step: int) -> Any:
    def on_step(done: int) -> None:
        if done == step:
            raise Killed

    return on_step


def gradients_of_a_step(**settings: Any) -> dict[str, Tensor]:
    """The gradients of the first step, not clipped."""
    given = trainer(steps=1, clip=1e9, **settings)
    given.train_step()
    return {name: parameter.grad.clone() for name, parameter in given.parameters if parameter.grad is not None}


@pytest.mark.parametrize("micro", [1, 2, 5])
def test_accumulated_micro_batches_equal_one_big_batch(micro: int) -> None:
    """Micro-batches of unlike counts, some without any target for some terms: the step is the same."""
    whole = len(tiny.RECORDS)
    big = gradients_of_a_step(batch=whole)
    small = gradients_of_a_step(batch=micro, accumulate=whole // micro)
    assert_close(small, big, atol=1e-6)


def test_the_loss_is_the_mean_over_all_targets_of_the_step() -> None:
    given = trainer(("mlm",), batch=5, accumulate=2, steps=1)
    prepared = [view for micro in range(2) for batch in given._prepare(micro) for _, view in batch.views]
    terms = [given.tasks["mlm"].objective.loss(view, Forward(given.model)) for view in prepared]
    expected = {
        name: sum(term[name].sum.item() for term in terms) / sum(term[name].count or 0 for term in terms)
        for name in ("mlm", "names")
    }
    given.train_step()
    assert {row["term"]: row["value"] for row in given.curves} == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("killed_at", [1, 3, 4])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    tmp_path: Path, dropout: float, optimizer: str, killed_at: int
) -> None:
    def run(name: str) -> Trainer:
        return trainer(folder=tmp_path / name, model=tiny.model(dropout=dropout), optimizer=optimizer)

    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole, killed, resumed = run("whole"), run("killed"), run("killed")
    whole.run()
    with pytest.raises(Killed):
        killed.run(on_step=kill_after(killed_at))
    torch.manual_seed(99)
    steps: list[int] = []
    resumed.run(on_step=steps.append)
    assert steps[0] == killed_at - killed_at % 2 + 1 if killed_at % 2 else steps[0] == killed_at - 1
    assert_equal(weights(resumed.model), weights(whole.model))
    assert resumed.curves == whole.curves
    read = (tmp_path / "killed" / "curves.jsonl").read_text()
    assert read == (tmp_path / "whole" / "curves.jsonl").read_text()
    assert [json.loads(line)["step"] for line in read.splitlines()] == sorted(row["step"] for row in whole.curves)


def test_curves_ahead_of_the_checkpoint_are_dropped(tmp_path: Path) -> None:
    first = trainer(folder=tmp_path, steps=2)
    first.run()
    curves = tmp_path / "curves.jsonl"
    ahead = {"stage": "train", "step": 3, "term": "mlm", "value": 1.0, "baseline": None, "floor": 0.0}
    curves.write_text(curves.read_text() + json.dumps(ahead) + "\n")
    second = trainer(folder=tmp_path, steps=2)
    second.restore()
    assert second.step == 2
    assert {row["step"] for row in second.curves} == {1, 2}


def test_a_finished_run_is_not_run_again(tmp_path: Path) -> None:
    trainer(folder=tmp_path).run()
    again = trainer(folder=tmp_path)
    steps: list[int] = []
    again.run(on_step=steps.append)
    assert steps == []


def test_curves_stand_beside_baseline_and_floor() -> None:
    given = trainer(steps=3, log_every=2)
    given.run()
    assert {row["step"] for row in given.curves} == {1, 2, 3}
    rows = {row["term"]: row for row in given.curves}
    assert set(rows) == {"mlm", "names", "mep/operator", "mep/linear", "gate", "itm"}
    for row in rows.values():
        assert set(row) == {"stage", "step", "term", "value", "baseline", "floor"}
        assert row["baseline"] >= row["floor"] == 0.0


def test_frozen_parts_stay_as_they_are() -> None:
    frozen = ("towers.image", "knowledge.decoders.linear")
    given = trainer(freeze=frozen)
    before = weights(given.model)
    given.run()
    for name, value in weights(given.model).items():
        assert torch.equal(value, before[name]) or not name.startswith(frozen), name
    assert not torch.equal(weights(given.model)["norm.weight"], before["norm.weight"])


class Explodes(Objective):
    """Is fine for some steps, and then no number."""

    parts = ("it",)

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at, self.step = at, 0

    def prepare(self, batch: Batch, context: Context) -> View:
        return View("it", batch, {}, {"it": len(batch)})

    def loss(self, view: View, forward: Forward) -> Loss:
        factor = float("nan") if self.step == self.at else 1.0
        return {"it": Term(forward(view).summary.sum() * factor, len(view.batch))}

    def after_step(self, model: KeptModel) -> None:
        self.step += 1


def exploding(folder: Path | None, at: int) -> Trainer:
    settings = Settings(steps=9, batch={SOURCE: 4}, save_every=2, rates={"default": 0.5}, warm_up=0.5)
    tasks = {"it": Task(Explodes(at), (SOURCE,))}
    return Trainer(tiny.model(), tasks, {SOURCE: tiny.corpus()}, tiny.context, settings, stage="facts", folder=folder)


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    given = exploding(tmp_path, at=3)
    with pytest.raises(InputError) as caught:
        given.run()
    # The fourth of four rising steps is at the full rate.
    expected = "stage facts: the loss is nan at step 4 with learning rate 0.5; the last checkpoint is in"
    assert str(caught.value) == f"{expected} {tmp_path}"
    kept = exploding(tmp_path, at=99)
    kept.restore()
    assert kept.step == 2
    assert all(value.isfinite().all() for value in weights(kept.model).values())


def test_no_checkpoint_is_promised_where_there_is_none(tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        with pytest.raises(InputError, match=r"at step 1 with learning rate 0.125$"):
            exploding(folder, at=0).run()


class OfTheStep(Explodes):
    """A penalty that belongs to a step, not to its records."""

    def loss(self, view: View, forward: Forward) -> Loss:
        return {"penalty": Term(forward.model.norm.weight.sum(), None, weight=3.0)}


def test_a_term_of_the_step_is_added_once() -> None:
    settings = Settings(steps=1, batch={SOURCE: 2}, accumulate=5, clip=1e9)
    tasks = {"penalty": Task(OfTheStep(at=-1), (SOURCE,))}
    given = Trainer(tiny.model(), tasks, {SOURCE: tiny.corpus()}, tiny.context, settings)
    given.train_step()
    assert torch.equal(given.model.norm.weight.grad, torch.full((tiny.WIDTH,), 3.0))


def test_mistakes_are_named_before_anything_is_trained() -> None:
    for settings, message in (
        ({"freeze": ("tower",)}, "stage train: freeze: no part of the model is called 'tower'; did you mean 'towers'"),
        ({"rates": {"default": 1.0, "norms": 2.0}}, "stage train: rates: no part of the model is called 'norms'"),
    ):
        with pytest.raises(InputError, match=message):
            trainer(**settings)


def test_one_objective_at_a_time_in_its_share() -> None:
    given = trainer(("mlm", "itm", "itc"), steps=900, mix="one")
    given.tasks = {
        name: replace(task, share=share) for (name, task), share in zip(given.tasks.items(), (4, 1, 1), strict=True)
    }
    drawn = []
    for given.step in range(900):
        drawn += list(given.active())
    shares = {name: drawn.count(name) / 900 for name in given.tasks}
    assert len(drawn) == 900
    assert shares["mlm"] == pytest.approx(4 / 6, abs=0.05)
    assert shares["itm"] == pytest.approx(1 / 6, abs=0.05)


def test_an_objective_waits_for_its_start_and_rises(tmp_path: Path) -> None:
    given = trainer(("mlm", "itm"), steps=10)
    given.tasks["itm"] = replace(given.tasks["itm"], start=0.5, stop=0.9, ramp=0.2)
    active = []
    for given.step in range(10):
        active.append("itm" in given.active())
    assert active == [False] * 5 + [True] * 4 + [False]
    assert [given.tasks["itm"].factor(step, 10) for step in (4, 5, 6, 7)] == pytest.approx([0.0, 0.5, 1.0, 1.0])


@pytest.mark.parametrize("settings", [{"checkpointing": True}, {"precision": "bfloat16"}])
def test_checkpointing_changes_nothing_and_bfloat16_little(settings: dict[str, object]) -> None:
    plain, other = trainer(("mlm", "itc"), steps=2), trainer(("mlm", "itc"), steps=2, **settings)
    for each in (plain, other):
        each.run()
    tolerance = 1e-5 if "checkpointing" in settings else 0.05
    assert_close(weights(other.model), weights(plain.model), atol=tolerance)
