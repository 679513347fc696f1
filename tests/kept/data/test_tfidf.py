"""TF-IDF against its formula in plain Python, and what hard negatives never are."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kept.data.record import Record
from kept.data.tfidf import hard_negatives, tfidf
from kept.data.tokenized import TokenizedRecords
from tests.kept import tiny

WORDS = ("a", "b", "c", "d", "e")
Texts = st.lists(st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join), min_size=1, max_size=7)


def corpus_of(*texts: str) -> TokenizedRecords:
    return tiny.corpus([Record(id=str(number), text=text) for number, text in enumerate(texts)])


def similarities(texts: list[str]) -> np.ndarray:
    """Cosines by the textbook: 1- and 2-grams, 1 + ln tf, 1 + ln((1 + N) / (1 + df)), unit length."""
    split = [text.split() for text in texts]
    terms = [Counter([*words, *itertools.pairwise(words)]) for words in split]
    frequency = Counter(term for counted in terms for term in counted)
    rows = []
    for counted in terms:
        row = {
            term: (1 + math.log(count)) * (1 + math.log((1 + len(texts)) / (1 + frequency[term])))
            for term, count in counted.items()
        }
        norm = math.sqrt(sum(value**2 for value in row.values()))
        rows.append({term: value / norm for term, value in row.items()})
    return np.array([[sum(value * two.get(term, 0.0) for term, value in one.items()) for two in rows] for one in rows])


@settings(max_examples=60, deadline=None)
@given(Texts)
def test_similarities_by_the_textbook(texts: list[str]) -> None:
    matrix = tfidf(corpus_of(*texts))
    np.testing.assert_allclose((matrix @ matrix.T).toarray(), similarities(texts), atol=1e-12)


def test_an_example_by_hand() -> None:
    """Of "a b" and "a c": a is in both (idf 1), b, c and the pairs in one each (idf 1 + ln 3/2)."""
    idf = 1 + math.log(3 / 2)
    matrix = tfidf(corpus_of("a b", "a c"))
    assert (matrix @ matrix.T).toarray()[0, 1] == pytest.approx(1 / (1 + 2 * idf**2))


@settings(max_examples=60, deadline=None)
@given(Texts, st.integers(1, 4), st.sampled_from([0.3, 0.5, 1.0]))
def test_the_nearest_below_the_bound_in_order(texts: list[str], top_k: int, sim_max: float) -> None:
    found = hard_negatives(corpus_of(*texts), top_k=top_k, sim_max=sim_max)
    near = similarities(texts)
    for row in range(len(texts)):
        allowed = [
            near[row, other]
            for other in range(len(texts))
            if texts[other] != texts[row] and 1e-9 < near[row, other] < sim_max - 1e-9
        ]
        chosen = [int(other) for other in found[row] if other >= 0]
        assert [near[row, other] for other in chosen] == pytest.approx(sorted(allowed, reverse=True)[:top_k])
        assert found[row, len(chosen) :].tolist() == [-1] * (top_k - len(chosen))


def test_they_share_no_picture_no_words_and_no_entity() -> None:
    copy = Record(id="copy", text=tiny.RECORDS[tiny.NO_MENTION].text, image="2.png")
    same_picture = Record(id="same", text="The banner of nobody in particular.", image="2.png")
    records = [*tiny.RECORDS, copy, same_picture]
    corpus = tiny.corpus(records)
    found = hard_negatives(corpus, top_k=len(records), sim_max=1.0)
    rows, _ = np.nonzero(found >= 0)
    others = found[found >= 0]
    assert len(others) > 20
    assert corpus.differs(rows, others).all()


def test_the_plain_reading_never_takes_an_equal_text() -> None:
    """The cosine of equal texts may round to just below 1."""
    texts = [" ".join(WORDS[(start + step) % 5] for step in range(9)) for start in range(4)]
    found = hard_negatives(corpus_of(*texts, *texts), top_k=1, sim_max=1.0)
    assert all(other % 4 != row % 4 for row, other in enumerate(found[:, 0].tolist()) if other >= 0)
    assert (found >= 0).all()


def test_they_are_computed_once_for_each_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = tiny.corpus()
    first = corpus.hard_negatives(3, 0.5)
    assert corpus.hard_negatives(3, 0.5) is first
    assert corpus.hard_negatives(2, 0.5).shape == (len(corpus), 2)


def test_texts_without_a_word_have_no_negatives() -> None:
    assert (hard_negatives(corpus_of("", ""), top_k=2) == -1).all()
    assert (hard_negatives(corpus_of("a"), top_k=2) == -1).all()
