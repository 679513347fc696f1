from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from kept.data.shards import read_records
from kept.modeling.model import KeptModel
from kept.recipes import load_recipe
from kept.training.check import SavedForBackward, check_run
from kept.training.loop import Trainer
from kept.training.stages import Run
from tests.pipelines.chain import Chain, answer, run


def weights(out: Path) -> bytes:
    return (out / "model" / "model.safetensors").read_bytes()


def test_a_run_tells_its_terms_and_where_the_model_lies(chain: Chain, tmp_path: Path) -> None:
    result = run("pretrain", chain.recipe, "--out", tmp_path / "run")
    assert result.exit_code == 0 and result.stdout == ""
    notes = " ".join(result.stderr.split())
    for text in ("facts 6/6", "mlm", "(baseline", f"the model is in {tmp_path / 'run' / 'model'}", "next: kept ask"):
        assert text in notes
    assert weights(tmp_path / "run") == weights(chain.root / "run")


def test_an_interrupted_run_goes_on_to_the_same_model(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Trainer.train_step

    def interrupted(self: Trainer) -> object:
        if self.step == 5:
            raise KeyboardInterrupt
        return step(self)

    monkeypatch.setattr(Trainer, "train_step", interrupted)
    stopped = run("pretrain", chain.recipe, "--out", tmp_path / "run")
    assert stopped.exit_code == 130 and "the same command goes on from there" in stopped.stderr
    assert not (tmp_path / "run" / "model").exists()
    monkeypatch.undo()
    taken: list[int] = []
    monkeypatch.setattr(Trainer, "train_step", lambda self: (taken.append(self.step), step(self))[1])
    assert run("pretrain", chain.recipe, "--out", tmp_path / "run", "--resume").exit_code == 0
    assert taken == [4, 5]
    assert weights(tmp_path / "run") == weights(chain.root / "run")


def test_a_finished_run_is_not_trained_again(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainer, "train_step", lambda self: pytest.fail("a step was taken"))
    told = answer("pretrain", chain.recipe, "--out", chain.root / "run")
    assert told["model"] == str(chain.model)
    terms = told["stages"]["facts"]
    assert set(terms) == {"mlm", "names", "mep/operator", "gate", "itm"}
    assert all(term["step"] == 6 and term["value"] > 0 for term in terms.values())


def test_seed_and_settings_change_the_run(chain: Chain, tmp_path: Path) -> None:
    other = ("--seed", 1, "--set", "stages.facts.steps=1")
    assert run("pretrain", chain.recipe, "--out", tmp_path / "run", *other).exit_code == 0
    assert weights(tmp_path / "run") != weights(chain.root / "run")
    refused = run("pretrain", chain.recipe, "--out", tmp_path / "run")
    assert refused.exit_code == 2 and "holds a run of other settings" in refused.stderr


def test_a_run_goes_by_where_its_data_lies_not_by_where_it_is_asked_from(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(chain.root)
    told = ("--set", "root=.", "--set", "stages.facts.steps=1")
    assert run("pretrain", chain.recipe, "--out", tmp_path / "run", *told).exit_code == 0
    monkeypatch.chdir(tmp_path)
    assert run("ask", tmp_path / "run" / "model", "The capital of France is [MASK].").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--resume", "--out", "{folder}/absent"), "there is no run in {folder}/absent"),
        ((), "--out: say where the run goes"),
        (("--from", "{folder}/absent", "--out", "{folder}/run"), "--from {folder}/absent: no model here"),
        (("--set", "stages.facts.stepz=3", "--out", "{folder}/run"), "did you mean 'steps'?"),
        (("--set", "seed", "--out", "{folder}/run"), "--set seed: write key=value"),
    ],
)
def test_mistakes_are_one_line(chain: Chain, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run("pretrain", chain.recipe, *(argument.format(folder=tmp_path) for argument in arguments))
    assert result.exit_code == 2 and message.format(folder=tmp_path) in result.stderr
    assert len(result.stderr.splitlines()) == 1 and not list(tmp_path.iterdir())


def test_check_trains_nothing_and_tells_what_would_be(chain: Chain, tmp_path: Path) -> None:
    before = sorted(chain.root.rglob("*"))
    told = answer("pretrain", chain.recipe, "--check", "--out", tmp_path / "run")
    assert sorted(chain.root.rglob("*")) == before and not list(tmp_path.iterdir())
    (stage,) = told["stages"]
    model = KeptModel.load(chain.model)
    parts = {part["part"]: part for part in stage["parameters"]}
    assert sum(part["trained"] + part["frozen"] for part in parts.values()) == model.num_parameters()
    assert parts["contrast"]["trained"] == 0 < parts["contrast"]["frozen"]
    assert parts["blocks"]["frozen"] == 0 < parts["blocks"]["trained"]
    trained = sum(part["trained"] for part in parts.values())
    memory = stage["memory"]
    assert memory["optimizer"] == 2 * memory["gradients"] == 2 * 4 * trained
    beside = ("total", "mapped", "process_peak")
    assert memory["total"] == sum(size for name, size in memory.items() if name not in beside)
    assert memory["mapped"] > memory["data"]
    assert 0 < memory["activations"] < memory["process_peak"]
    assert stage["time"]["seconds"] == pytest.approx(6 * stage["time"]["seconds_per_step"], abs=0.06)
    facts = next(source for source in stage["sources"] if source["name"] == "facts")
    assert facts["records"] == len(list(read_records(chain.root / "records" / "facts")))
    assert set(facts["streams"]) == {"text", "entity"}


def test_the_first_batch_is_told_with_its_masks_and_entities(chain: Chain) -> None:
    told = answer("pretrain", chain.recipe, "--check")
    blocks = {(view["objective"], view["source"]): view for view in told["stages"][0]["first_batch"]}
    assert set(blocks) == {("mlm", "facts"), ("mep", "facts"), ("mlm", "captions"), ("itm", "captions")}
    known = {record.text.lower(): record for record in read_records(chain.root / "records" / "facts") if record.text}
    for sample in blocks["mep", "facts"]["samples"]:
        record = known[sample["original"]]
        assert sample["shown"].count("[MASK]") >= 1 and "{" in sample["shown"]
        name = sample["targets"]["name"]
        assert name in {record.text[m.start : m.end].lower() for m in record.mentions if record.text}
        assert name == sample["targets"]["asked"].lower() and name not in sample["shown"].split("}")[-1]
    captions = blocks["itm", "captions"]
    assert captions["pictures"] and not captions["knowledge"]
    assert all(sample["picture"].endswith(".png") for sample in captions["samples"])
    assert {sample["targets"]["match"] for sample in captions["samples"]} <= {0, 1}
    shown = run("pretrain", chain.recipe, "--check").stdout
    for text in ("mep on facts: 8 records", "[MASK]", "asked ", "picture images/", "activations", "s a step"):
        assert text in shown


def test_check_says_what_the_start_model_lacks(chain: Chain) -> None:
    told = answer("pretrain", chain.recipe, "--check", "--from", chain.model, "--set", "model.slots=5")
    assert told["not_taken"] == ["slots.weight"]
    shown = run("pretrain", chain.recipe, "--check", "--from", chain.model, "--set", "model.slots=5").stdout
    assert "not taken over: slots.weight" in shown


def test_check_puts_the_model_back(chain: Chain) -> None:
    prepared = Run.prepare(load_recipe(str(chain.recipe)))
    before = {name: value.clone() for name, value in prepared.model.state_dict().items()}
    random = torch.get_rng_state()
    check_run(prepared, steps=1)
    assert all(torch.equal(value, before[name]) for name, value in prepared.model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in prepared.model.parameters())


def test_saved_bytes_against_a_count_by_hand() -> None:
    layer = torch.nn.Linear(4, 4)
    x = torch.ones(2, 4, requires_grad=True)
    weighed = SavedForBackward(list(layer.parameters()))
    with torch.autograd.graph.saved_tensors_hooks(weighed.pack, weighed.unpack):
        hidden = layer(x).tanh()
        assert weighed.now == 2 * (2 * 4 * 4)  # the input for the weight's gradient, tanh's own output
        (hidden * hidden).sum().backward()
    assert weighed.peak >= weighed.now == 0


def test_a_moved_run_still_finds_its_graph(chain: Chain, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    for name in ("run", "graph.kg"):
        shutil.copytree(chain.root / name, moved / name)
    recipe = moved / "run" / "recipe.json"
    recipe.write_text(recipe.read_text().replace(str(chain.root), "/nowhere"))
    told = answer("ask", moved / "run" / "model", "The capital of France is [MASK].")
    assert told["graph"] == str(moved / "graph.kg")
