"""TranSparse: TransR with fewer numbers for rarer relations."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from kg.embedding.scorers.base import SCORERS
from kg.embedding.scorers.transr import TransR
from kg.embedding.states import Edges, States
from kg.errors import InputError


@SCORERS.register("transparse")
class TranSparse(TransR):
    """TranSparse: TransR whose matrices are the sparser the rarer their relation is ("share", one matrix a relation).

        sparseness of M_r:  s_r = 1 - (1 - s) N_r / max N

    Which numbers are zero is drawn once, never those on the diagonal. Expresses what TransR does.

    Args:
        sparseness: s, that of the most frequent relation, 0 to 1.
        relation_dim: as for TransR.

    Source: Ji et al. 2016, "Knowledge Graph Completion with Adaptive Sparse Transfer Matrix", section 4.

        >>> scorer = TranSparse(5, 2, dim=8, facts_per_relation=torch.tensor([4, 2, 4, 2]))
        >>> (scorer.states().relations[1] == 0).sum() > (scorer.states().relations[0] == 0).sum()
        tensor(True)
    """

    def __init__(
        self, num_entities: int, num_relations: int, dim: int = 200, *, sparseness: float = 0.3, **options: Any
    ) -> None:
        if not 0 <= sparseness <= 1:
            raise InputError(f"scorer_options.sparseness: expected a share from 0 to 1, got {sparseness}")
        super().__init__(num_entities, num_relations, dim, **options)
        counts = self.facts_per_relation
        # Vectors that were fitted have their zeros already; nothing is counted for them.
        kept_shares = (
            torch.ones(2 * num_relations) if counts is None else (1 - sparseness) * counts / counts.max().clamp_min(1)
        )
        kept = torch.rand(2 * num_relations, self.space, dim) < kept_shares[:, None, None]
        kept.diagonal(dim1=1, dim2=2).fill_(True)
        mask = torch.cat([torch.ones(2 * num_relations, self.space, dtype=torch.bool), kept.flatten(1)], 1)
        self.mask: Tensor
        self.register_buffer("mask", mask, persistent=False)

    def encode(self, edges: Edges, entities: Tensor) -> States:
        states = super().encode(edges, entities)
        return states._replace(relations=states.relations * self.mask)
