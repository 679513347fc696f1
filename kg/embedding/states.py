"""What an encoder reads (edges) and what a scorer reads (states)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from kg.embedding.optim import gather


class States(NamedTuple):
    """Entities and relations as a scorer sees them, after the encoder.

    `entities` is (N, entity width), `relations` (2R, relation width): relation `r + R` is the inverse of `r`. `terms`
    are losses of the encoder's own (the KL term of a variational one), to be added to the training loss.
    """

    entities: Tensor
    relations: Tensor
    terms: tuple[Tensor, ...] = ()

    def at(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """The states of some entities, (len(ids), entity width), and of all relations.

        Where entities are free vectors, the gradient is sparse.
        """
        return gather(self.entities, ids), self.relations


class Edges(NamedTuple):
    """The graph along which messages flow: every fact once in each direction, sorted by relation.

    `source`, `target` are (E,) entity ids, `offsets` (2R + 1,) bounds the edges of each relation, so that relation `r`
    owns `source[offsets[r]:offsets[r + 1]]`. A fact (h, r, t) sends h to t under `r` and t to h under `r + R`. Where
    these edges are a part of a larger graph, `degrees` (N, 2) tells in how many facts of it each entity is head and
    tail.

        >>> edges = Edges.from_triples(np.array([[0, 0, 1], [2, 0, 1]]), num_relations=1)
        >>> edges.source.tolist(), edges.target.tolist(), edges.offsets.tolist()
        ([0, 2, 1, 1], [1, 1, 0, 2], [0, 2, 4])
    """

    source: Tensor
    target: Tensor
    offsets: Tensor
    degrees: Tensor | None = None

    @classmethod
    def from_triples(cls, triples: np.ndarray, num_relations: int) -> Edges:
        both = with_inverses(torch.as_tensor(np.asarray(triples), dtype=torch.long), num_relations)
        head, relation, tail = both[torch.argsort(both[:, 1], stable=True)].unbind(1)
        counts = torch.bincount(relation, minlength=2 * num_relations)
        return cls(head, tail, _bounds(counts))

    @property
    def relations(self) -> Tensor:
        """The relation of each edge, (E,)."""
        return torch.repeat_interleave(
            torch.arange(len(self.offsets) - 1, device=self.source.device), self.offsets.diff()
        )

    def dropped(self, share: float) -> Edges:
        """A random `1 - share` of the edges (R-GCN's edge dropout)."""
        return self._replace(degrees=None).only(torch.rand(len(self.source), device=self.source.device) >= share)

    def only(self, kept: Tensor) -> Edges:
        """The edges that a mask (E,) keeps."""
        counts = torch.bincount(self.relations[kept], minlength=len(self.offsets) - 1)
        return Edges(self.source[kept], self.target[kept], _bounds(counts), self.degrees)

    def halves(self) -> tuple[Edges, Edges]:
        """The facts as they stand, and their inverses; both over all 2R relations."""
        facts = self.relations < (len(self.offsets) - 1) // 2
        return self.only(facts), self.only(~facts)

    @classmethod
    def loops(cls, num_entities: int, device: torch.device) -> Edges:
        """An edge from each entity to itself, under one relation."""
        ids = torch.arange(num_entities, device=device)
        return cls(ids, ids, torch.tensor([0, num_entities], device=device))


def _bounds(counts: Tensor) -> Tensor:
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


def with_inverses(triples: Tensor, num_relations: int) -> Tensor:
    """(T, 3) facts -> (2T, 3): each fact (h, r, t), then each as (t, r + R, h).

    >>> with_inverses(torch.tensor([[0, 1, 2]]), num_relations=2).tolist()
    [[0, 1, 2], [2, 3, 0]]
    """
    head, relation, tail = triples.unbind(1)
    return torch.cat([triples, torch.stack([tail, relation + num_relations, head], 1)])
