"""An LXMERT of transformers as the weights of our model in its shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file
from torch import nn

from kept.modeling.pretrained_families import BERT

if TYPE_CHECKING:
    from kept.modeling.model import KeptModel

NAMES = {
    "towers.text.pieces": "lxmert.embeddings.word_embeddings",
    "towers.text.positions": "lxmert.embeddings.position_embeddings",
    "towers.text.types": "lxmert.embeddings.token_type_embeddings",
    "towers.text.norm": "lxmert.embeddings.LayerNorm",
    "towers.regions.feature": "lxmert.encoder.visn_fc.visn_fc",
    "towers.regions.feature_norm": "lxmert.encoder.visn_fc.visn_layer_norm",
    "towers.regions.box": "lxmert.encoder.visn_fc.box_fc",
    "towers.regions.box_norm": "lxmert.encoder.visn_fc.box_layer_norm",
    "pieces.transform": "cls.predictions.transform.dense",
    "pieces.norm": "cls.predictions.transform.LayerNorm",
    "match.classify": "cls.seq_relationship",
    "heads.answers.expand": "answer_head.logit_fc.0",
    "heads.answers.norm": "answer_head.logit_fc.2",
    "heads.answers.classify": "answer_head.logit_fc.3",
    "heads.regions.transform.dense": "obj_predict_head.transform.dense",
    "heads.regions.transform.norm": "obj_predict_head.transform.LayerNorm",
    "heads.regions.objects": "obj_predict_head.decoder_dict.obj",
    "heads.regions.attributes": "obj_predict_head.decoder_dict.attr",
    "heads.regions.feature": "obj_predict_head.decoder_dict.feat",
}
"""Our modules -> theirs, outside the layers."""
LAYERS = {
    "towers.text.": replace(BERT, stack="lxmert.encoder.layer"),
    "towers.regions.": replace(BERT, stack="lxmert.encoder.r_layers"),
}
SHORT = {"text": "lang", "regions": "visn"}


def load(folder: Path, model: KeptModel, pooler: nn.Linear) -> None:
    """Take the weights of a transformers folder over; what ours has besides stays as it is."""
    given = load_file(folder / "model.safetensors")
    with torch.no_grad():
        for ours, theirs in counterparts(model):
            model.get_parameter(ours).copy_(torch.cat([given[name] for name in theirs]))
        # Our decoder compares with the table in another scale.
        for weight in model.pieces.norm.parameters():
            weight.div_(model.pieces.scale)
        for part in ("weight", "bias"):
            pooler.get_parameter(part).copy_(given[f"lxmert.pooler.dense.{part}"])


def counterparts(model: nn.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each weight that both have: ours, and theirs, several to be laid end to end."""
    modules: Mapping[str, tuple[str, ...]] = {ours: (theirs,) for ours, theirs in NAMES.items()}
    modules = {**modules, **cross_layers(model)}
    yield "pieces.bias", ("cls.predictions.bias",)
    for name, _ in model.named_parameters():
        stem, _, part = name.rpartition(".")
        if stem in modules:
            yield name, tuple(f"{theirs}.{part}" for theirs in modules[stem])
        for prefix, family in LAYERS.items():
            if name.startswith(f"{prefix}encoder.layers."):
                yield name, family.theirs(name.removeprefix(prefix))


def cross_layers(model: nn.Module) -> dict[str, tuple[str, ...]]:
    """Modules of our blocks -> those of their cross-modality layers."""
    found: dict[str, tuple[str, ...]] = {}
    for index in range(len(model.get_submodule("blocks"))):  # type: ignore[arg-type]
        layer = f"lxmert.encoder.x_layers.{index}"
        for kind, short in SHORT.items():
            steps = {"crosses": ("visual_attention", "att"), "selves": (f"{short}_self_att", "self")}
            for step, (theirs, inner) in steps.items():
                ours = f"blocks.{index}.{step}.{kind}"
                found[f"{ours}.attention.query"] = (f"{layer}.{theirs}.{inner}.query",)
                found[f"{ours}.attention.key_value"] = tuple(f"{layer}.{theirs}.{inner}.{x}" for x in ("key", "value"))
                found[f"{ours}.attention.output"] = (f"{layer}.{theirs}.output.dense",)
                found[f"{ours}.norm"] = (f"{layer}.{theirs}.output.LayerNorm",)
            ours = f"blocks.{index}.feed_forwards.{kind}"
            found[f"{ours}.feed_forward.expand"] = (f"{layer}.{short}_inter.dense",)
            found[f"{ours}.feed_forward.contract"] = (f"{layer}.{short}_output.dense",)
            found[f"{ours}.norm"] = (f"{layer}.{short}_output.LayerNorm",)
    return found
