"""R-GCN: one linear map for each relation, shared through bases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kg.embedding.encoders.base import ENCODERS, GRAPH_DEFAULTS, Encoder
from kg.embedding.messages import mean_norm, relational_sum
from kg.embedding.states import Edges, States
from kg.errors import InputError


@ENCODERS.register("rgcn")
class RGCN(Encoder):
    """R-GCN: the mean of each relation's neighbours through its own matrix.

        h_i' = sum_r sum_(j in N_r(i)) W_r h_j / |N_r(i)| + W_0 h_i + b

    Matrices are composed of a few bases, W_r = sum_b a_rb V_b, or consist of blocks along the diagonal.

    with ReLU between layers. It has no relation states of its own: the scorer's stay free vectors. Memory does not grow
    with the edges.

    Args:
        entity_width, relation_width: what the scorer reads.
        num_relations: 2R.
        layers: how far a message travels.
        bases: B, the number of basis matrices.
        blocks: the number of blocks, a divisor of the width; given, it replaces the bases.
        one_hot: the first layer reads one-hot entities, as for the classification of entities in the paper: what
            stands in an entity's row of the basis matrices and of W_0 are its features, (B + 1) widths of them.
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
        blocks: int | None = None,
        one_hot: bool = False,
        dropout: float = 0.0,
        edge_dropout: float = 0.0,
    ) -> None:
        if blocks is not None and entity_width % blocks:
            raise InputError(f"encoder_options.blocks: {blocks} blocks cannot share {entity_width} numbers")
        super().__init__(hops=layers, edge_dropout=edge_dropout)
        self.entity_features, self.relation_features = entity_width, relation_width
        self.first = OneHotLayer(entity_width, num_relations, bases) if one_hot else None
        if one_hot:
            self.entity_features, layers = (bases + 1) * entity_width, layers - 1
        self.layers = nn.ModuleList(
            RGCNLayer(entity_width, entity_width, num_relations, bases, blocks) for _ in range(layers)
        )
        self.dropout = nn.Dropout(dropout)

    def encode(self, edges: Edges, entities: Tensor, relations: Tensor) -> States:
        norm = mean_norm(edges, len(entities)).to(entities.dtype)
        if self.first is not None:
            entities = self.first(entities, edges, norm)
        for depth, layer in enumerate(self.layers):
            if depth or self.first is not None:
                entities = self.dropout(torch.relu(entities))
            entities = layer(entities, edges, norm)
        return States(entities, relations)


class OneHotLayer(nn.Module):
    """The first layer over one-hot entities: (N, (B + 1) outputs) -> (N, outputs)."""

    def __init__(self, outputs: int, num_relations: int, bases: int) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(torch.empty(num_relations, bases))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.outputs = outputs
        nn.init.xavier_uniform_(self.coefficients)

    def forward(self, rows: Tensor, edges: Edges, norm: Tensor) -> Tensor:
        """`rows` holds an entity's row of each basis matrix, one behind the other, then that of W_0."""
        bases, root = rows.split([rows.shape[1] - self.outputs, self.outputs], 1)
        # Row e of W_r is sum_b a_rb V_b[e], a product with the matrix (a_r1 I, a_r2 I, ...).
        unit = torch.eye(self.outputs, dtype=rows.dtype, device=rows.device)
        weights = torch.einsum("rb,ij->rbij", self.coefficients, unit).flatten(1, 2)
        summed = relational_sum(bases.contiguous(), weights, edges, norm)
        return summed + root + self.bias


class RGCNLayer(nn.Module):
    """One layer: (N, inputs) -> (N, outputs)."""

    def __init__(self, inputs: int, outputs: int, num_relations: int, bases: int, blocks: int | None = None) -> None:
        super().__init__()
        if blocks is None:
            self.bases = nn.Parameter(torch.empty(bases, inputs, outputs))
            self.coefficients = nn.Parameter(torch.empty(num_relations, bases))
        else:
            self.blocks = nn.Parameter(torch.empty(num_relations, blocks, inputs // blocks, outputs // blocks))
        self.root = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        for name, parameter in self.named_parameters():
            if name != "bias":
                nn.init.xavier_uniform_(parameter)

    def weights(self) -> Tensor:
        """(2R, inputs, outputs), or (2R, blocks, inputs / blocks, outputs / blocks)."""
        if hasattr(self, "blocks"):
            return self.blocks
        return torch.einsum("rb,bio->rio", self.coefficients, self.bases)

    def forward(self, entities: Tensor, edges: Edges, norm: Tensor) -> Tensor:
        return relational_sum(entities, self.weights(), edges, norm) + entities @ self.root + self.bias
