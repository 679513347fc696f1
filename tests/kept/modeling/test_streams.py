"""Streams, layers and visibilities against enumeration."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import softmax

from kept.modeling import visibility
from kept.modeling.layers import Attention, FeedForward, TransformerLayer, initialise
from kept.modeling.streams import Stream, pool
from kg.errors import InputError
from tests.kept.modeling.contract import fresh, generator, random


def stream(rows: int = 4, length: int = 3) -> Stream:
    mask = torch.rand(rows, length, generator=generator()) < 0.6
    return Stream.full(random(rows, length, 2), "frame", mask)


def test_take_repeats_and_reorders_whole_rows() -> None:
    given, rows = stream(), torch.tensor([2, 0, 2])
    taken = given.take(rows)
    for name in ("states", "mask", "positions", "owner"):
        assert torch.equal(getattr(taken, name), getattr(given, name)[rows]), name
    assert (len(taken), taken.length, taken.kind) == (3, 3, "frame")


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=8))
def test_regroup_joins_the_rows_of_an_owner_in_order(drawn: list[int]) -> None:
    owner = [sorted(set(drawn)).index(one) for one in drawn]
    given = stream(rows=len(owner))
    joined = given.regroup(torch.tensor(owner))
    for group in range(max(owner) + 1):
        rows = [row for row, one in enumerate(owner) if one == group]
        for name in ("states", "mask", "positions"):
            expected = torch.cat([getattr(given, name)[row] for row in rows])
            assert torch.equal(getattr(joined, name)[group, : len(expected)], expected)
        assert not joined.mask[group, len(rows) * given.length :].any()
    assert joined.owner.tolist() == list(range(max(owner) + 1))


def test_pool_is_the_mean_of_what_is_real() -> None:
    given = stream()
    for row in range(len(given)):
        real = given.states[row][given.mask[row]]
        expected = real.mean(0) if len(real) else torch.zeros(2)
        torch.testing.assert_close(pool(given)[row], expected)


def test_padding_shows_every_real_key_and_all_where_there_is_none() -> None:
    mask = torch.tensor([[True, False, True], [False, False, False]])
    assert visibility.padding(mask)[:, 0, 0].tolist() == [[True, False, True], [True, True, True]]


@pytest.mark.parametrize("length", [1, 4])
def test_causal_and_prefix_by_enumeration(length: int) -> None:
    prefixes = torch.arange(length + 1)
    shown = visibility.prefix(prefixes, length)
    for p, q, k in itertools.product(range(length + 1), range(length), range(length)):
        assert bool(visibility.causal(length)[0, 0, q, k]) == (k <= q)
        assert bool(shown[p, 0, q, k]) == (k < p or k <= q)


def test_both_is_the_conjunction_of_what_is_given() -> None:
    one, two = torch.tensor([True, True, False, False]), torch.tensor([True, False, True, False])
    combined = visibility.both(None, one, two)
    assert combined is not None
    assert combined.tolist() == [True, False, False, False]
    assert visibility.both(None, None) is None
    assert visibility.both(None, one) is one


def test_attention_by_the_formula() -> None:
    layer = fresh(Attention(8, 2))
    x, context, visible = random(2, 3, 8), random(2, 5, 8, seed=1), torch.rand(2, 1, 3, 5, generator=generator()) < 0.7
    visible[..., 0] = True
    key, value = layer.key_value(context).chunk(2, -1)
    mixed = []
    for head in (slice(0, 4), slice(4, 8)):
        scores = layer.query(x)[..., head] @ key[..., head].transpose(1, 2) / 2
        mixed.append(softmax(scores.masked_fill(~visible[:, 0], -torch.inf), -1) @ value[..., head])
    expected = layer.output(torch.cat(mixed, -1))
    torch.testing.assert_close(layer(x, context, visible), expected)


def test_attention_needs_heads_that_divide_its_width() -> None:
    with pytest.raises(InputError, match="width 8 does not divide into 3 heads"):
        Attention(8, 3)


def test_layers_have_the_right_gradients() -> None:
    for layer in (FeedForward(4, 6), TransformerLayer(4, 2, 6)):
        x = random(1, 3, 4).double().requires_grad_()
        assert torch.autograd.gradcheck(fresh(layer).double(), (x,), fast_mode=True)


def test_a_part_is_drawn_from_its_own_generator() -> None:
    torch.manual_seed(0)
    state = torch.get_rng_state()
    layers = [TransformerLayer(4, 2, 6) for _ in range(2)]
    torch.set_rng_state(state)
    for layer in layers:
        initialise(layer, generator(3))
    assert torch.equal(torch.get_rng_state(), state)
    for one, two in zip(*(layer.parameters() for layer in layers), strict=True):
        assert torch.equal(one, two)
