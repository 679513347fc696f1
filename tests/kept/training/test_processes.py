"""Two processes equal one: gathered rows, contrast over all of them, and whole steps of the loop."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
import torch
import torch.multiprocessing
from safetensors.torch import load_file

from tests.kept.training import workers
from tests.kept.training.stage import assert_close, assert_equal

Findings = list[dict[str, torch.Tensor]]


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which two processes left what they found."""
    folder = tmp_path_factory.mktemp("processes")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(workers.work, args=(port, str(folder)), nprocs=workers.RANKS)
    return folder


@pytest.fixture(scope="module")
def findings(worked: Path) -> Findings:
    """What each of two processes found."""
    return [load_file(worked / f"{rank}.safetensors") for rank in range(workers.RANKS)]


def part(findings: dict[str, torch.Tensor], name: str) -> dict[str, torch.Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in findings.items() if key.startswith(f"{name}.")}


def test_rows_are_gathered_in_order_with_their_gradient(findings: Findings) -> None:
    whole = torch.cat([torch.arange(6.0).view(3, 2), torch.tensor([[9.0, 8.0]])])
    # Each process asks (its number + 1) times 0..7 of the rows: three times in all.
    gradient = 3 * torch.arange(8.0).view(4, 2)
    for found, own in zip(findings, (gradient[:3], gradient[3:]), strict=True):
        assert torch.equal(found["gather.rows"], whole)
        assert torch.equal(found["gather.gradient"], own)
        assert found["gather.codes"].tolist() == [[5, -1], [6, 6], [6, 6]]


@pytest.mark.parametrize(("name", "shares"), [("contrast", workers.SHARES), ("lonely", workers.WITHOUT_PICTURES)])
def test_contrast_over_two_processes_is_that_of_one(
    name: str, shares: tuple[list[int], ...], findings: Findings
) -> None:
    alone = workers.contrast([row for share in shares for row in share])
    found = [part(one, name) for one in findings]
    for rank in found:
        torch.testing.assert_close(rank.pop("baseline"), alone["baseline"])
    weighted = sum(rank.pop("floor") * rank["count"] for rank in found) / alone["count"]
    torch.testing.assert_close(weighted, alone.pop("floor"))
    alone.pop("baseline")
    summed = {key: sum(rank.get(key, torch.zeros(())) for rank in found) for key in alone}
    assert_close(summed, alone)


@pytest.mark.parametrize(("name", "objectives"), [("usual", workers.USUAL), ("others", workers.OTHERS)])
def test_steps_of_two_processes_are_those_of_one(name: str, objectives: tuple[str, ...], findings: Findings) -> None:
    """Every objective, batches that do not divide evenly, clipped gradients, momentum: the same weights."""
    one, two = (part(found, name) for found in findings)
    assert_equal(one, two)
    alone = workers.train(3 * workers.RANKS, objectives)
    assert_same_weights(one, alone)


def test_a_checkpoint_of_two_processes_is_gone_on_with_by_one(worked: Path) -> None:
    assert (worked / "begun" / "checkpoint").is_dir()
    assert_same_weights(workers.end(worked / "begun"), workers.end(None))


def assert_same_weights(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    for weights in (one, other):
        for key, value in weights.items():
            if key.endswith("key_value.bias"):
                # A shift of all keys has no influence, so that this half follows nothing but rounding.
                value[: len(value) // 2] = 0
    assert_close(one, other)
