"""Products in two precisions, and memory that is used again."""

from __future__ import annotations

import ctypes

import pytest
import torch

from kg.embedding import FitConfig, fit, memory, rank
from kg.embedding.losses import one_vs_all_binary, one_vs_all_cross_entropy, sampled_cross_entropy
from kg.embedding.products import factor_gradients, product, row_blocks
from tests.kg.embedding.contract import ENTITIES, RELATIONS, random_facts


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_half_precision_rounds_factors_and_not_sums() -> None:
    left, right = normal(64, 300), normal(50, 300, seed=1)
    exact, rounded = product(left, right), product(left, right, half=True)
    assert rounded.dtype == torch.float32
    # Factors have 8 bits: their errors of up to 2^-8 each are independent, so sums err by the root of their number.
    assert (exact - rounded).abs().max() < 2**-8 * 300**0.5 * 3
    assert torch.get_float32_matmul_precision() == "highest"


def test_gradients_of_factors_take_the_precision_of_the_products() -> None:
    gradient, left, right = normal(6, 9), normal(6, 4, seed=1), normal(9, 4, seed=2)
    exact, rounded = factor_gradients(gradient, left, right), factor_gradients(gradient.bfloat16(), left, right)
    for one, other in zip(exact, rounded, strict=True):
        assert other.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=0.05, atol=0.05)


def test_blocks_hold_every_row_once() -> None:
    matrix = torch.zeros(7, 60_000)
    assert [(block.start, min(block.stop, 7)) for block in row_blocks(matrix)] == [(0, 2), (2, 4), (4, 6), (6, 7)]


@pytest.mark.parametrize("loss", ["softmax", "binary", "sampled"])
def test_losses_in_half_precision_are_near_those_in_full(loss: str) -> None:
    left, right = normal(6, 64).requires_grad_(), normal(40, 64, seed=1).requires_grad_()
    rows, columns = torch.arange(6), torch.arange(6) * 3
    functions = {
        "softmax": lambda half: one_vs_all_cross_entropy(left / 8, right, rows, columns, half=half),
        "binary": lambda half: one_vs_all_binary(left / 8, right, rows, columns, half=half),
        "sampled": lambda half: sampled_cross_entropy(
            left / 8, right, left.sum(1), torch.zeros(40), rows, columns, half=half
        ),
    }
    found = []
    for half in (False, True):
        value = functions[loss](half)
        found.append((value, *torch.autograd.grad(value, (left, right))))
    for exact, rounded in zip(*found, strict=True):
        assert (exact - rounded).norm() < 0.02 * exact.norm()


@pytest.mark.parametrize("mode", ["1vsall", "kvsall", "sampled"])
def test_a_fit_in_half_precision_learns_as_well(mode: str) -> None:
    config = FitConfig(dim=32, epochs=60, batch=8, mode=mode, n3=0.0, precision="bfloat16")
    model = fit(random_facts(), ENTITIES, RELATIONS, config).model
    assert model.entities.dtype == torch.float32
    assert rank(model, random_facts(), random_facts()).mrr() > 0.95


def test_memory_is_kept_within_and_given_back_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, ...]] = []

    class Library:
        def mallopt(self, option: int, value: int) -> None:
            calls.append((option, value))

        def malloc_trim(self, pad: int) -> None:
            calls.append((pad,))

    monkeypatch.setattr(memory, "glibc", Library)
    with memory.freed_memory_kept():
        assert (memory.M_MMAP_MAX, 0) in calls
        before = len(calls)
        with memory.freed_memory_kept():
            pass
        assert len(calls) == before
    assert calls[before:] == [*memory.DEFAULTS.items(), (0,)]


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    memory.glibc.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: (_ for _ in ()).throw(OSError(name)))
    try:
        assert memory.glibc() is None
        with memory.freed_memory_kept():
            pass
    finally:
        memory.glibc.cache_clear()
