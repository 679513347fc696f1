"""Few strings by Python, many by compiled loops: the same either way, and what Python's own methods say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kg import strings, vocabulary
from kg.strings import CASED, folded, found_in, merge, named_once, repeated, sort_order, sort_within, take
from kg.vocabulary import local_name, local_names

PREFIX = "http://www.wikidata.org/entity/Q"
IN_KEYS = "ab_/#:% %41ä東\u3000\u00a0\u2009\t"
TEXTS = st.lists(
    st.text(st.characters(codec="utf-8"), max_size=20)
    | st.sampled_from(["", "\0", "a", "a\0", "a\0b", "a" * 8, "a" * 9, "a" * 16 + "\0"])
    | st.integers(0, 300).map(lambda n: f"{PREFIX}{n}"),
    max_size=80,
)


@pytest.fixture(params=["few", "many"], scope="module", autouse=True)
def size(request: pytest.FixtureRequest) -> Iterator[None]:
    many = 0 if request.param == "many" else 1 << 60
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strings, "MANY", many)
        patch.setattr(vocabulary, "MANY", many)
        yield


def column(texts: list[str]) -> pa.LargeStringArray:
    return pa.array(texts, pa.large_string())


@given(texts=TEXTS)
@settings(max_examples=80, deadline=None)
def test_order(texts: list[str]) -> None:
    for threads in (1, 2):
        assert [texts[place] for place in sort_order(column(texts), threads)] == sorted(texts)
    order = sort_order(column(texts))
    assert sorted(order.tolist()) == list(range(len(texts)))
    assert [texts[place] for place in order] == sorted(texts)
    same = repeated(column(texts), order)
    ordered = sorted(texts)
    assert same.tolist() == [place > 0 and ordered[place] == ordered[place - 1] for place in range(len(texts))]


@given(texts=TEXTS, data=st.data())
@settings(max_examples=60, deadline=None)
def test_taking_and_sorting_stretches(texts: list[str], data: st.DataObject) -> None:
    places = np.array(data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=40)) if texts else [], np.int64)
    cut = data.draw(st.integers(0, len(texts)))
    chunks = pa.chunked_array([column(texts[:cut]), column(texts[cut:])])
    for threads in (1, 3):
        assert take(chunks, places, threads).to_pylist() == [texts[place] for place in places]
    assert take(column(texts).slice(cut), np.arange(len(texts) - cut)).to_pylist() == texts[cut:]
    bounds = np.array([[0, len(places) // 3], [len(places) // 3, len(places)]])
    order = places.copy()
    sort_within(column(texts), order, bounds)
    for start, stop in bounds.tolist():
        assert [texts[place] for place in order[start:stop]] == sorted(texts[place] for place in places[start:stop])


@given(texts=TEXTS, wanted=TEXTS)
@settings(max_examples=60, deadline=None)
def test_finding(texts: list[str], wanted: list[str]) -> None:
    keys = sorted(set(texts))
    place = {key: number for number, key in enumerate(keys)}
    wanted += texts[:3]
    assert found_in(column(keys), column(wanted)).tolist() == [place.get(text, -1) for text in wanted]


@given(
    pairs=st.lists(
        st.tuples(st.sampled_from(["", "a", "a\0", "b" * 9, "b" * 17, "ä"]), st.integers(0, 40)), max_size=300
    )
)
@settings(max_examples=60, deadline=None)
def test_naming_once(pairs: list[tuple[str, int]]) -> None:
    owners = np.array([owner for _, owner in pairs], np.int32)
    for threads in (1, 2):
        names, of = named_once(column([name for name, _ in pairs]), owners, threads)
        assert of.dtype == np.int32
        assert list(zip(names.to_pylist(), of.tolist(), strict=True)) == sorted(set(pairs))


@given(lists=st.lists(TEXTS.map(lambda texts: list(dict.fromkeys(texts))), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None)
def test_merging(lists: list[list[str]]) -> None:
    keys, places = merge([column(texts) for texts in lists], threads=2)
    assert keys.to_pylist() == sorted({text for texts in lists for text in texts})
    for texts, ranks in zip(lists, places, strict=True):
        assert keys.take(pa.array(ranks)).to_pylist() == texts


@given(texts=TEXTS)
@settings(max_examples=80, deadline=None)
@example(texts=["Straße", "ΐ" * 9, "İstanbul", "ﬃ", "AbCdEfGhÄIJ", "𐐀"])
def test_folding(texts: list[str]) -> None:
    assert folded(column(texts)).to_pylist() == [text.casefold() for text in texts]


@given(
    texts=st.lists(st.text(st.sampled_from("ab_/#:% %41ä東\u3000\u00a0\u2009\t"), max_size=8), max_size=40),
    iri=st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_local_names(texts: list[str], iri: bool) -> None:
    keys = [f"http://e.org/{text}" if iri else text for text in texts] + ["urn:a:b_c", "urn:", "a://b#", "_:b0"]
    assert local_names(column(keys)).to_pylist() == [local_name(key) for key in keys]


def test_every_character_is_folded() -> None:
    letters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    assert folded(column(letters)).to_pylist() == [letter.casefold() for letter in letters]
    assert all(letter.casefold() == letter for letter in letters if ord(letter) >= CASED)


def test_many_that_look_alike() -> None:
    rng = np.random.default_rng(0)
    texts = [f"{PREFIX}{n}" for n in rng.integers(0, 5000, 20_000)] + ["same"] * 5000
    assert [texts[place] for place in sort_order(column(texts))] == sorted(texts)


@given(seed=st.integers(0, 1 << 32), begins=st.sampled_from([("",), ("", "a" * 7, "a" * 8, PREFIX), (PREFIX,)]))
@settings(max_examples=25, deadline=None)
def test_so_many_that_bytes_are_sorted(seed: int, begins: tuple[str, ...]) -> None:
    rng = np.random.default_rng(seed)
    letters = np.array(["\0", "a", "b", "é", "aaaaaaaa"])[: int(rng.integers(1, 6))]
    texts = [
        str(rng.choice(begins)) + "".join(rng.choice(letters, size))
        for size in rng.integers(0, int(rng.integers(1, 12)), 3000)
    ]
    for threads in (1, 2):
        assert [texts[place] for place in sort_order(column(texts), threads)] == sorted(texts)
    order = np.arange(len(texts))
    sort_within(column(texts), order, np.array([[0, 10], [500, 2900]]))
    assert [texts[place] for place in order[500:2900]] == sorted(texts[500:2900])
    assert [texts[place] for place in order[:10]] == sorted(texts[:10]) and order[499] == 499
