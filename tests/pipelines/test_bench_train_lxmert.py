"""The bench of LXMERT's training step: both train the same losses from the same weights, on the same pairs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pipelines.bench import train, train_engines, train_pairs
from pipelines.bench.train_lxmert import ARMS, Trainer, lxmert_shaped, step_flops
from pipelines.bench.train_lxmert_weights import counterparts
from pipelines.bench.train_pairs import LONGEST, REGIONS, PairBatches, prepare
from pipelines.bench.train_sentences import IGNORE, POOL
from pipelines.bench.train_text import Arm
from pipelines.cli import app

SHAPE = train_pairs.SHAPE | {
    "vocab_size": 300,
    "hidden_size": 12,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 24,
    "l_layers": 2,
    "r_layers": 1,
    "visual_feat_dim": 10,
    "num_object_labels": 9,
    "num_attr_labels": 5,
    "num_qa_labels": 7,
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pairs")
    prepare(place, 3, 0.0, 0, SHAPE)
    return place


def trainers(files: Path, count: int) -> list[Trainer]:
    """Both, without the norm that only ours has behind the last layer, and with theirs' least variance."""
    both = [Trainer(files, Arm(system), count, "cpu") for system in ("transformers", "kept")]
    both[1].modules[0].norm = torch.nn.Identity()
    for trainer in both:
        for module in trainer.modules[0].modules():
            if isinstance(module, torch.nn.LayerNorm):
                module.eps = 1e-12
    return both


def test_both_have_the_same_loss_and_take_the_same_step(files: Path) -> None:
    after = []
    for trainer in trainers(files, 3):
        losses = [trainer.loss(number).item() for number in range(3)]
        for _ in range(4):
            for number in range(3):
                trainer.step(number)
        after.append(losses + [trainer.loss(number).item() for number in range(3)])
    torch.testing.assert_close(torch.tensor(after[0]), torch.tensor(after[1]), rtol=2e-4, atol=0.0)
    assert all(trained < begun for begun, trained in zip(after[0][:3], after[0][3:], strict=True))


def test_both_have_the_same_gradients_where_both_have_a_weight(files: Path) -> None:
    theirs, ours = trainers(files, 1)
    for trainer in (theirs, ours):
        trainer.loss(0).backward()
    given = dict(theirs.modules[0].named_parameters())
    model = ours.modules[0]
    met = set()
    for name, names in counterparts(model):
        expected, found = torch.cat([given[one].grad for one in names]), model.get_parameter(name).grad
        met |= {*names}
        if name.startswith("pieces.norm"):
            found = found / model.pieces.scale
        if name in {"towers.text.positions.weight", "towers.text.types.weight"}:
            # Theirs leaves row 0 of these tables as it was drawn.
            expected, found = expected[1:], found[1:]
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
    assert set(given) - met == {"lxmert.pooler.dense.weight", "lxmert.pooler.dense.bias"}


def test_pairs_have_what_lxmert_reads(files: Path) -> None:
    batches = PairBatches.read(files, False, POOL)
    assert sorted(np.concatenate(batches.rows)) == list(range(3 * POOL))
    ids, mask, labels, boxes, features, hidden, *_, matched, answers = batches.tensors(2, "cpu")
    units = batches.units(2)
    assert (mask.sum(), (labels != IGNORE).sum(), hidden.sum()) == (units["tokens"], units["masked"], units["hidden"])
    assert ids.shape[1] == mask.sum(1).max() <= LONGEST
    assert (ids[:, 0] == train_pairs.CLS).all()
    assert not ids[~mask].any()
    assert (labels[~mask] == IGNORE).all()
    assert (boxes[..., 2:] >= boxes[..., :2]).all()
    assert features.shape == (3, REGIONS, 10)
    assert ((answers == IGNORE) == (matched == 0)).all()


def test_operations_are_those_of_the_matrices() -> None:
    none = {"pairs": 0.0, "tokens": 0.0, "masked": 0.0, "squares": 0.0, "hidden": 0.0}
    shape = {**SHAPE, "type_vocab_size": 2, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = lxmert_shaped(shape)

    def weights(*parts: str) -> int:
        modules = (module for part in parts for module in model.get_submodule(part).modules())
        return sum(module.weight.numel() for module in modules if isinstance(module, torch.nn.Linear))

    blocks = [f"blocks.{index}" for index in range(2)]
    kinds = {kind: [f"{block}.{part}.{kind}" for block in blocks for part in PARTS] for kind in ("text", "regions")}
    # One more piece of each text goes through its own layers, and is looked at by every region and looks at each.
    looked = 12 * 12 * 2 * 2 * REGIONS
    assert step_flops(shape, {**none, "tokens": 1}) == 6 * weights("towers.text.encoder", *kinds["text"]) + looked
    head = model.get_submodule("heads.regions")
    asked = sum(module.weight.numel() for module in head.modules() if isinstance(module, torch.nn.Linear))
    assert step_flops(shape, {**none, "hidden": 1}) == 6 * asked
    assert step_flops(shape, {**none, "masked": 1}) == 6 * (12 * 12 + 12 * 300)
    regions = 6 * weights("towers.regions.encoder", *kinds["regions"]) + 4 * 12 * 10
    summary = 12 * 12 + weights("heads.answers", "match")
    seen = 12 * 12 * (1 + 2) * REGIONS**2
    assert step_flops(shape, {**none, "pairs": 1}) == REGIONS * regions + 6 * summary + seen


PARTS = ("crosses", "selves", "feed_forwards")


def here(arguments: Sequence[str], threads: int) -> Any:
    return train_engines.measured(arguments)


def test_a_table_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "engine", here)
    monkeypatch.setattr(prepare, "__defaults__", (SHAPE,))
    few = ["--pairs", "2", "--batches", "2", "--rounds", "2", "--out", str(tmp_path), "--json"]
    ran = CliRunner().invoke(app, ["bench", "train", "--task", "lxmert", *few])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert found["failed"] == {}
    rows = {(row["arm"], row["metric"]): row["value"] for row in found["rows"]}
    assert {arm for arm, _ in rows} == set(ARMS)
    assert {row["split"] for row in found["rows"]} == {
        "LXMERT, 2 batches of 2 texts with regions, 2 + 1 + 2 layers of 12"
    }
    assert rows["transformers LXMERT", "ratio"] == pytest.approx(1.0)
    assert rows["kept LXMERT", "loss"] == pytest.approx(rows["transformers LXMERT", "loss"], rel=1e-4)
    for arm in ARMS:
        assert all(rows[arm, metric] > 0 for metric in ("per second", "per core-second", "ratio", "memory"))
    assert (tmp_path / "results.json").is_file()


def test_a_table_says_what_it_counts() -> None:
    runs = {
        name: {
            "units": [{"pairs": 4.0, "tokens": 30.0, "places": 40.0}],
            "wall": [[seconds]],
            "cpu": [[2 * seconds]],
            "loss": 1.0,
        }
        for name, seconds in (("transformers LXMERT", 2.0), ("kept LXMERT", 1.0))
    }
    rows, failed = train.figures_of("lxmert", "LXMERT", {**runs, "kept LXMERT bfloat16": {"failed": "no memory"}})
    text = train.tables("lxmert", rows, failed)
    assert "| pairs a second | pairs a core-second |" in text
    assert "kept LXMERT bfloat16: not measured (no memory)" in text
    values = {(row.arm, row.metric): row.value for row in rows}
    assert values["kept LXMERT", "per second"] == 4.0
    assert values["kept LXMERT", "ratio"] == values["kept LXMERT", "ratio a core-second"] == 2.0
    assert values["kept LXMERT", "padding efficiency"] == 0.75
