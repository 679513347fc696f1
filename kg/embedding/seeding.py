"""Random numbers that depend on where they are drawn, not on what was drawn before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def mixed(seed: int, part: int) -> int:
    """One seed out of two numbers.

    >>> mixed(0, 1) == mixed(0, 1), mixed(0, 1) == mixed(1, 0)
    (True, False)
    """
    return int(np.random.SeedSequence([seed, part]).generate_state(1, np.uint64)[0] >> 1)


@contextmanager
def seeded(seed: int, part: int) -> Iterator[None]:
    """Torch's generators set from (seed, part) within the block, and put back after it."""
    with torch.random.fork_rng():
        torch.manual_seed(mixed(seed, part))
        yield
