"""R-GCN: one linear map for each relation, shared through bases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kg.embedding.encoders.base import ENCODERS, GRAPH_DEFAULTS, Encoder
from kg.embedding.messages import mean_norm, relational_sum
from kg.embedding.states import Edges, States


@ENCODERS.register("rgcn")
class RGCN(Encoder):
    """R-GCN: the mean of each relation's neighbours through its own matrix, matrices composed of a few bases.

        h_i' = sum_r sum_(j in N_r(i)) W_r h_j / |N_r(i)| + W_0 h_i + b,   W_r = sum_b a_rb V_b

    with ReLU between layers. It has no relation states of its own: the scorer's stay free vectors. Memory does not grow
    with the edges.

    Args:
        entity_width, relation_width: what the scorer reads.
        num_relations: 2R.
        layers: how far a message travels.
        bases: B, the number of basis matrices.
        dropout: share of hidden numbers that are dropped between layers.
        edge_dropout: share of edges that are dropped at each step of training.

    Source: Schlichtkrull et al. 2018, "Modeling Relational Data with Graph Convolutional Networks", equations 2-3.
    """

    defaults: ClassVar[Mapping[str, Any]] = GRAPH_DEFAULTS

    def __init__(
        self,
        *,
        entity_width: int,
        relation_width: int,
        num_relations: int,
        layers: int = 2,
        bases: int = 30,
        dropout: float = 0.0,
        edge_dropout: float = 0.0,
    ) -> None:
        super().__init__(hops=layers, edge_dropout=edge_dropout)
        self.entity_features, self.relation_features = entity_width, relation_width
        self.layers = nn.ModuleList(RGCNLayer(entity_width, entity_width, num_relations, bases) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)

    def encode(self, edges: Edges, entities: Tensor, relations: Tensor) -> States:
        norm = mean_norm(edges, len(entities)).to(entities.dtype)
        for depth, layer in enumerate(self.layers):
            if depth:
                entities = self.dropout(torch.relu(entities))
            entities = layer(entities, edges, norm)
        return States(entities, relations)


class RGCNLayer(nn.Module):
    """One layer: (N, inputs) -> (N, outputs)."""

    def __init__(self, inputs: int, outputs: int, num_relations: int, bases: int) -> None:
        super().__init__()
        self.bases = nn.Parameter(torch.empty(bases, inputs, outputs))
        self.coefficients = nn.Parameter(torch.empty(num_relations, bases))
        self.root = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        for parameter in (self.bases, self.coefficients, self.root):
            nn.init.xavier_uniform_(parameter)

    def forward(self, entities: Tensor, edges: Edges, norm: Tensor) -> Tensor:
        weights = torch.einsum("rb,bio->rio", self.coefficients, self.bases)
        return relational_sum(entities, weights, edges, norm) + entities @ self.root + self.bias
