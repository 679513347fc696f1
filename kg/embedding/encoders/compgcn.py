"""CompGCN: neighbours composed with relation states, which are learned along."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kg.embedding.encoders.base import ENCODERS, GRAPH_DEFAULTS, Encoder
from kg.embedding.messages import composed_sum, symmetric_norm
from kg.embedding.states import Edges, States
from kg.errors import InputError, nearest

COMPOSITIONS = ("sub", "mult", "corr")


@ENCODERS.register("compgcn")
class CompGCN(Encoder):
    """CompGCN: neighbours composed with the relation's state, three matrices for facts, inverses and the self loop.

        h_i' = tanh(BN((W_out sum phi(h_j, z_r) + W_in sum phi(h_j, z_r) + W_loop phi(h_i, z_loop)) / 3)),  z_r' = W z_r

    where the sums run over facts and inverse facts into i with symmetric degree weights, and phi is a difference, a
    product or a circular correlation. Unlike R-GCN it has relation states, and its size does not grow with the
    relations. Memory does not grow with the edges.

    Args:
        entity_width, relation_width: what the scorer reads; a last linear map bridges differing widths.
        num_relations: 2R.
        composition: sub, mult or corr.
        layers: how far a message travels.
        dropout: share of the numbers that are dropped before each normalisation.
        edge_dropout: share of edges that are dropped at each step of training.

    Source: Vashishth et al. 2020, "Composition-based Multi-Relational Graph Convolutional Networks", section 4.
    """

    defaults: ClassVar[Mapping[str, Any]] = GRAPH_DEFAULTS

    def __init__(
        self,
        *,
        entity_width: int,
        relation_width: int,
        num_relations: int,
        composition: str = "mult",
        layers: int = 1,
        dropout: float = 0.1,
        edge_dropout: float = 0.0,
    ) -> None:
        if composition not in COMPOSITIONS:
            raise InputError(
                f"encoder_options.composition: nothing is called {composition!r}; {nearest(composition, COMPOSITIONS)}"
            )
        super().__init__(hops=layers, edge_dropout=edge_dropout)
        self.entity_features = self.relation_features = entity_width
        self.layers = nn.ModuleList(CompGCNLayer(entity_width, composition, dropout) for _ in range(layers))
        self.bridge = nn.Identity() if relation_width == entity_width else nn.Linear(entity_width, relation_width)

    def encode(self, edges: Edges, entities: Tensor, relations: Tensor) -> States:
        halves = [(half, symmetric_norm(half, len(entities)).to(entities.dtype)) for half in edges.halves()]
        for layer in self.layers:
            entities, relations = layer(entities, relations, halves)
        return States(entities, self.bridge(relations))


class CompGCNLayer(nn.Module):
    """One layer: (N, width), (2R, width) -> the same shapes."""

    def __init__(self, width: int, composition: str, dropout: float) -> None:
        super().__init__()
        self.composition = composition
        self.directions = nn.Parameter(torch.empty(2, width, width))
        self.loop = nn.Parameter(torch.empty(width, width))
        self.loop_relation = nn.Parameter(torch.empty(1, width))
        self.relation_map = nn.Parameter(torch.empty(width, width))
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.BatchNorm1d(width)
        for matrix in (*self.directions.unbind(), self.loop, self.loop_relation, self.relation_map):
            nn.init.xavier_normal_(matrix)

    def forward(self, entities: Tensor, relations: Tensor, halves: list[tuple[Edges, Tensor]]) -> tuple[Tensor, Tensor]:
        own = Edges.loops(len(entities), entities.device)
        summed = composed_sum(entities, self.loop_relation, own, entities.new_ones(len(entities)), self.composition)
        update = summed @ self.loop
        for direction, (edges, norm) in zip(self.directions, halves, strict=True):
            update = update + self.dropout(composed_sum(entities, relations, edges, norm, self.composition) @ direction)
        return torch.tanh(self.norm(update / 3)), relations @ self.relation_map
