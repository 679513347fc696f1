"""A vision model on disk as a callable of pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kept.modeling.image_features import ImageFeatures
from kg.embedding.features import encode_items
from kg.errors import InputError
from kg.storage import write_json


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import ViTConfig, ViTModel

    place = tmp_path_factory.mktemp("vit")
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=24, patch_size=8
    )
    ViTModel(config).save_pretrained(place)
    return place


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    made = []
    for name, colour in (("red", (255, 0, 0)), ("blue", (0, 0, 255)), ("wide", (255, 0, 0))):
        Image.new("RGB", (60, 20) if name == "wide" else (30, 30), colour).save(tmp_path / f"{name}.png")
        made.append(tmp_path / f"{name}.png")
    return made


def test_pictures_become_rows_of_length_one(folder: Path, pictures: list[Path]) -> None:
    features = ImageFeatures(folder)
    rows = encode_items(pictures, features, batch=2)
    assert rows.shape == (3, 16)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(rows[2], features([pictures[2]])[0], rtol=1e-4, atol=1e-6)
    assert not np.allclose(rows[0], rows[1])


def test_the_scaling_beside_the_model_is_used(folder: Path, pictures: list[Path]) -> None:
    plain = ImageFeatures(folder)(pictures)
    write_json(folder / "preprocessor_config.json", {"image_mean": [0.1, 0.2, 0.3], "image_std": [0.3, 0.2, 0.1]})
    assert not np.allclose(ImageFeatures(folder)(pictures), plain)
    (folder / "preprocessor_config.json").unlink()


def test_what_is_no_vision_model_and_no_picture_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder of a vision model"):
        ImageFeatures(tmp_path / "absent")
    with pytest.raises(InputError, match="not a vision model"):
        ImageFeatures(tmp_path)
    with pytest.raises(InputError, match=r"absent\.png: no such file"):
        ImageFeatures(folder)([tmp_path / "absent.png"])
