"""Orders of prediction and the two streams, against every order of four pieces and against XLNet itself."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from kept.data.noise import Noise
from kept.objectives.permutation import last_in_order, permutation_order, two_stream_visibility

CLS, SEP = 0, 5


def order_of(pieces: tuple[int, ...]) -> Tensor:
    """The ranks of [CLS] a b c d [SEP] predicted in the order of `pieces`."""
    rank = torch.full((1, 6), -1)
    for step, piece in enumerate(pieces):
        rank[0, piece] = step
    return rank


@pytest.mark.parametrize("given", [0, 2])
def test_every_order_of_four_pieces(given: int) -> None:
    """The first `given` of an order are no targets."""
    for pieces in itertools.permutations(range(1, 5)):
        rank, real = order_of(pieces), torch.ones(1, 6, dtype=torch.bool)
        targets = rank >= given
        content, query = two_stream_visibility(rank, targets, real)
        free = {CLS, SEP, *pieces[:given]}
        for place in range(6):
            before = set(pieces[given : pieces.index(place)]) if place in pieces[given:] else set()
            itself = {place}
            assert set(query[0, 0, place].nonzero().flatten().tolist()) == free | before
            assert set(content[0, 0, place].nonzero().flatten().tolist()) == free | before | itself


def random_case(seed: int, rows: int = 5, length: int = 12) -> tuple[Tensor, Tensor, Tensor]:
    keys = torch.arange(rows) + 100 * seed
    mask = torch.arange(length)[None, :] < torch.tensor([12, 9, 5, 2, 7])[:rows, None]
    special = torch.zeros_like(mask)
    special[:, 0] = True
    rank = permutation_order(Noise(seed, 0).uniform(keys, length, "order"), mask, special)
    return rank, last_in_order(rank, 0.5), mask


@pytest.mark.parametrize("seed", range(5))
def test_no_target_reaches_its_own_query(seed: int) -> None:
    rank, targets, mask = random_case(seed)
    content, query = (visible.squeeze(1).long() for visible in two_stream_visibility(rank, targets, mask))
    reach = torch.eye(12, dtype=torch.long).expand(5, 12, 12)
    from_query = torch.zeros_like(reach)
    for _ in range(3):
        # A query keeps what it has through the residual, and reads the contents of the layer below.
        from_query = ((from_query + query @ reach) > 0).long()
        reach = ((reach + content @ reach) > 0).long()
    for row, i in targets.nonzero().tolist():
        hidden = targets[row] & (rank[row] >= rank[row, i])
        assert hidden[i]
        assert not from_query[row, i, hidden].any()
    others = ~targets
    assert not (from_query & targets[:, None, :].long())[others].any()
    assert not (reach & targets[:, None, :].long())[others].any()
    assert not query.masked_fill(mask[:, None, :], 0).any()


@pytest.mark.parametrize("seed", range(3))
def test_by_the_rule_of_xlnets_own_data(seed: int) -> None:
    """perm_mask[i, j] blocks where self_rank_i <= rank_j and j is a target; self_rank is rank + 1 off the targets."""
    order, _, mask = random_case(seed)
    # Any pieces of the order, also such that others stand before and behind them.
    targets = (order >= 0) & (Noise(seed, 1).uniform(torch.arange(5), 12, "targets") < 0.5)
    rank = order.masked_fill(~targets, -1)
    own = torch.where(targets, rank, rank + 1)
    perm_mask = (own[:, :, None] <= rank[:, None, :]) & targets[:, None, :]
    content, query = two_stream_visibility(order, targets, mask)
    assert torch.equal(query[:, 0], ~perm_mask & mask[:, None, :])
    assert torch.equal(content[:, 0], (~perm_mask | torch.eye(12, dtype=torch.bool)) & mask[:, None, :])


def test_the_layers_of_xlnet_see_the_same() -> None:
    from transformers import XLNetConfig, XLNetModel

    torch.manual_seed(0)
    model = XLNetModel(XLNetConfig(vocab_size=9, d_model=16, n_layer=1, n_head=2, d_inner=16)).eval()
    rank = order_of((3, 1, 4, 2))
    targets = rank >= 1
    content, query = two_stream_visibility(rank, targets, torch.ones(1, 6, dtype=torch.bool))
    blocked = (~query[:, 0]).float()
    states = torch.randn(1, 6, 16)
    mapping = torch.eye(6)[None]

    def depends(target_mapping: Tensor | None) -> Tensor:
        def final(x: Tensor) -> Tensor:
            read = model(inputs_embeds=x, perm_mask=blocked, target_mapping=target_mapping)
            return read.last_hidden_state[0]

        return torch.autograd.functional.jacobian(final, states).abs().sum((1, 2, 4)) > 0

    assert torch.equal(depends(None), content[0, 0])
    assert torch.equal(depends(mapping), query[0, 0])


def test_an_order_is_uniform_and_belongs_to_its_record() -> None:
    keys = torch.arange(6000)
    mask = torch.ones(6000, 5, dtype=torch.bool)
    special = torch.zeros_like(mask)
    special[:, 2] = True
    draws = Noise(3, 1).uniform(keys, 5, "order")
    rank = permutation_order(draws, mask, special)
    assert (rank[:, 2] == -1).all()
    assert (rank[:, [0, 1, 3, 4]].sort(1).values == torch.arange(4)).all()
    seen = torch.unique(rank, dim=0, return_counts=True)[1]
    assert len(seen) == 24
    assert ((seen - 250).abs() < 5 * 250**0.5).all()
    wide = Noise(3, 1).uniform(keys[:7], 9, "order")
    padded = torch.nn.functional.pad(mask[:7], (0, 4)), torch.nn.functional.pad(special[:7], (0, 4))
    assert torch.equal(permutation_order(wide, *padded)[:, :5], rank[:7])


def test_the_last_of_an_order_are_predicted() -> None:
    rank = torch.tensor([[-1, 0, 1, 2, 3, 4, 5, -1], [0, -1, -1, -1, -1, -1, -1, -1], [-1] * 8])
    assert last_in_order(rank).sum(1).tolist() == [1, 1, 0]
    assert last_in_order(rank, 0.5)[0].tolist() == [False] * 4 + [True] * 3 + [False]
    assert torch.equal(last_in_order(rank, 1.0), rank >= 0)
