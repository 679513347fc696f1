"""Pictures as numbers, by a vision model on disk: what `kg.embedding` takes as features of entities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kept.data.pictures import read_picture
from kg.errors import InputError
from kg.storage import read_json

PREPROCESSOR = "preprocessor_config.json"
MIDDLE = [0.5, 0.5, 0.5]


class ImageFeatures:
    """Paths of pictures -> (n, D): a vision model's pooled state, or its first token's where it pools nothing, at
    length 1.

    A picture is fitted into the model's square on white, and scaled by the mean and deviation that lie beside the model
    (`preprocessor_config.json`), 0.5 where nothing does.

    Args:
        folder: a local transformers folder of a ViT, or of a CLIP, whose vision tower is taken; nothing is downloaded.
        device: where the model runs.

    Source: Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words"; Xie et al. 2017, IKRL, for pictures of entities.

    `fit(..., features=encode_items(paths, ImageFeatures("vit-base")))`
    """

    def __init__(self, folder: str | Path, device: str = "cpu") -> None:
        from transformers import AutoModel

        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder of a vision model")
        try:
            model: Any = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{folder}: not a vision model ({reason})") from None
        self.model = getattr(model, "vision_model", model).eval().to(device)
        if not hasattr(self.model.config, "image_size"):
            raise InputError(f"{folder}: not a vision model, it says nothing of the size of its pictures")
        self.size, self.device = int(self.model.config.image_size), device
        scaling = read_json(folder / PREPROCESSOR) if (folder / PREPROCESSOR).exists() else {}
        self.mean, self.deviation = (
            torch.tensor(scaling.get(name) or MIDDLE).view(3, 1, 1) for name in ("image_mean", "image_std")
        )

    @torch.no_grad()
    def __call__(self, paths: Sequence[str | Path]) -> np.ndarray:
        pictures = np.stack([read_picture(path, self.size) for path in paths]).astype(np.float32) / 255
        colours, opacity = pictures[..., :3], pictures[..., 3:]
        pixels = torch.from_numpy(colours * opacity + 1 - opacity).permute(0, 3, 1, 2)
        outputs = self.model(pixel_values=((pixels - self.mean) / self.deviation).to(self.device))
        pooled = getattr(outputs, "pooler_output", None)
        states = outputs.last_hidden_state[:, 0] if pooled is None else pooled
        normed: np.ndarray = torch.nn.functional.normalize(states, dim=1).cpu().numpy()
        return normed
