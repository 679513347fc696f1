"""The packed encoder equals the padded one, token by token, forwards and backwards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from kept.modeling import visibility
from kept.modeling.activations import ACTIVATIONS
from kept.modeling.encoder import Encoder, EncoderConfig
from kept.modeling.packing import Packing
from kg.errors import InputError
from tests.kept.modeling.contract import fresh, generator, random

SMALL = EncoderConfig(width=8, layers=2, heads=2, hidden=12)
SHAPES = {
    "bert": replace(SMALL, norm="post"),
    "vit": replace(SMALL, final_norm=True),
    "clip": replace(SMALL, activation="quick_gelu", causal=True, final_norm=True),
    "gated": replace(SMALL, feed_forward="gated", activation="gelu_tanh"),
}
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [1, 0, 1, 1, 0], [1, 1, 1, 0, 0]]).bool()
STATES = random(5, 5, 8, seed=4)


def reference(encoder: Encoder, states: Tensor, mask: Tensor, visible: Tensor | None = None) -> Tensor:
    """The same encoder, padded: softmax, matrices and norms written out."""
    config, x = encoder.config, states
    seen = mask[:, None, None, :].expand(-1, config.heads, mask.shape[1], -1)
    if config.causal:
        seen = seen & torch.ones(seen.shape[-2:], dtype=torch.bool).tril()
    if visible is not None:
        seen = seen & visible
    for layer in encoder.layers:
        assert isinstance(layer, torch.nn.Module)
        parts: Any = layer
        y = parts.attention_norm(x) if config.norm == "pre" else x
        query, key, value = (
            part.view(*x.shape[:2], config.heads, -1).transpose(1, 2)
            for part in parts.attention.query_key_value(y).chunk(3, dim=-1)
        )
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        weights = scores.masked_fill(~seen, float("-inf")).softmax(-1).nan_to_num(0.0)
        x = x + parts.attention.output((weights @ value).transpose(1, 2).flatten(2))
        if config.norm == "post":
            x = parts.attention_norm(x)
        y = parts.feed_forward_norm(x) if config.norm == "pre" else x
        act = ACTIVATIONS[config.activation]
        inner = parts.feed_forward.expand(y)
        if config.feed_forward == "gated":
            gate, inner = inner.chunk(2, dim=-1)
            inner = act(gate) * inner
        else:
            inner = act(inner)
        x = x + parts.feed_forward.contract(inner)
        if config.norm == "post":
            x = parts.feed_forward_norm(x)
    return encoder.norm(x) * mask[..., None]


@pytest.mark.parametrize("shape", SHAPES)
def test_it_equals_the_padded_computation(shape: str) -> None:
    encoder: Encoder = fresh(Encoder(SHAPES[shape]))
    for mask in (MASK, torch.ones_like(MASK), MASK[:1], MASK[2:3], MASK[1:2]):
        states = STATES[: len(mask)]
        torch.testing.assert_close(encoder(states, mask), reference(encoder, states, mask))


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_equal_those_of_the_padded_computation(shape: str) -> None:
    encoder: Encoder = fresh(Encoder(SHAPES[shape])).double()
    weight = random(5, 5, 8, seed=9).double()
    grads = []
    for run in (encoder, lambda *inputs: reference(encoder, *inputs)):
        states = STATES.double().requires_grad_()
        inputs = [states, *encoder.parameters()]
        # Rows of nothing but padding are left out, where the reference would divide zero by zero.
        rows = MASK.any(1)
        grads.append(torch.autograd.grad((run(states[rows], MASK[rows]) * weight[rows]).sum(), inputs))
    for found, expected in zip(*grads, strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("shape", SHAPES)
def test_who_sees_whom_may_be_said(shape: str) -> None:
    encoder: Encoder = fresh(Encoder(SHAPES[shape]))
    visible = torch.rand(5, 2, 5, 5, generator=generator(3)) < 0.6
    visible |= torch.eye(5, dtype=torch.bool)
    for seen in (visible, visible[:1], visible[:, :1], visibility.causal(5)):
        torch.testing.assert_close(encoder(STATES, MASK, seen), reference(encoder, STATES, MASK, seen))


@pytest.mark.parametrize("shape", SHAPES)
def test_wanted_states_equal_those_of_the_whole(shape: str) -> None:
    encoder: Encoder = fresh(Encoder(SHAPES[shape]))
    visible = (torch.rand(5, 2, 5, 5, generator=generator(3)) < 0.6) | torch.eye(5, dtype=torch.bool)
    for mask in (MASK, torch.ones_like(MASK)):
        for seen in (None, visible):
            for share in (0.0, 0.3, 1.0):
                wanted = torch.rand(MASK.shape, generator=generator(7)) < share
                whole = encoder(STATES, mask, seen)
                expected = whole * wanted[..., None]
                torch.testing.assert_close(encoder(STATES, mask, seen, wanted), expected)


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=6), st.booleans())
@settings(max_examples=50, deadline=None)
def test_packing_and_unpacking_is_masking(rows: list[list[bool]], grouped: bool) -> None:
    mask = torch.tensor(rows)
    states = torch.arange(1.0, 1 + mask.numel()).view(*mask.shape, 1)
    packing = Packing.of(mask, grouped=grouped)
    packed = packing.pack(states)
    assert len(packed) == mask.sum()
    assert torch.equal(packing.unpack(packed), states * mask[..., None])
    if grouped:
        assert packing.groups is not None
        assert sum(count * tokens for count, tokens in packing.groups) == len(packed)
        sizes = [tokens for count, tokens in packing.groups for _ in range(count)]
        for part in packed.split(sizes):
            row = (part[0, 0] - 1).long() // 3
            assert torch.equal(part, states[row][mask[row]])


def test_padding_is_never_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder: Encoder = fresh(Encoder(SMALL))
    linear, attention = F.linear, F.scaled_dot_product_attention
    tokens, scores = [], []

    def count_tokens(x: Tensor, *others: Any) -> Tensor:
        tokens.append(x.shape[:-1])
        return linear(x, *others)

    def count_scores(query: Tensor, key: Tensor, *others: Any) -> Tensor:
        scores.append(len(query) * query.shape[2] * key.shape[2])
        return attention(query, key, *others)

    monkeypatch.setattr(F, "linear", count_tokens)
    monkeypatch.setattr(F, "scaled_dot_product_attention", count_scores)
    encoder(STATES, MASK)
    assert set(tokens) == {(int(MASK.sum()),)}
    assert sum(scores) == SMALL.layers * int((MASK.sum(1) ** 2).sum())
    tokens.clear()
    wanted = torch.zeros_like(MASK)
    wanted[0, 1] = True
    encoder(STATES, MASK, None, wanted)
    assert tokens[-2:] == [(1,), (1,)]


@pytest.mark.parametrize("shape", SHAPES)
def test_checkpointing_changes_no_number(shape: str) -> None:
    grads = []
    for checkpointing in (False, True):
        encoder = fresh(Encoder(replace(SHAPES[shape], checkpointing=checkpointing, dropout=0.2))).train()
        torch.manual_seed(3)
        encoder(STATES, MASK).square().sum().backward()
        grads.append([parameter.grad for parameter in encoder.parameters()])
    for found, expected in zip(*grads, strict=True):
        assert torch.equal(found, expected)


def test_dropout_is_for_training_only() -> None:
    encoder: Encoder = fresh(Encoder(replace(SMALL, dropout=0.5, attention_dropout=0.5)))
    assert torch.equal(encoder(STATES, MASK), encoder(STATES, MASK))
    encoder.train()
    assert not torch.equal(encoder(STATES, MASK), encoder(STATES, MASK))


@pytest.mark.parametrize("shape", SHAPES)
def test_attention_may_pad(shape: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does off the processor and under a compiler."""
    encoder: Encoder = fresh(Encoder(SHAPES[shape]))
    monkeypatch.setattr(encoder, "packing", lambda mask, visible=None: Packing.of(mask))
    for mask in (MASK, torch.ones_like(MASK)):
        torch.testing.assert_close(encoder(STATES, mask), reference(encoder, STATES, mask))


@pytest.mark.parametrize("shape", SHAPES)
def test_it_runs_in_bfloat16(shape: str) -> None:
    encoder: Encoder = fresh(Encoder(SHAPES[shape])).train()
    expected = encoder(STATES, MASK)
    wanted = torch.rand(MASK.shape, generator=generator(7)) < 0.5
    for kept in (None, wanted):
        with torch.autocast("cpu", torch.bfloat16):
            found = encoder(STATES, MASK, None, kept)
        known = expected if kept is None else expected * kept[..., None]
        torch.testing.assert_close(found.float(), known, atol=0.1, rtol=0.1)
        found.float().square().sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())
    half = encoder.to(torch.bfloat16)(STATES.bfloat16(), MASK)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), expected, atol=0.1, rtol=0.1)


def test_compiling_changes_no_number() -> None:
    torch._dynamo.reset()
    encoder: Encoder = fresh(Encoder(replace(SHAPES["bert"], layers=1)))
    compiled = torch.compile(encoder, backend="aot_eager", dynamic=True)
    grads = []
    for run in (compiled, encoder):
        states = STATES.clone().requires_grad_()
        inputs = [states, *encoder.parameters()]
        whole, few = run(states, MASK), run(states[2:], MASK[2:], None, MASK[2:] & (states[2:, :, 0] > 0))
        grads.append([whole, few, *torch.autograd.grad(whole.square().sum() + few.square().sum(), inputs)])
    for found, expected in zip(*grads, strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"layers": 0}, "encoder: layers 0; there has to be one at least"),
        ({"heads": 3}, "encoder: width 8 does not divide into 3 heads"),
        ({"norm": "prae"}, "encoder: norm 'prae'; did you mean 'pre'"),
        ({"feed_forward": "x"}, "encoder: feed_forward 'x'; choose from gated, plain"),
        ({"activation": "quickgelu"}, "encoder: activation 'quickgelu'; did you mean 'quick_gelu'"),
    ],
)
def test_what_does_not_exist_is_named(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        replace(SMALL, **wrong)
