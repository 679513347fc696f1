"""Spans of words and the single [MASK] in their place, against plain Python."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kept.data.batch import Text
from kept.data.noise import Noise
from kept.objectives.spans import NO_SPAN, geometric_lengths, infill, poisson_lengths, span_words

MASK, CLS, SEP = 4, 2, 3
# A sentence is a list of words, a word so many pieces; sentences are parted by [SEP].
SENTENCES = st.lists(st.lists(st.integers(1, 3), max_size=9), min_size=1, max_size=3)
RATIOS = st.sampled_from([0.15, 0.3, 1.0])


def text_of(records: list[list[list[int]]], extra: int = 0) -> Text:
    rows = []
    for sentences in records:
        words, number = [-1], itertools.count()
        for sentence in sentences:
            for pieces in sentence:
                words += [next(number)] * pieces
            words.append(-1)
        rows.append(words)
    width = max(map(len, rows)) + extra
    words = torch.tensor([row + [-1] * (width - len(row)) for row in rows])
    mask = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in rows])
    ids = torch.where(words >= 0, 10 + torch.arange(width), SEP).masked_fill(~mask, 0)
    ids[:, 0] = CLS
    return Text(ids, mask, words < 0, words)


def chosen(text: Text, seed: int, ratio: float, lengths: Tensor, able: Tensor | None = None, tries: int = 30) -> Tensor:
    draws = Noise(seed, 0).uniform(torch.arange(len(text.ids)), 2 * tries, "spans")
    return span_words(text, text.mask if able is None else able, draws, lengths, ratio)


def runs(row: Tensor) -> list[tuple[int, list[int]]]:
    """Each span of a row with the places it covers."""
    return [(n, (row == n).nonzero().flatten().tolist()) for n in sorted(set(row.tolist()) - {NO_SPAN})]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(SENTENCES, min_size=1, max_size=4), st.integers(0, 99), st.sampled_from([0.15, 0.3, 1.0]), st.booleans()
)
def test_what_a_span_is(records: list[list[list[int]]], seed: int, ratio: float, poisson: bool) -> None:
    text = text_of(records)
    able = Noise(seed, 1).uniform(torch.arange(len(records)), text.ids.shape[1], "able") < 0.8
    spans = chosen(text, seed, ratio, poisson_lengths() if poisson else geometric_lengths(), able)
    for row, words in enumerate(text.words):
        pieces = {w: (words == w).nonzero().flatten().tolist() for w in set(words.tolist()) - {-1}}
        free = [w for w, places in pieces.items() if able[row, places].all()]
        taken = []
        for _, places in runs(spans[row]):
            assert places == list(range(places[0], places[-1] + 1))
            inside = sorted(set(words[places].tolist()))
            assert sum(len(pieces[w]) for w in inside) == len(places)
            assert set(inside) <= set(free)
            taken += inside
        assert len(taken) <= round(len(free) * ratio)


@settings(deadline=None, max_examples=40)
@given(st.lists(SENTENCES, min_size=1, max_size=4), st.integers(0, 99))
def test_single_words_use_up_the_budget(records: list[list[list[int]]], seed: int) -> None:
    text = text_of(records)
    spans = chosen(text, seed, 0.5, torch.tensor([1.0]))
    for row, words in enumerate(text.words):
        count = len(set(words.tolist()) - {-1})
        assert len(runs(spans[row])) == round(count * 0.5)


@settings(deadline=None, max_examples=40)
@given(st.lists(SENTENCES, min_size=2, max_size=4), st.integers(0, 99))
def test_a_record_is_alone_with_its_draws(records: list[list[list[int]]], seed: int) -> None:
    whole = text_of(records, extra=3)
    draws = Noise(seed, 0).uniform(torch.arange(len(records)), 40, "spans")
    spans = span_words(whole, whole.mask, draws, geometric_lengths(), 0.4)
    for row, record in enumerate(records):
        alone = text_of([record])
        found = span_words(alone, alone.mask, draws[row : row + 1], geometric_lengths(), 0.4)
        length = alone.ids.shape[1]
        assert torch.equal(found[0], spans[row, :length])
        assert (spans[row, length:] == NO_SPAN).all()


@pytest.mark.parametrize("lengths", [geometric_lengths(), poisson_lengths(), geometric_lengths(0.5, 4)])
def test_lengths_and_starts_are_drawn_as_said(lengths: Tensor) -> None:
    assert lengths.sum().item() == pytest.approx(1)
    rows, words = 4000, 40
    text = text_of([[[1] * words]])
    text = text.take(torch.zeros(rows, dtype=torch.int64))
    spans = chosen(text, 5, 1.0, lengths, tries=1)
    found = (spans != NO_SPAN).sum(1)
    seen = torch.bincount(found, minlength=len(lengths) + 1)[1:].double() / rows
    assert ((seen - lengths).abs() < 4 * (lengths * (1 - lengths) / rows).sqrt() + 1e-9).all()
    ones = spans[found == 1].int().argmax(1) - 1
    assert ones.double().mean().item() == pytest.approx((words - 1) / 2, abs=4 * words / 12**0.5 / len(ones) ** 0.5)


def test_the_probabilities_by_their_formulas() -> None:
    assert poisson_lengths()[4].item() == pytest.approx(
        3**5 / 120 / sum(3**n / math.factorial(n) for n in range(1, 13))
    )
    assert geometric_lengths(0.2)[3].item() == pytest.approx(0.2 * 0.8**3 / (1 - 0.8**10))


def test_nothing_to_take() -> None:
    text = text_of([[[]], [[1]], [[1, 1, 1]]])
    assert (chosen(text, 0, 0.15, geometric_lengths()) == NO_SPAN).all()
    draws = Noise(0, 0).uniform(torch.arange(3), 8, "spans")
    at_least = span_words(text, text.mask, draws, geometric_lengths(), 0.0, at_least=1)
    assert (at_least != NO_SPAN).sum(1).tolist() == [0, 1, 1]
    assert (span_words(text, text.mask, draws[:, :0], geometric_lengths(), 1.0) == NO_SPAN).all()
    shorter, origin = infill(text, torch.full_like(text.ids, NO_SPAN), MASK)
    assert torch.equal(shorter.ids, text.ids)
    assert torch.equal(origin >= 0, text.mask)


def test_a_draw_on_the_border_belongs_to_the_longer() -> None:
    text = text_of([[[1] * 6]])
    draws = torch.tensor([[0.5, 0.0]])
    found = span_words(text, text.mask, draws, torch.tensor([0.5, 0.5], dtype=torch.float64), 1.0)
    assert found.tolist() == [[-1, 0, 0, -1, -1, -1, -1, -1]]


def test_words_beyond_the_width_of_a_shortened_text() -> None:
    text = text_of([[[3, 1, 1, 2]]])
    shorter, _ = infill(text, torch.where((text.words >= 0) & (text.words < 3), 0, NO_SPAN), MASK)
    again = span_words(shorter, shorter.mask, torch.tensor([[0.0, 0.9]]), torch.tensor([1.0]), 0.5)
    assert again.tolist() == [[-1, -1, 0, 0, -1]]


@settings(deadline=None, max_examples=60)
@given(st.lists(SENTENCES, min_size=1, max_size=4), st.integers(0, 99), RATIOS)
def test_infilling_by_plain_python(records: list[list[list[int]]], seed: int, ratio: float) -> None:
    text = text_of(records)
    spans = chosen(text, seed, ratio, poisson_lengths())
    shorter, origin = infill(text, spans, MASK)
    widths = []
    for row in range(len(records)):
        wanted: list[tuple[int, int, int]] = []
        for place in range(int(text.mask[row].sum())):
            span = int(spans[row, place])
            if span == NO_SPAN:
                wanted.append((int(text.ids[row, place]), int(text.words[row, place]), place))
            elif int(spans[row, place - 1]) != span:
                wanted.append((MASK, int(text.words[row, place]), place))
        widths.append(len(wanted))
        ids, words, places = (list(column) for column in zip(*wanted, strict=True))
        n, rest = len(wanted), shorter.ids.shape[1] - len(wanted)
        assert shorter.ids[row].tolist() == ids + [0] * rest
        assert shorter.words[row].tolist() == words + [-1] * rest
        assert origin[row].tolist() == places + [-1] * rest
        assert shorter.mask[row].tolist() == [True] * n + [False] * rest
        assert shorter.special[row].tolist() == [word < 0 for word in words] + [True] * rest
    assert shorter.ids.shape[1] == max(widths)


def test_infilling_refuses_specials() -> None:
    text = text_of([[[1, 1]]])
    with pytest.raises(ValueError, match="special"):
        infill(text, torch.zeros_like(text.ids), MASK)
