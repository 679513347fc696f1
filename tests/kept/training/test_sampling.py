"""Batches as a function of seed and step alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kept.training.sampling import Sampler

LENGTHS = np.random.default_rng(0).integers(1, 40, 1000)


@settings(max_examples=60, deadline=None)
@given(records=st.integers(1, 200), size=st.integers(1, 9), ranks=st.integers(1, 4), epoch=st.integers(0, 2))
def test_an_epoch_visits_each_record_once(records: int, size: int, ranks: int, epoch: int) -> None:
    samplers = [Sampler(LENGTHS[:records], size, 5, rank, ranks) for rank in range(ranks)]
    steps = range(epoch * samplers[0].batches_per_epoch, (epoch + 1) * samplers[0].batches_per_epoch)
    batches = [[sampler.at(step) for sampler in samplers] for step in steps]
    assert all(found == epoch for step in batches for found, _ in step)
    seen = np.concatenate([rows for step in batches for _, rows in step])
    assert sorted(seen.tolist()) == list(range(records))
    if records >= ranks:
        assert all(len(rows) for step in batches for _, rows in step), "a process is without work"


def test_ranks_share_the_batches_of_one_process() -> None:
    alone = Sampler(LENGTHS, size=8, seed=0)
    pair = [Sampler(LENGTHS, size=4, seed=0, rank=rank, ranks=2) for rank in range(2)]
    for step in (0, 7, 300):
        together = np.concatenate([sampler.at(step)[1] for sampler in pair])
        assert sorted(together.tolist()) == sorted(alone.at(step)[1].tolist())


def test_a_step_needs_no_history() -> None:
    straight, jumping = Sampler(LENGTHS, 16, seed=3), Sampler(LENGTHS, 16, seed=3)
    wanted = {step: straight.at(step) for step in range(150)}
    for step in (140, 3, 77, 139):
        assert jumping.at(step)[0] == wanted[step][0]
        assert jumping.at(step)[1].tolist() == wanted[step][1].tolist()


def test_seeds_and_epochs_differ() -> None:
    sampler, other = Sampler(LENGTHS, 16, seed=0), Sampler(LENGTHS, 16, seed=1)
    first = sampler.at(0)[1].tolist()
    assert first != other.at(0)[1].tolist()
    assert first != sampler.at(sampler.batches_per_epoch)[1].tolist()


def test_batches_hold_records_of_similar_length() -> None:
    sampler = Sampler(LENGTHS, 16, seed=0)
    drawn = [LENGTHS[sampler.at(step)[1]] for step in range(sampler.batches_per_epoch)]
    padding = sum(len(lengths) * lengths.max() for lengths in drawn) / LENGTHS.sum()
    shuffled = np.random.default_rng(0).permutation(LENGTHS)
    unsorted = [shuffled[start : start + 16] for start in range(0, len(shuffled), 16)]
    plain = sum(len(lengths) * lengths.max() for lengths in unsorted) / LENGTHS.sum()
    assert padding == pytest.approx(1.0, abs=0.2)
    assert padding < plain - 0.3
