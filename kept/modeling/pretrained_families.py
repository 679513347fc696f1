"""What the families of pretrained transformers call their settings and weights, and what we call them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from kg.errors import InputError

Config = Mapping[str, Any]
Names = Mapping[str, tuple[str, ...]]

LARGEST = 1 << 20
"""No size in a configuration is above this."""
HIDDEN_ACTS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python": "gelu",
    "quick_gelu": "quick_gelu",
}


@dataclass(frozen=True)
class Family:
    """Models that share settings and names.

    Args:
        kind: "text" or "image".
        defaults: what a configuration that is silent means.
        prefixes: what names may begin with.
        anchor: a weight that every such file has, behind the prefix.
        names: our module or parameter -> theirs, behind the prefix or at the top; several are laid end to end.
        layers: the same inside a layer, behind `stack` and its number.
        norm, causal, final_norm: fields of our `EncoderConfig`.
        behind_padding: positions are counted from the row after that of the padding piece's id.
    """

    kind: str
    defaults: Config
    prefixes: tuple[str, ...]
    anchor: str
    names: Names
    stack: str
    layers: Names
    norm: str = "pre"
    causal: bool = False
    final_norm: bool = False
    behind_padding: bool = False

    def theirs(self, ours: str) -> tuple[str, ...]:
        """What a weight of ours is called in their files, without prefix; nothing where it has no counterpart.

        >>> BERT.theirs("encoder.layers.3.attention.output.bias")
        ('encoder.layer.3.attention.output.dense.bias',)
        """
        stem, _, part = ours.rpartition(".")
        if ours in self.names:
            return self.names[ours]
        if stem in self.names:
            return tuple(f"{name}.{part}" for name in self.names[stem])
        inside = re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)", stem)
        if inside is None:
            return ()
        return tuple(f"{self.stack}.{inside[1]}.{name}.{part}" for name in self.layers.get(inside[2], ()))

    def encoder(self, config: Config, where: str) -> dict[str, Any]:
        """The fields of our `EncoderConfig`."""
        activation = config.get("hidden_act", self.defaults["hidden_act"])
        if activation not in HIDDEN_ACTS:
            raise InputError(f"{where}: hidden_act {activation!r} is not among {', '.join(HIDDEN_ACTS)}")
        return {
            "width": self.size(config, "hidden_size", where),
            "layers": self.size(config, "num_hidden_layers", where),
            "heads": self.size(config, "num_attention_heads", where),
            "hidden": self.size(config, "intermediate_size", where),
            "norm": self.norm,
            "activation": HIDDEN_ACTS[activation],
            "eps": float(config.get("layer_norm_eps", self.defaults["layer_norm_eps"])),
            "final_norm": self.final_norm,
            "causal": self.causal,
        }

    def size(self, config: Config, key: str, where: str) -> int:
        """A positive whole number of a configuration."""
        value = config.get(key, self.defaults.get(key))
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= LARGEST:
            raise InputError(f"{where}: {key} {value!r} is no size from 1 to {LARGEST}")
        return value

    def options(self, config: Config, where: str) -> dict[str, Any]:
        """What the constructor of our tower is given beside its width."""
        made: dict[str, Any] = {"encoder": self.encoder(config, where)}
        if self.kind == "image":
            if config.get("num_channels", 3) != 3 or not config.get("qkv_bias", True):
                raise InputError(f"{where}: num_channels has to be 3 and qkv_bias true")
            for ours, theirs in (("size", "image_size"), ("patch", "patch_size")):
                made[ours] = self.size(config, theirs, where)
            clip = "norm" in self.names
            return {**made, "input_norm": clip, "patch_bias": not clip}
        if config.get("position_embedding_type", "absolute") != "absolute" or config.get("is_decoder", False):
            raise InputError(f"{where}: position_embedding_type has to be absolute and is_decoder false")
        padding = config.get("pad_token_id", self.defaults.get("pad_token_id"))
        if self.behind_padding and not (isinstance(padding, int) and 0 <= padding <= LARGEST):
            raise InputError(f"{where}: pad_token_id {padding!r} is no id of a piece")
        offset = padding + 1 if self.behind_padding else 0
        return {
            **made,
            "vocabulary": self.size(config, "vocab_size", where),
            "max_length": self.size(config, "max_position_embeddings", where) - offset,
            "types": self.size(config, "type_vocab_size", where) if "types" in self.names else 0,
            "offset": offset,
            "input_norm": "norm" in self.names,
        }


def _attention(before: str, names: tuple[str, str, str]) -> tuple[str, ...]:
    return tuple(f"{before}.{name}" for name in names)


BASE = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
}
BERT = Family(
    kind="text",
    defaults=BASE | {"vocab_size": 30522, "max_position_embeddings": 512, "type_vocab_size": 2},
    prefixes=("", "bert."),
    anchor="embeddings.word_embeddings.weight",
    names={
        "pieces": ("embeddings.word_embeddings",),
        "positions": ("embeddings.position_embeddings",),
        "types": ("embeddings.token_type_embeddings",),
        "norm": ("embeddings.LayerNorm",),
    },
    stack="encoder.layer",
    layers={
        "attention.query_key_value": _attention("attention.self", ("query", "key", "value")),
        "attention.output": ("attention.output.dense",),
        "attention_norm": ("attention.output.LayerNorm",),
        "feed_forward.expand": ("intermediate.dense",),
        "feed_forward.contract": ("output.dense",),
        "feed_forward_norm": ("output.LayerNorm",),
    },
    norm="post",
)
ROBERTA = replace(
    BERT,
    defaults={**BERT.defaults, "vocab_size": 50265, "pad_token_id": 1},
    prefixes=("", "roberta."),
    behind_padding=True,
)
VIT = Family(
    kind="image",
    defaults=BASE | {"image_size": 224, "patch_size": 16},
    prefixes=("", "vit."),
    anchor="embeddings.cls_token",
    names={
        "class_token": ("embeddings.cls_token",),
        "patches": ("embeddings.patch_embeddings.projection",),
        "positions.weight": ("embeddings.position_embeddings",),
        "encoder.norm": ("layernorm",),
    },
    stack="encoder.layer",
    layers={
        "attention.query_key_value": _attention("attention.attention", ("query", "key", "value")),
        "attention.output": ("attention.output.dense",),
        "attention_norm": ("layernorm_before",),
        "feed_forward.expand": ("intermediate.dense",),
        "feed_forward.contract": ("output.dense",),
        "feed_forward_norm": ("layernorm_after",),
    },
    final_norm=True,
)
_CLIP_LAYERS: Names = {
    "attention.query_key_value": _attention("self_attn", ("q_proj", "k_proj", "v_proj")),
    "attention.output": ("self_attn.out_proj",),
    "attention_norm": ("layer_norm1",),
    "feed_forward.expand": ("mlp.fc1",),
    "feed_forward.contract": ("mlp.fc2",),
    "feed_forward_norm": ("layer_norm2",),
}
_CLIP_BASE = BASE | {"hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}
CLIP_TEXT = Family(
    kind="text",
    defaults=_CLIP_BASE
    | {
        "hidden_size": 512,
        "num_attention_heads": 8,
        "intermediate_size": 2048,
        "vocab_size": 49408,
        "max_position_embeddings": 77,
    },
    prefixes=("", "text_model."),
    anchor="embeddings.token_embedding.weight",
    names={
        "pieces": ("embeddings.token_embedding",),
        "positions": ("embeddings.position_embedding",),
        "encoder.norm": ("final_layer_norm",),
        "project": ("text_projection",),
    },
    stack="encoder.layers",
    layers=_CLIP_LAYERS,
    causal=True,
    final_norm=True,
)
CLIP_VISION = Family(
    kind="image",
    defaults=_CLIP_BASE | {"image_size": 224, "patch_size": 32},
    prefixes=("", "vision_model."),
    anchor="embeddings.class_embedding",
    names={
        "class_token": ("embeddings.class_embedding",),
        "patches": ("embeddings.patch_embedding",),
        "positions": ("embeddings.position_embedding",),
        "norm": ("pre_layrnorm",),
        "pool_norm": ("post_layernorm",),
        "project": ("visual_projection",),
    },
    stack="encoder.layers",
    layers=_CLIP_LAYERS,
)
FAMILIES: Mapping[str, tuple[Family, ...]] = MappingProxyType(
    {
        "bert": (BERT,),
        "roberta": (ROBERTA,),
        "vit": (VIT,),
        "clip": (CLIP_TEXT, CLIP_VISION),
        "clip_text_model": (CLIP_TEXT,),
        "clip_vision_model": (CLIP_VISION,),
    }
)
"""Families by the `model_type` of their configuration; a CLIP holds two."""

MASKED_HEADS: Mapping[str, Names] = MappingProxyType(
    {
        "bert": {
            "transform": ("cls.predictions.transform.dense",),
            "norm": ("cls.predictions.transform.LayerNorm",),
            "bias": ("cls.predictions.bias",),
        },
        "roberta": {"transform": ("lm_head.dense",), "norm": ("lm_head.layer_norm",), "bias": ("lm_head.bias",)},
    }
)
"""Our `MaskedHead`'s parts -> theirs, by model type."""
