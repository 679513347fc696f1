"""The queue against a list, the twin against its recurrence."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from kept.objectives.identity import NOTHING, same_content
from kept.objectives.queue import MomentumQueue, ema_update, soft_targets


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 7), st.lists(st.integers(0, 17), max_size=6))
def test_it_holds_the_last_ones(size: int, batches: list[int]) -> None:
    queue, put = MomentumQueue(size, width=2, codes=3), []
    for batch in batches:
        new = torch.arange(len(put), len(put) + batch)
        queue.enqueue(torch.stack([new, -new], 1).float(), new[:, None].expand(-1, 3))
        put += new.tolist()
        held = queue.vectors[queue.mask]
        assert sorted(held[:, 0].tolist()) == put[-size:]
        assert torch.equal(held[:, 0].long(), queue.contents[queue.mask][:, 2])
        assert int(queue.filled) == min(len(put), size)
        assert (queue.contents[~queue.mask] == NOTHING).all()


def test_splitting_a_batch_changes_nothing() -> None:
    rows, codes = torch.randn(9, 4), torch.arange(18).view(9, 2)
    whole, parts = MomentumQueue(5, 4, 2), MomentumQueue(5, 4, 2)
    whole.enqueue(rows, codes)
    for start, end in ((0, 2), (2, 2), (2, 8), (8, 9)):
        parts.enqueue(rows[start:end], codes[start:end])
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name


def test_it_resumes_from_its_state() -> None:
    queue = MomentumQueue(4, 2, 2)
    assert not list(queue.parameters())
    queue.enqueue(torch.ones(3, 2, requires_grad=True), torch.zeros(3, 2, dtype=torch.int64))
    assert not queue.vectors.requires_grad
    place = io.BytesIO()
    torch.save(queue.state_dict(), place)
    place.seek(0)
    resumed = MomentumQueue(4, 2, 2)
    resumed.load_state_dict(torch.load(place, weights_only=True))
    for one in (queue, resumed):
        one.enqueue(torch.full((2, 2), 7.0), torch.full((2, 2), 7))
    for name, value in queue.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert queue.vectors[:, 0].tolist() == [7, 1, 1, 7]


def test_contents_of_any_width() -> None:
    queue = MomentumQueue(3, 1, 4)
    queue.enqueue(torch.zeros(1, 1), torch.tensor([[-1, 11]]))
    queue.enqueue(torch.zeros(1, 1), torch.tensor([[5, 12, -1, -1, 8, -1, 9]]))
    queue.enqueue(torch.zeros(1, 1), torch.tensor([[6, 13, 1, 2, 3]]))
    assert queue.contents.tolist() == [[-1, 11, -1, -1], [5, 12, 8, 9], [6, 13, 1, 2]]
    assert same_content(torch.tensor([[-1, 99, 9]]), queue.contents).tolist() == [[False, True, False]]


def test_refuses_a_queue_of_nothing() -> None:
    with pytest.raises(ValueError, match="1 and 2 at least"):
        MomentumQueue(0, 4, 2)


def test_the_twin_follows_by_its_recurrence() -> None:
    torch.manual_seed(0)
    online = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    twin = copy.deepcopy(online).requires_grad_(False)
    expected = twin[0].weight.double().clone()
    for _ in range(5):
        with torch.no_grad():
            for parameter in online.parameters():
                parameter.add_(torch.randn_like(parameter))
        online(torch.randn(6, 3))
        ema_update(twin, online, 0.9)
        expected = 0.9 * expected + 0.1 * online[0].weight.double()
    torch.testing.assert_close(twin[0].weight.double(), expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(twin[1].running_mean, online[1].running_mean)
    assert int(twin[1].num_batches_tracked) == 5
    assert not twin[0].weight.requires_grad
    with pytest.raises(ValueError, match="weight"):
        ema_update(nn.ReLU(), online, 0.9)


def test_soft_targets_by_hand() -> None:
    similarity = torch.tensor([[0.0, 3.0**0.5, -torch.inf]], requires_grad=True)
    positive = torch.tensor([[True, True, False]])
    found = soft_targets(similarity, positive, 0.4)
    twin = similarity[:, :2].softmax(1)
    torch.testing.assert_close(found[:, :2], 0.4 * twin.detach() + 0.6 * torch.tensor([[0.5, 0.5]]))
    assert found[0, 2] == 0
    assert found.sum().item() == pytest.approx(1)
    assert not found.requires_grad
    assert torch.equal(soft_targets(similarity, positive, 0.0), torch.tensor([[0.5, 0.5, 0.0]]))
