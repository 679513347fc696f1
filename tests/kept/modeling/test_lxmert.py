"""Heads, cross-modality layer and regions against transformers' own LXMERT on equal weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from kept.data.batch import Regions
from kept.data.boxes import uniter_position
from kept.modeling.blocks import BLOCKS, Place
from kept.modeling.config import KeptConfig
from kept.modeling.decoders import MatchHead
from kept.modeling.heads import AnswerHead, RegionHead
from kept.modeling.masked_head import MaskedHead
from kept.modeling.model import KeptModel
from kept.modeling.streams import Stream
from kept.modeling.towers import RegionEncoder
from kg.errors import InputError
from tests.kept.modeling.contract import TowerContract, random

WIDTH, HEADS, HIDDEN = 24, 3, 40
VOCABULARY, FEATURES, OBJECTS, ATTRIBUTES, ANSWERS = 30, 11, 7, 5, 9
LXMERT_STYLE: dict[str, Any] = {"wiring": "lxmert", "norm": "post", "feed_forward": "plain", "eps": 1e-12}


@pytest.fixture(scope="module")
def theirs() -> Any:
    """A small LXMERT whose every weight is random, norms and biases too."""
    from transformers import LxmertConfig, LxmertForPreTraining

    config = LxmertConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        num_attention_heads=HEADS,
        intermediate_size=HIDDEN,
        num_qa_labels=ANSWERS,
        num_object_labels=OBJECTS,
        num_attr_labels=ATTRIBUTES,
        visual_feat_dim=FEATURES,
        visual_pos_dim=7,
        l_layers=1,
        r_layers=1,
        x_layers=1,
    )
    model = LxmertForPreTraining(config).eval()
    for number, parameter in enumerate(model.parameters()):
        parameter.data.add_(random(*parameter.shape, seed=number), alpha=0.3)
    return model


def config() -> KeptConfig:
    classes = {"answers": ANSWERS, "objects": OBJECTS, "attributes": ATTRIBUTES}
    named = {of: [str(number) for number in range(count)] for of, count in classes.items()}
    return KeptConfig(
        width=WIDTH, heads=HEADS, hidden=HIDDEN, vocabulary=VOCABULARY, regions={"features": FEATURES}, classes=named
    )


def copy(ours: nn.Module, theirs: nn.Module, names: Mapping[str, tuple[str, ...]], own: tuple[str, ...] = ()) -> Any:
    """Every weight of ours but `own` from theirs, several laid end to end; `names` tells modules, or single weights."""
    given, state = theirs.state_dict(), {}
    for name, weight in ours.state_dict().items():
        stem, _, part = name.rpartition(".")
        found = names[name] if name in names else tuple(f"{one}.{part}" for one in names.get(stem, ()))
        state[name] = weight if name in own else torch.cat([given[one] for one in found])
    ours.load_state_dict(state)
    return ours.eval()


def assert_equal(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0.0, atol=1e-5)
    assert expected.std() > 0.1


def test_answers(theirs: Any) -> None:
    names = {"expand": ("logit_fc.0",), "norm": ("logit_fc.2",), "classify": ("logit_fc.3",)}
    head, summary = copy(AnswerHead(config()), theirs.answer_head, names), random(4, WIDTH)
    assert_equal(head(summary), theirs.answer_head(summary))


def test_regions(theirs: Any) -> None:
    maps = {"objects": "obj", "attributes": "attr", "feature": "feat"}
    names = {of: (f"decoder_dict.{key}",) for of, key in maps.items()}
    names |= {"transform.dense": ("transform.dense",), "transform.norm": ("transform.LayerNorm",)}
    head, states = copy(RegionHead(config()), theirs.obj_predict_head, names), random(6, WIDTH)
    expected = theirs.obj_predict_head(states)
    for of, key in maps.items():
        assert_equal(head(states, of), expected[key])


def test_a_tied_feature_is_theirs_with_the_projection_transposed(theirs: Any) -> None:
    map_back = theirs.obj_predict_head.decoder_dict["feat"]
    untied, tied = RegionHead(config()), RegionHead(config(), tied=True)
    untied.feature.load_state_dict(map_back.state_dict())
    tied.load_state_dict(
        {**untied.transform.state_dict(prefix="transform."), "feature_bias": map_back.bias}, strict=False
    )
    states = random(6, WIDTH)
    assert_equal(tied(states, "feature", map_back.weight.T), untied(states, "feature"))


def test_masked_pieces(theirs: Any) -> None:
    transform = "predictions.transform"
    names = {"transform": (f"{transform}.dense",), "norm": (f"{transform}.LayerNorm",), "bias": ("predictions.bias",)}
    head, states = copy(MaskedHead(WIDTH, VOCABULARY), theirs.cls, names), random(3, 5, WIDTH)
    table = theirs.lxmert.embeddings.word_embeddings.weight
    wanted, targets = random(3, 5, seed=1) > 0, torch.arange(15).view(3, 5)
    expected, _ = theirs.cls(states, states[:, 0])
    assert_equal(head(states[wanted], table), expected[wanted])
    loss = nn.functional.cross_entropy(expected.flatten(0, 1), torch.where(wanted, targets, -100).flatten())
    torch.testing.assert_close(head.loss(states, wanted, targets[wanted], table) / wanted.sum(), loss)


def test_pieces_of_the_model_are_scaled(theirs: Any) -> None:
    """A model's own decoder is BERT's with its logits times 4 / sqrt(D), besides what one piece tells of the next."""
    model, states = KeptModel(config()), random(3, WIDTH)
    transform = theirs.cls.predictions.transform
    model.pieces.load_state_dict(
        {
            "transform.weight": transform.dense.weight,
            "transform.bias": transform.dense.bias,
            "norm.weight": transform.LayerNorm.weight / model.pieces.scale,
            "norm.bias": transform.LayerNorm.bias / model.pieces.scale,
            "bias": theirs.cls.predictions.bias,
        },
        strict=False,
    )
    model.piece_table.data.copy_(theirs.lxmert.embeddings.word_embeddings.weight)
    found, expected = model.piece_logits(states), theirs.cls.predictions(states)
    # Their norm adds 1e-12 to the variance, ours 1e-5.
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_matches_are_theirs_behind_a_norm(theirs: Any) -> None:
    """LXMERT pools by tanh(W h) where this head norms: the classifier behind is the same."""
    head, pooled = MatchHead(WIDTH), random(4, WIDTH)
    head.classify.load_state_dict(theirs.cls.seq_relationship.state_dict())
    _, expected = theirs.cls(pooled[:, None], nn.functional.layer_norm(pooled, (WIDTH,)))
    assert_equal(head(pooled), expected)


def attention(block: str, inner: str, output: str) -> dict[str, tuple[str, ...]]:
    """Our attention step in a block -> theirs."""
    return {
        f"{block}.attention.query": (f"{inner}.query",),
        f"{block}.attention.key_value": (f"{inner}.key", f"{inner}.value"),
        f"{block}.attention.output": (f"{output}.dense",),
        f"{block}.norm": (f"{output}.LayerNorm",),
    }


def cross_layer_names() -> dict[str, tuple[str, ...]]:
    names: dict[str, tuple[str, ...]] = {}
    for kind, short in (("text", "lang"), ("regions", "visn")):
        names |= attention(f"crosses.{kind}", "visual_attention.att", "visual_attention.output")
        names |= attention(f"selves.{kind}", f"{short}_self_att.self", f"{short}_self_att.output")
        names[f"feed_forwards.{kind}.feed_forward.expand"] = (f"{short}_inter.dense",)
        names[f"feed_forwards.{kind}.feed_forward.contract"] = (f"{short}_output.dense",)
        names[f"feed_forwards.{kind}.norm"] = (f"{short}_output.LayerNorm",)
    return names


def pair() -> dict[str, Stream]:
    """Three texts and their regions, padded to several lengths, none of them empty."""
    masks = {
        "text": torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]]).bool(),
        "regions": torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 0]]).bool(),
    }
    return {name: Stream.full(random(*mask.shape, WIDTH, seed=len(name)), name, mask) for name, mask in masks.items()}


def cross_layer(theirs: Any) -> tuple[Any, Any]:
    layer = theirs.lxmert.encoder.x_layers[0]
    block = BLOCKS["co"](WIDTH, HEADS, HIDDEN, place=Place(kinds=("text", "regions")), **LXMERT_STYLE)
    return copy(block, layer, cross_layer_names()), layer


def their_states(layer: Any, streams: Mapping[str, Stream]) -> dict[str, Tensor]:
    given: list[Tensor] = []
    for stream in streams.values():
        away = (~stream.mask[:, None, None, :]).float() * torch.finfo(torch.float32).min
        given += [stream.states, away]
    return dict(zip(streams, layer(*given), strict=True))


def test_the_cross_modality_layer(theirs: Any) -> None:
    block, layer = cross_layer(theirs)
    streams = pair()
    found, expected = block(streams), their_states(layer, streams)
    for name, stream in streams.items():
        assert_equal(found[name].states[stream.mask], expected[name][stream.mask])


def test_the_gradients_of_the_cross_modality_layer(theirs: Any) -> None:
    block, layer = cross_layer(theirs)
    weights = {name: random(*stream.states.shape, seed=3) for name, stream in pair().items()}
    made = []
    for forward in (block, layer):
        forward.zero_grad()
        streams = {name: stream.with_states(stream.states.requires_grad_()) for name, stream in pair().items()}
        out = their_states(layer, streams) if forward is layer else {k: s.states for k, s in block(streams).items()}
        torch.stack(
            [(out[name] * weights[name])[stream.mask].sum() for name, stream in streams.items()]
        ).sum().backward()
        made.append(streams)
    for name in made[0]:
        torch.testing.assert_close(made[0][name].states.grad, made[1][name].states.grad, rtol=1e-4, atol=1e-5)
    given = dict(layer.named_parameters())
    for name, parameter in block.named_parameters():
        stem, _, part = name.rpartition(".")
        expected = torch.cat([given[f"{one}.{part}"].grad for one in cross_layer_names()[stem]])
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-4, atol=1e-5)


def test_a_text_without_regions_is_read_as_if_there_were_none(theirs: Any) -> None:
    block, _ = cross_layer(theirs)
    streams = pair()
    nothing = torch.zeros_like(streams["regions"].mask)
    emptied = Stream.full(streams["regions"].states, "regions", nothing)
    found, alone = block({**streams, "regions": emptied}), block({"text": streams["text"]})
    torch.testing.assert_close(found["text"].states, alone["text"].states)


def marked(rows: int = 3, count: int = 4) -> Regions:
    """Pictures of `count` regions, the first of which is hidden; the third picture has none, the second one less."""
    corners = random(rows, count, 2, 2, seed=1).sigmoid().sort(dim=2).values
    mask = torch.ones(rows, count, dtype=torch.bool)
    mask[1, -1], mask[2] = False, False
    label = torch.zeros(rows, count, dtype=torch.int64)
    nothing = torch.zeros(rows, 0, 4, dtype=torch.int64)
    return Regions(
        boxes=corners.flatten(2),
        mask=mask,
        features=random(rows, count, FEATURES, seed=2),
        hidden=torch.arange(count).expand(rows, -1) == 0,
        label=label,
        attributes=label[..., None],
        scores=None,
        relations=nothing[..., :3],
        grounding=nothing[..., :3],
        naming=nothing,
    )


ENCODER = {"layers": 1, "heads": HEADS, "hidden": HIDDEN, "norm": "post", "eps": 1e-12}


def test_the_regions_before_they_meet_the_text(theirs: Any) -> None:
    tower, encoder = RegionEncoder(WIDTH, FEATURES, join="mean", encoder=ENCODER), theirs.lxmert.encoder
    inside = "r_layers.0.attention"
    names = {
        "feature": ("visn_fc.visn_fc",),
        "feature_norm": ("visn_fc.visn_layer_norm",),
        "box": ("visn_fc.box_fc",),
        "box_norm": ("visn_fc.box_layer_norm",),
        "encoder.layers.0.attention.query_key_value": tuple(f"{inside}.self.{x}" for x in ("query", "key", "value")),
        "encoder.layers.0.attention.output": (f"{inside}.output.dense",),
        "encoder.layers.0.attention_norm": (f"{inside}.output.LayerNorm",),
        "encoder.layers.0.feed_forward.expand": ("r_layers.0.intermediate.dense",),
        "encoder.layers.0.feed_forward.contract": ("r_layers.0.output.dense",),
        "encoder.layers.0.feed_forward_norm": ("r_layers.0.output.LayerNorm",),
    }
    copy(tower, encoder, names, own=("mask_feature",))
    for norm in (tower.feature_norm, tower.box_norm):
        norm.eps = 1e-12
    regions = marked()
    shown = torch.where(regions.hidden[..., None], 0.0, regions.features)
    away = (~regions.mask[:, None, None, :]).float() * torch.finfo(torch.float32).min
    expected = encoder.r_layers[0](encoder.visn_fc(shown, uniter_position(regions.boxes)), away)[0]
    found = tower(regions)
    assert_equal(found.states[regions.mask], expected[regions.mask])
    assert torch.equal(found.mask, regions.mask)


class TestRegionsInTheStyleOfLXMERT(TowerContract):
    member = "regions"
    options: ClassVar = {"features": FEATURES, "join": "mean", "encoder": {**ENCODER, "heads": 2}}

    def field(self) -> Any:
        return marked().take(torch.tensor([0, 1, 2, 0]))


def test_a_region_tower_has_one_kind_of_layers() -> None:
    with pytest.raises(InputError, match="regions: layers and encoder exclude each other"):
        RegionEncoder(WIDTH, FEATURES, layers=1, encoder=ENCODER)


@pytest.mark.parametrize(("option", "message"), [("norm", "did you mean 'post'"), ("feed_forward", "choose from")])
def test_a_style_that_does_not_exist_is_named(option: str, message: str) -> None:
    wrong: dict[str, Any] = {option: "psot"}
    with pytest.raises(InputError, match=f"{option} 'psot': {message}"):
        BLOCKS["co"](WIDTH, HEADS, HIDDEN, **wrong)
