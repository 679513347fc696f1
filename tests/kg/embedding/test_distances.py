"""Distances to all candidates against plain loops."""

from __future__ import annotations

import pytest
import torch

from kg.embedding.distances import euclidean, modulus_distance, squared_factors


def tables() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(12, 6, generator=generator, dtype=torch.float64)
    return draws[:5].clone(), draws[5:].clone()


def test_squared_and_euclidean_are_distances() -> None:
    query, entities = tables()
    expected = torch.cdist(query, entities, compute_mode="donot_use_mm_for_euclid_dist")
    left, right = squared_factors(query, entities)
    torch.testing.assert_close(-(left @ right.T), expected**2)
    torch.testing.assert_close(euclidean(query, entities), expected)


@pytest.mark.parametrize("block", [1, 50, 10_000])
def test_modulus_distance_is_the_sum_of_moduli(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kg.embedding.distances.BLOCK", block)
    query, entities = tables()
    as_complex = [torch.complex(*table.chunk(2, 1)) for table in (query, entities)]
    expected = (as_complex[0][:, None] - as_complex[1][None]).abs().sum(2)
    torch.testing.assert_close(modulus_distance(query, entities), expected)
    inputs = query.requires_grad_(), entities.requires_grad_()
    assert torch.autograd.gradcheck(modulus_distance, inputs)


def test_a_distance_of_zero_has_a_finite_gradient() -> None:
    point = torch.ones(1, 4, requires_grad=True)
    for distance in (euclidean, modulus_distance):
        (gradient,) = torch.autograd.grad(distance(point, torch.ones(1, 4)).sum(), point)
        assert gradient.isfinite().all()
