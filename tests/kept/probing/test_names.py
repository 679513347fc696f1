"""The probability of a name against reading it piece by piece."""

from __future__ import annotations

import pytest
import torch

from kept.modeling.model import KeptModel
from kept.probing import names as module
from kept.probing.names import NameTable
from tests.kept import tiny


def one_by_one(model: KeptModel, hidden: torch.Tensor, name: list[int]) -> torch.Tensor:
    """log p of a name: each piece from the state at the mask, its slot and the piece before."""
    total = hidden.new_zeros(len(hidden))
    for place, piece in enumerate(name):
        slot, before = torch.full((len(hidden),), place), torch.full((len(hidden),), name[max(place - 1, 0)])
        total = total + model.name_logits(hidden, slot, before).log_softmax(dim=1)[:, piece]
    return total


@pytest.mark.parametrize("block", [2, 512])
@pytest.mark.parametrize("kept", [0, 8])
def test_names_are_scored_as_if_read_one_by_one(block: int, kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    monkeypatch.setattr(module, "KEPT", kept)
    model = tiny.model(knowledge=False).double()
    generator = torch.Generator().manual_seed(3)
    hidden = torch.randn(5, tiny.WIDTH, generator=generator, dtype=torch.float64)
    names = [[7, 3], [8, 9, 3], [8, 10, 9, 3], [9, 9, 3], [11], [10, 8, 11, 9, 10, 12, 13, 8, 9, 3, 3, 3]]
    slots = model.config.slots
    table = NameTable.build(names, slots, model)
    assert table.slots == slots
    place = torch.arange(slots).repeat(len(hidden))
    with torch.no_grad():
        logits = model.name_logits(hidden.repeat_interleave(slots, dim=0), place).view(len(hidden), slots, -1)
        expected = torch.stack([one_by_one(model, hidden, name[:slots]) for name in names], dim=1)
        for _ in range(2):
            torch.testing.assert_close(table.log_probabilities(logits), expected, rtol=1e-9, atol=1e-9)


def test_pieces_that_never_agree_are_no_numbers_lost() -> None:
    """What the question and the piece before expect may lie far apart: the product of the exponentials is tiny."""
    model = tiny.model(knowledge=False)
    with torch.no_grad():
        model.pieces.follow.weight.mul_(200.0)
    table = NameTable.build([[7, 3], [8, 9, 3]], model.config.slots, model)
    logits = torch.zeros(2, table.slots, model.config.vocabulary)
    logits[0, :, 3] = 300.0
    assert torch.isfinite(table.log_probabilities(logits)).all()


def test_a_space_of_one_piece_names() -> None:
    model = tiny.model(knowledge=False)
    table = NameTable.build([[7], [8]], model.config.slots, model)
    logits = torch.randn(3, 1, model.config.vocabulary)
    torch.testing.assert_close(table.log_probabilities(logits), logits[:, 0].log_softmax(1)[:, [7, 8]])
