"""Hard negatives come as often as their softmax says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kept.data.noise import Noise
from kept.objectives.hard_pairs import NONE_ALLOWED, hard_pairs


def test_frequencies_are_those_of_the_softmax() -> None:
    times, similarity = 40_000, torch.tensor([0.5, -1.0, 2.0, 0.0, 1.0])
    forbidden = torch.tensor([False, False, False, True, False])
    draws = Noise(0, 0).uniform(torch.arange(times), 1, "hard").squeeze(1)
    found = hard_pairs(similarity.expand(times, 5), forbidden.expand(times, 5), draws)
    wanted = similarity.masked_fill(forbidden, -torch.inf).softmax(0)
    seen = torch.bincount(found, minlength=5) / times
    assert seen[3] == 0
    assert ((seen - wanted).abs() <= 4 * (wanted * (1 - wanted) / times).sqrt()).all()


def test_the_inverse_transform_by_hand() -> None:
    similarity = torch.tensor([1.0, 2.0, 1.0]).log().expand(4, 3)
    draws = torch.tensor([0.0, 0.2499, 0.7499, 0.7501])
    assert hard_pairs(similarity, torch.zeros(4, 3, dtype=torch.bool), draws).tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("draw", [0.0, 0.5, 1 - 2**-24])
def test_a_saturated_softmax_gives_its_maximum(draw: float) -> None:
    similarity = torch.tensor([[1e4, 0.0, 1e4 - 900.0, -1e30], [torch.inf, torch.nan, -torch.inf, 3.0]])
    forbidden = torch.tensor([[True, False, False, False], [False, False, False, False]])
    assert hard_pairs(similarity, forbidden, torch.full((2,), draw)).tolist() == [2, 0]


@pytest.mark.parametrize("draw", [0.0, 0.5, 1 - 2**-24])
def test_what_is_forbidden_is_never_drawn(draw: float) -> None:
    similarity = torch.tensor([[9.0, -torch.inf, torch.nan, 9.0]]).expand(3, 4)
    forbidden = torch.tensor([[True, True, False, True], [True, False, True, True], [True, True, True, True]])
    assert hard_pairs(similarity, forbidden, torch.full((3,), draw)).tolist() == [2, 1, NONE_ALLOWED]


def test_a_single_row_has_no_negative() -> None:
    draw = torch.tensor([0.5])
    assert hard_pairs(torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool), draw).tolist() == [NONE_ALLOWED]
    assert hard_pairs(torch.zeros(1, 0), torch.ones(1, 0, dtype=torch.bool), draw).tolist() == [NONE_ALLOWED]
    assert hard_pairs(torch.zeros(0, 3), torch.ones(0, 3, dtype=torch.bool), draw[:0]).tolist() == []


def test_a_queue_of_candidates_is_drawn_from_exactly() -> None:
    similarity = 4 * torch.randn(65_536, generator=torch.Generator().manual_seed(2))
    draws = Noise(5, 0).uniform(torch.arange(200), 1, "hard").squeeze(1)
    weights = np.exp(similarity.double().numpy())
    wanted = np.searchsorted(weights.cumsum(), draws.double().numpy() * weights.sum(), side="right")
    found = hard_pairs(similarity.expand(200, -1), torch.zeros(1, 1, dtype=torch.bool).expand(200, 65_536), draws)
    assert found.tolist() == wanted.tolist()


def test_a_row_does_not_depend_on_the_others() -> None:
    similarity = torch.randn(6, 8, generator=torch.Generator().manual_seed(1), requires_grad=True)
    draws = Noise(4, 2).uniform(torch.arange(6), 1, "hard").squeeze(1)
    own = torch.eye(6, 8, dtype=torch.bool)
    whole = hard_pairs(similarity, own, draws)
    order = torch.tensor([4, 0, 5])
    assert torch.equal(hard_pairs(similarity[order], own[order], draws[order]), whole[order])
