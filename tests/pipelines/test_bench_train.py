"""The bench of training runs every arm on the same numbers, and says what is wrong with what it is given."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from kept.data.tokenizer import train_tokenizer
from kg.errors import InputError
from pipelines.bench import train, train_engines, train_text
from pipelines.bench.train_sentences import IGNORE, Batches, prepare, read_sentences
from pipelines.bench.train_text import ARMS, YARDSTICK, Arm, Trainer, step_flops
from pipelines.cli import app

WORDS = ("red", "green", "blue", "tall", "small", "house", "tree", "river", "stands", "falls", "near")
GENERATOR = np.random.default_rng(0)
SENTENCES = [" ".join(GENERATOR.choice(WORDS, GENERATOR.integers(3, 20)).tolist()) for _ in range(60)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sentences, and a tiny BERT with its tokenizer."""
    from transformers import BertConfig, BertForMaskedLM

    place = tmp_path_factory.mktemp("bench")
    (place / "text.txt").write_text("\n".join(SENTENCES))
    tokenizer = train_tokenizer(SENTENCES, 60)
    tokenizer.save_pretrained(str(place / "bert"))
    shape: dict[str, Any] = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), intermediate_size=12, **shape))
    model.save_pretrained(str(place / "bert"))
    prepare(place / "text.txt", place / "bert", place, batch=3, dropout=0.0, seed=0)
    return place


def test_all_arms_have_the_same_loss_and_take_the_same_step(files: Path) -> None:
    for buckets in (False, True):
        after = []
        for system in ("transformers", "kept"):
            trainer = Trainer(files, Arm(system, buckets=buckets), 4, "cpu")
            losses = [trainer.loss(number).item() for number in range(4)]
            for number in range(4):
                trainer.step(number)
            after.append(losses + [trainer.loss(number).item() for number in range(4)])
        torch.testing.assert_close(torch.tensor(after[0]), torch.tensor(after[1]), rtol=1e-4, atol=0.0)


def test_buckets_hold_the_same_sentences_with_less_padding(files: Path) -> None:
    mixed, buckets = (Batches.read(files, kind, 16) for kind in (False, True))
    assert sorted(np.concatenate(mixed.rows)) == sorted(np.concatenate(buckets.rows)) == list(range(48))
    places = [sum(one.units(number)["places"] for number in range(16)) for one in (mixed, buckets)]
    assert places[1] < places[0]
    ids, mask, labels = buckets.tensors(15, "cpu")
    units = buckets.units(15)
    assert (mask.sum(), mask.numel(), (labels != IGNORE).sum()) == (units["tokens"], units["places"], units["masked"])
    assert not ids[~mask].any()
    assert len(Batches.read(files, True, 3).rows) == 3


def test_losses_that_differ_stop_the_bench(files: Path) -> None:
    one, other = (Trainer(files, Arm(system), 2, "cpu") for system in ("transformers", "kept"))
    other.modules[1].bias.data[:5] += 1
    with pytest.raises(ArithmeticError, match="the losses do not agree"):
        train_engines.agreed({"one": one, "other": other})


def test_operations_are_those_of_the_matrices(files: Path) -> None:
    trainer = Trainer(files, Arm("kept"), 2, "cpu")
    tower, head = trainer.modules
    layers = [module for module in tower.encoder.modules() if isinstance(module, torch.nn.Linear)]
    assert step_flops(trainer.shape, 1, 0, 0) == 6 * sum(layer.weight.numel() for layer in layers)
    assert step_flops(trainer.shape, 0, 0, 1) == 6 * (head.transform.weight.numel() + tower.pieces.weight.numel())
    # Q K^T and the weighted sum of V, 2 D operations each for every pair and layer, three times with the gradient.
    assert step_flops(trainer.shape, 0, 1, 0) == 3 * 2 * 2 * 8 * len(tower.encoder.layers)


def test_a_card_is_held_against_its_peak(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(files, Arm("kept"), 2, "cpu")
    flops = trainer.flops(0) + trainer.flops(1)
    seconds = [[1.0, 1.0], [2.0, 2.0], [3.0, 5.0]]
    assert train_engines.utilisation(trainer, seconds, "cpu") == {}
    for name, peak in (("NVIDIA A100-SXM4-40GB", 312e12), ("NVIDIA H100 80GB HBM3", 989e12)):
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda name=name: name)
        assert train_engines.utilisation(trainer, seconds, "cuda") == {"utilisation": pytest.approx(flops / 4 / peak)}
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "some other card")
    assert train_engines.utilisation(trainer, seconds, "cuda") == {}


def here(arguments: Sequence[str], threads: int) -> Any:
    return train_engines.measured(arguments)


def test_arms_are_measured(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "engine", here)
    broken = replace(ARMS[YARDSTICK], precision="bfloat16")
    monkeypatch.setitem(ARMS, "broken", broken)
    monkeypatch.setitem(train_text.RATIOS, "broken", "broken")
    make = Trainer.loss
    monkeypatch.setattr(Trainer, "loss", lambda self, n: 1 / 0 if self.arm is broken and n == 0 else make(self, n))
    arms = [YARDSTICK, "kept, random batches", "kept checkpointed, random batches", "broken"]
    options = [word for arm in arms for word in ("--arm", arm)]
    places = ["--data", files / "text.txt", "--model", files / "bert", "--record", tmp_path / "page.md"]
    few = ["--batch", 2, "--batches", 2, "--rounds", 2]
    ran = CliRunner().invoke(app, [str(word) for word in ("bench", "train", *places, *few, *options, "--json")])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert found["failed"] == {"broken": "division by zero"}
    rows = {(row["arm"], row["metric"]): row["value"] for row in found["rows"]}
    assert {arm for arm, _ in rows} == set(arms) - {"broken"}
    assert rows[YARDSTICK, "ratio"] == pytest.approx(1.0)
    assert rows["kept, random batches", "loss"] == pytest.approx(rows[YARDSTICK, "loss"], rel=1e-4)
    assert all(rows[arm, metric] > 0 for arm in arms[:3] for metric in ("per second", "memory"))
    page = (tmp_path / "page.md").read_text()
    assert "2 batches of 2 sentences, 2 layers of 8" in page
    assert "broken: not measured (division by zero)" in page


def test_an_engine_is_a_program_of_its_own() -> None:
    with pytest.raises(InputError, match="bench train: KeyError: 'nothing'"):
        train.engine(["time", "nothing", "folder", "1", "1"], threads=1)


def test_evidences_are_sentences_each_once(tmp_path: Path) -> None:
    evidence = {"masked_sentence": "The capital of France is [MASK].", "obj_surface": "Paris"}
    (tmp_path / "P36.jsonl").write_text(f"{json.dumps({'evidences': [evidence, evidence]})}\n")
    assert read_sentences(tmp_path) == ["The capital of France is Paris."]
    (tmp_path / "P37.jsonl").write_text('{"evidences": [{}]}\n')
    with pytest.raises(InputError, match=r"P37.jsonl:1: no evidences with masked_sentence and obj_surface"):
        read_sentences(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--data", "absent"), "absent: no sentences here"),
        (("--data", "TEXT", "--batch", "32"), "60 sentences, and 16 batches of 32 need 512"),
        (("--arm", "kept, random batch"), "--arm kept, random batch: did you mean 'kept, random batches'"),
        (("--batches", "17"), "--batches 17: it has to be from 1 to 16"),
        (("--task", "txt"), "--task txt: did you mean 'text'"),
        (("--task", "text", "--arm", "kept LXMERT"), "--arm kept LXMERT: choose from"),
        (("--pairs", "0"), "--pairs 0: it has to be from 1 to 4096"),
        (("--rounds", "0"), "--rounds 0: it has to be from 1 to 1000"),
    ],
)
def test_what_cannot_be_measured_is_named(arguments: tuple[str, ...], reason: str, files: Path) -> None:
    given = [str(files / "text.txt") if argument == "TEXT" else argument for argument in arguments]
    ran = CliRunner().invoke(app, ["bench", "train", *given])
    assert ran.exit_code == 2
    assert reason in ran.stderr
