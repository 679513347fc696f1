from __future__ import annotations

from pathlib import Path

import pytest

from kept.data.tokenizer import CLS, MASK, PAD, SEP, UNKNOWN, load_tokenizer, train_tokenizer
from kg.errors import InputError

TEXTS = [
    f"{name} is the capital of {country}."
    for name, country in (
        ("Paris", "France"),
        ("Antananarivo", "Madagascar"),
        ("Ouagadougou", "Burkina Faso"),
        ("Ljubljana", "Slovenia"),
        ("Reykjavík", "Iceland"),
        ("Bandar Seri Begawan", "Brunei"),
    )
]


def test_equal_texts_give_equal_tokenizers() -> None:
    first, *others = (train_tokenizer(TEXTS, 120).backend_tokenizer.to_str() for _ in range(4))
    assert all(other == first for other in others)


def test_specials_come_first_and_nothing_else_is_special() -> None:
    tokenizer = train_tokenizer(iter(TEXTS), 120)
    assert tokenizer.convert_ids_to_tokens(list(range(5))) == [PAD, UNKNOWN, CLS, SEP, MASK]
    assert set(tokenizer.all_special_tokens) == {PAD, UNKNOWN, CLS, SEP, MASK}
    assert len(tokenizer) == 120
    ids = tokenizer("Paris is [MASK].")["input_ids"]
    assert tokenizer.convert_ids_to_tokens([ids[0], ids[-3], ids[-1]]) == [CLS, MASK, SEP]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "paris is."


def test_a_name_never_seen_is_spelt() -> None:
    tokenizer = train_tokenizer(TEXTS, 120)
    pieces = tokenizer.tokenize("Bucurest")
    assert UNKNOWN not in pieces and "".join(piece.removeprefix("##") for piece in pieces) == "bucurest"


def test_a_saved_tokenizer_comes_back(tmp_path: Path) -> None:
    tokenizer = train_tokenizer(TEXTS, 120)
    tokenizer.save_pretrained(str(tmp_path))
    again = load_tokenizer(tmp_path)
    assert again("The capital of [MASK].")["input_ids"] == tokenizer("The capital of [MASK].")["input_ids"]
    with pytest.raises(InputError, match=r"no tokenizer\.json"):
        load_tokenizer(tmp_path / "absent")
