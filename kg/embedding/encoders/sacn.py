"""SACN's encoder: a graph convolution that weighs relations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kg.embedding.encoders.base import ENCODERS, GRAPH_DEFAULTS, Encoder
from kg.embedding.messages import composed_sum
from kg.embedding.scorers.norm import BatchNorm
from kg.embedding.states import Edges, States


@ENCODERS.register("sacn")
class SACN(Encoder):
    """SACN's weighted GCN: a learned weight for each relation in each layer.

        h_i' = tanh(BN(sum_(j, r) alpha_r W h_j + W h_i))

    Its decoder is the scorer `conv-transe`, but any will do. Memory does not grow with the edges.

    Args:
        entity_width, relation_width: what the scorer reads.
        num_relations: 2R.
        layers: how far a message travels.
        dropout: share of hidden numbers that are dropped behind each layer.
        edge_dropout: share of edges that are dropped at each step of training.

    Source: Shang et al. 2019, "End-to-End Structure-Aware Convolutional Networks for Knowledge Base Completion",
    section 3.1.
    """

    defaults: ClassVar[Mapping[str, Any]] = GRAPH_DEFAULTS

    def __init__(
        self,
        *,
        entity_width: int,
        relation_width: int,
        num_relations: int,
        layers: int = 1,
        dropout: float = 0.2,
        edge_dropout: float = 0.0,
    ) -> None:
        super().__init__(hops=layers, edge_dropout=edge_dropout)
        self.entity_features, self.relation_features = entity_width, relation_width
        self.maps = nn.ModuleList(nn.Linear(entity_width, entity_width, bias=False) for _ in range(layers))
        self.norms = nn.ModuleList(BatchNorm(entity_width) for _ in range(layers))
        self.weights = nn.Parameter(torch.full((layers, num_relations), 0.1))
        self.dropout = nn.Dropout(dropout)

    def encode(self, edges: Edges, entities: Tensor, relations: Tensor) -> States:
        plain = entities.new_ones(len(edges.source))
        for linear, norm, weights in zip(self.maps, self.norms, self.weights.unbind(), strict=True):
            mapped = linear(entities)
            by_relation = weights[:, None].expand(-1, mapped.shape[1])
            arriving = composed_sum(mapped, by_relation, edges, plain, "mult")
            entities = self.dropout(torch.tanh(norm(arriving + mapped)))
        return States(entities, relations)
