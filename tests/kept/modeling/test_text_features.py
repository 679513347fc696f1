"""A language model on disk as a callable of texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kept.modeling.text_features import TextFeatures
from kg.embedding.features import encode_items
from kg.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import BertConfig, BertModel, BertTokenizer

    place = tmp_path_factory.mktemp("bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "red", "blue", "thing"]
    (place / "vocab.txt").write_text("\n".join(words))
    BertTokenizer(str(place / "vocab.txt")).save_pretrained(place)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
    )
    BertModel(config).save_pretrained(place)
    return place


def test_texts_become_rows_of_length_one_whatever_stands_beside_them(folder: Path) -> None:
    features = TextFeatures(folder)
    rows = encode_items(["a red thing", "a blue thing", "red"], features)
    assert rows.shape == (3, 16)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(rows[2], features(["red"])[0], rtol=1e-4, atol=1e-6)
    assert not np.allclose(rows[0], rows[1])


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder of a language model"):
        TextFeatures(tmp_path / "absent")
    with pytest.raises(InputError, match="not a language model with a tokenizer"):
        TextFeatures(tmp_path)
