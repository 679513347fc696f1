"""The whole model: saved, loaded, grown, and asked for what it has not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from kept.data.batch import Batch
from kept.modeling.model import KeptModel
from kg.embedding import Vectors
from kg.errors import InputError
from tests.kept import tiny


def batch() -> Batch:
    return tiny.corpus(pictures=tiny.encoded()).batch(tiny.rows(*range(len(tiny.RECORDS))), tiny.NOISE)


def assert_equal_outputs(found: KeptModel, expected: KeptModel) -> None:
    with torch.no_grad():
        one, two = found.encode(batch()), expected.encode(batch())
        assert set(one.streams) == set(two.streams)
        for name, stream in two.streams.items():
            assert torch.equal(one.streams[name].states, stream.states), name
        assert torch.equal(found.piece_logits(one.summary), expected.piece_logits(two.summary))


@pytest.mark.parametrize("knowledge", [True, False])
def test_a_saved_model_comes_back_equal_and_in_silence(
    knowledge: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = tiny.model(knowledge=knowledge)
    model.save_pretrained(tmp_path / "model")
    tiny.tokenizer().save_pretrained(str(tmp_path / "model"))
    loaded = KeptModel.load(tmp_path / "model")
    assert not loaded.training
    assert_equal_outputs(loaded, model)
    if knowledge:
        rows = torch.tensor([0])
        logits = [one.entity_logits(one.encode(batch()), rows, rows + 1) for one in (loaded, model)]
        assert torch.equal(*logits)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_the_usual_way_to_load_finds_it_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers import AutoConfig, AutoModel

    from kept.data.tokenizer import load_tokenizer

    tiny.model(knowledge=False).save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(str(tmp_path))
    assert AutoConfig.from_pretrained(str(tmp_path)).width == tiny.WIDTH
    assert load_tokenizer(tmp_path).get_vocab() == tiny.tokenizer().get_vocab()
    assert "model of type" not in capfd.readouterr().err
    assert isinstance(AutoModel.from_pretrained(str(tmp_path)), KeptModel)


def test_broken_folders_are_told_in_one_line(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    tiny.model(knowledge=False).save_pretrained(whole)
    weights = (whole / "model.safetensors").read_bytes()
    tensors = load_file(whole / "model.safetensors")
    config = json.loads((whole / "config.json").read_text())
    del tensors["norm.weight"]

    def broken(name: str, *, config: str | None = json.dumps(config), weights: bytes | None = weights) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        if config is not None:
            (folder / "config.json").write_text(config)
        if weights is not None:
            (folder / "model.safetensors").write_bytes(weights)
        return folder

    lacking = broken("lacking")
    save_file(tensors, lacking / "model.safetensors", metadata={"format": "pt"})
    for folder, message in (
        (tmp_path / "absent", r"absent: no model here \(no config.json\)"),
        (broken("bare", config=None), "no config.json"),
        (broken("garbled", config="{"), r"config.json: not valid JSON"),
        (broken("other", config='{"model_type": "bert"}'), "a model of type 'bert', not 'kept'"),
        (broken("list", config="[]"), "a model of type None"),
        (broken("weightless", weights=None), "weightless: the model cannot be read"),
        (broken("cut", weights=weights[:-100]), "cut: the model cannot be read"),
        (broken("narrow", config=json.dumps({**config, "width": 8})), "narrow: the model cannot be read"),
        (lacking, r"lacking: the weights do not fit config.json \(missing: norm.weight\)"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            KeptModel.load(folder)
        assert "\n" not in str(caught.value)


def test_adding_pictures_leaves_text_as_it_was() -> None:
    """A stream that is added changes no draw of the others."""
    text, both = (tiny.model(knowledge=False, image=image) for image in (False, True))
    for name, weight in text.state_dict().items():
        assert torch.equal(both.state_dict()[name], weight), name
    one, two = text.encode(batch()), both.encode(batch(), pictures=False)
    assert torch.equal(one.summary, two.summary)


def test_entities_are_read_from_the_graph_alone() -> None:
    model = tiny.model(knowledge=False)
    encodings = model.encode(batch())
    with pytest.raises(InputError, match="answers without a graph"):
        model.entity_logits(encodings, torch.tensor([0]), torch.tensor([1]))
    with pytest.raises(InputError, match="trained without knowledge"):
        model.set_knowledge(tiny.vectors())
    fused = tiny.model()
    off = fused.encode(batch(), knowledge=False)
    with pytest.raises(InputError, match="answers without a graph"):
        fused.entity_logits(off, torch.tensor([0]), torch.tensor([1]))


def test_vectors_must_be_there_and_of_the_right_width() -> None:
    model = tiny.model()
    with pytest.raises(InputError, match="reads vectors of width 8, these have 16"):
        model.set_knowledge(wider(tiny.vectors()))
    empty = KeptModel(model.config).reset(0)
    with pytest.raises(InputError, match="no entity vectors yet"):
        empty.encode(batch())


def wider(vectors: Vectors) -> Vectors:
    return replace(vectors, entities=np.concatenate([vectors.entities, vectors.entities], axis=1))


def test_another_graph_is_read_in_the_units_of_the_first() -> None:
    model = tiny.model()
    assert model.knowledge is not None
    scale = float(model.knowledge.scale)
    first = tiny.vectors()
    assert scale == pytest.approx(float(first.entities.std(ddof=1)))
    second = tiny.vectors(seed=4)
    second.entities[:] *= 3
    model.set_knowledge(second)
    assert float(model.knowledge.scale) == scale
    torch.testing.assert_close(model.knowledge.table, torch.tensor(second.entities) / scale)


@pytest.mark.parametrize("knowledge", [True, False])
def test_reading_a_few_states_gives_the_same_and_hides_the_rest(knowledge: bool) -> None:
    """What is read equals the whole run, gradients included; what nobody asked for is no number."""
    model, shown = tiny.model(), batch()
    read = torch.zeros_like(shown.text.mask)
    read[:, 1] = True
    read[0, :3] = True

    def run(asked: torch.Tensor | None) -> tuple[dict[str, torch.Tensor], list[torch.Tensor | None]]:
        model.zero_grad()
        streams = model.encode(shown, knowledge=knowledge, read=asked).streams
        states = {"text": streams["text"].states[read]}
        if knowledge:
            states["entity"] = streams["entity"].states
        sum(state.square().sum() for state in states.values()).backward()
        return states, [parameter.grad for parameter in model.parameters()]

    (few, few_gradients), (whole, whole_gradients) = run(read), run(None)
    for name, states in whole.items():
        torch.testing.assert_close(few[name], states)
    for own, other in zip(few_gradients, whole_gradients, strict=True):
        assert (own is None) == (other is None)
        if own is not None:
            torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-5)
    hidden = model.encode(shown, knowledge=knowledge, read=read).streams["text"].states[~read]
    assert torch.isnan(hidden).all()


def test_a_fusion_behind_the_last_layer_sees_all_states() -> None:
    model, shown = tiny.model(options={"at": [0, 1]}), batch()
    read = torch.zeros_like(shown.text.mask)
    assert torch.isfinite(model.encode(shown, read=read).streams["text"].states).all()
