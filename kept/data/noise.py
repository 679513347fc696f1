"""Random numbers that belong to a record, not to a batch.

A draw is a hash of (seed, epoch, purpose, record, position), so a record is corrupted alike whatever batch, order,
worker, rank or resumed run it appears in.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

GOLDEN = -7046029254386353131
MIX_1 = -4658895280553007687
MIX_2 = -7723592293110705685


def mix(x: Tensor) -> Tensor:
    """The finaliser of SplitMix64 on int64 tensors, whose arithmetic wraps around.

    Source: Steele et al. 2014, "Fast splittable pseudorandom number generators", figure 17.
    """
    x = (x ^ _shift(x, 30)) * MIX_1
    x = (x ^ _shift(x, 27)) * MIX_2
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    """A logical right shift, which torch lacks for int64."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def key_of(text: str) -> int:
    """A record id as a signed 64-bit key."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


@dataclass(frozen=True, slots=True)
class Noise:
    """Where random numbers come from: the run's seed and the epoch.

    >>> noise = Noise(seed=0, epoch=0)
    >>> keys = torch.tensor([5, 9])
    >>> torch.equal(noise.uniform(keys, 3, "mask")[1:], noise.uniform(keys[1:], 3, "mask"))
    True
    """

    seed: int
    epoch: int

    def bits(self, keys: Tensor, width: int, purpose: str) -> Tensor:
        """(B,) keys -> (B, width) int64, uniform over all 64-bit values."""
        stream = key_of(f"{self.seed}/{self.epoch}/{purpose}")
        start = mix(keys + stream)
        steps = torch.arange(1, width + 1, device=keys.device, dtype=torch.int64) * GOLDEN
        return mix(start[:, None] + steps)

    def uniform(self, keys: Tensor, width: int, purpose: str) -> Tensor:
        """(B,) keys -> (B, width) float32 in [0, 1)."""
        return _shift(self.bits(keys, width, purpose), 40).to(torch.float32) * 2.0**-24

    def integers(self, keys: Tensor, width: int, high: int, purpose: str) -> Tensor:
        """(B,) keys -> (B, width) int64 in [0, high)."""
        return _shift(self.bits(keys, width, purpose), 1) % high
