"""Small transformers of random weights, saved as anyone's folders are."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch

SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
TEXT = {**SHAPE, "vocab_size": 30, "max_position_embeddings": 12}
IMAGE = {**SHAPE, "image_size": 8, "patch_size": 4}
CLIP_TEXT = {**TEXT, "eos_token_id": 29, "bos_token_id": 28, "pad_token_id": 0}


def make(name: str, **others: Any) -> Any:
    """A transformers model in eval mode, every weight drawn."""
    import transformers

    configs: dict[str, tuple[str, dict[str, Any]]] = {
        "Bert": ("BertConfig", TEXT),
        "Roberta": ("RobertaConfig", {**TEXT, "max_position_embeddings": 14}),
        "ViT": ("ViTConfig", IMAGE),
        "CLIPText": ("CLIPTextConfig", {**CLIP_TEXT, "projection_dim": 10}),
        "CLIPVision": ("CLIPVisionConfig", {**IMAGE, "projection_dim": 10}),
        "CLIP": ("CLIPConfig", {"text_config": CLIP_TEXT, "vision_config": IMAGE, "projection_dim": 10}),
    }
    kind = max((kind for kind in configs if name.startswith(kind)), key=len)
    config_name, options = configs[kind]
    config = getattr(transformers, config_name)(**{**options, **others})
    torch.manual_seed(0)
    model = getattr(transformers, name)(config).eval()
    for parameter in model.parameters():
        parameter.data.normal_(0.0, 0.3)
    return model


def save(model: Any, folder: Path, **how: Any) -> Path:
    """Write a model as safetensors."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity(logging.ERROR)
    transformers_logging.disable_progress_bar()
    model.save_pretrained(str(folder), **how)
    return folder
