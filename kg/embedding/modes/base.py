"""The contract of training modes: facts -> batches, a batch -> a loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from kg.embedding.config import FitConfig
from kg.embedding.penalties import l2, n3
from kg.embedding.scorers import Scorer
from kg.embedding.states import States
from kg.errors import InputError, nearest
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

    asks: ClassVar[bool] = True
    """It reads the states of some entities (`States.at`), and not of all."""
    losses: ClassVar[tuple[str, ...]]
    """What `config.loss` may be, the default first."""

    def __init__(self, triples: Tensor, num_entities: int, config: FitConfig) -> None:
        if config.loss is not None and config.loss not in self.losses:
            raise InputError(f"loss: {config.mode} has no loss {config.loss!r}; {nearest(config.loss, self.losses)}")
        self.triples, self.num_entities, self.config = triples, num_entities, config
        self.half = config.precision == "bfloat16"

    @property
    @abstractmethod
    def steps(self) -> int:
        """Batches in an epoch."""

    @abstractmethod
    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        """The batches of one epoch in an order drawn from `generator`."""

    def size(self, batch: Batch) -> int:
        """Facts of a batch: what its loss is the mean over."""
        return len(batch[0])  # type: ignore[index]

    @abstractmethod
    def loss(self, scorer: Scorer, states: States, batch: Batch) -> Tensor:
        """The mean loss of a batch, a differentiable scalar."""

    def penalty(self, scorer: Scorer, *factors: tuple[Tensor, Tensor | None]) -> Tensor:
        """N3 and L2 of rows, each as often as its weight (B,) says; nothing is computed where both weights are 0."""
        total = factors[0][0].new_zeros(())
        if not self.config.n3 and not self.config.l2:
            return total
        for rows, counts in factors:
            moduli = scorer.moduli(rows)
            if self.config.n3:
                total = total + self.config.n3 * n3(moduli, counts)
            if self.config.l2:
                total = total + self.config.l2 * l2(moduli, counts)
        return total


def occurring(relations: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """The states of the relations that occur in `ids`, each once, and how often each does."""
    distinct, counts = torch.unique(ids, return_counts=True)
    return relations[distinct], counts


MODES: Registry[type[Mode]] = Registry("training mode")
