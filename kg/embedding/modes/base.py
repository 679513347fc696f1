"""The contract of training modes: facts -> batches, a batch -> a loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Generic, TypeVar

import torch
from torch import Tensor

from kg.embedding.config import FitConfig
from kg.embedding.losses import l2, n3
from kg.embedding.scorers import Scorer
from kg.embedding.states import States
from kg.registry import Registry

Batch = TypeVar("Batch")


class Mode(ABC, Generic[Batch]):
    """How a scorer learns from facts: what a batch is, and the loss of one.

    Args:
        triples: (T, 3) facts with their inverses.
        num_entities: N.
        config: batch size and whatever else the mode reads.

    The batches of one epoch see every fact once. A loss is the mean over the batch's facts, penalties included.
    """

    def __init__(self, triples: Tensor, num_entities: int, config: FitConfig) -> None:
        self.triples, self.num_entities, self.config = triples, num_entities, config

    @property
    @abstractmethod
    def steps(self) -> int:
        """Batches in an epoch."""

    @abstractmethod
    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        """The batches of one epoch in an order drawn from `generator`."""

    @abstractmethod
    def loss(self, scorer: Scorer, states: States, batch: Batch) -> Tensor:
        """The mean loss of a batch, a differentiable scalar."""

    def penalty(self, scorer: Scorer, *factors: Tensor) -> Tensor:
        """N3 and L2 of the rows at hand, summed; nothing is computed where both weights are 0."""
        moduli = [scorer.moduli(factor) for factor in factors] if self.config.n3 or self.config.l2 else []
        total = factors[0].new_zeros(())
        if self.config.n3:
            total = total + self.config.n3 * n3(*moduli)
        if self.config.l2:
            total = total + self.config.l2 * l2(*moduli)
        return total


MODES: Registry[type[Mode]] = Registry("training mode")
