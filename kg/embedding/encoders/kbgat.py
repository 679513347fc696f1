"""KBGAT: attention over whole facts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from kg.embedding.encoders.base import ENCODERS, GRAPH_DEFAULTS, Encoder
from kg.embedding.messages import attended_sum, softmax_into
from kg.embedding.states import Edges, States


@ENCODERS.register("kbgat")
class KBGAT(Encoder):
    """KBGAT: each fact around an entity is a vector, weighted by attention; relation states take part and are mapped.

        c_ijr = W [h_i; h_j; z_r],   a_ijr = softmax_(j, r) LeakyReLU(<w, c_ijr>),   h_i' = ELU(sum_(j, r) a_ijr c_ijr)

    for several heads side by side; the last layer averages them and adds W_E h of the beginning. z' = z W_R. An entity
    without facts keeps W_E h. Memory grows with the edges by one number a head.

    Args:
        entity_width, relation_width: what the scorer reads; a last linear map bridges differing widths.
        num_relations: 2R.
        layers: how far a message travels.
        heads: their number.
        dropout: share of hidden numbers that are dropped between layers.
        edge_dropout: share of edges that are dropped at each step of training.

    Source: Nathani et al. 2019, "Learning Attention-based Embeddings for Relation Prediction in Knowledge Graphs",
    section 3 (facts at more than one hop are reached by more layers, not by edges of their own).
    """

    defaults: ClassVar[Mapping[str, Any]] = GRAPH_DEFAULTS

    def __init__(
        self,
        *,
        entity_width: int,
        relation_width: int,
        num_relations: int,
        layers: int = 2,
        heads: int = 2,
        dropout: float = 0.0,
        edge_dropout: float = 0.0,
    ) -> None:
        super().__init__(hops=layers, edge_dropout=edge_dropout)
        self.entity_features = self.relation_features = entity_width
        share = -(-entity_width // heads)
        widths = [entity_width, *[share * heads] * (layers - 1), entity_width]
        pairs = list(itertools.pairwise(widths))
        self.layers = nn.ModuleList(
            KBGATLayer(inputs, entity_width if depth == layers else share, heads)
            for depth, (inputs, _) in enumerate(pairs, 1)
        )
        self.relation_maps = nn.ModuleList(nn.Linear(*pair, bias=False) for pair in pairs)
        self.residual = nn.Linear(entity_width, entity_width, bias=False)
        self.bridge = nn.Identity() if relation_width == entity_width else nn.Linear(entity_width, relation_width)
        self.dropout = nn.Dropout(dropout)

    def encode(self, edges: Edges, entities: Tensor, relations: Tensor) -> States:
        first = entities
        for depth, (layer, relation_map) in enumerate(zip(self.layers, self.relation_maps, strict=True)):
            by_head = layer(self.dropout(entities), relations, edges)
            last = depth == len(self.layers) - 1
            entities = by_head.mean(1) + self.residual(first) if last else functional.elu(by_head).flatten(1)
            relations = relation_map(relations)
        return States(entities, self.bridge(relations))


class KBGATLayer(nn.Module):
    """One layer: (N, width), (2R, width) -> (N, heads, outputs)."""

    def __init__(self, width: int, outputs: int, heads: int) -> None:
        super().__init__()
        self.heads, self.outputs = heads, outputs
        self.at_target, self.at_source, self.at_relation = (
            nn.Linear(width, heads * outputs, bias=False) for _ in range(3)
        )
        self.attention = nn.Parameter(torch.empty(heads, outputs))
        nn.init.xavier_normal_(self.attention)

    def forward(self, entities: Tensor, relations: Tensor, edges: Edges) -> Tensor:
        target, source, relation = (
            linear(states).unflatten(1, (self.heads, self.outputs))
            for linear, states in (
                (self.at_target, entities),
                (self.at_source, entities),
                (self.at_relation, relations),
            )
        )
        # The score of a fact is a sum of three numbers, so the vectors of facts need not be formed.
        parts = ((states * self.attention).sum(2) for states in (target, source, relation))
        of_target, of_source, of_relation = parts
        scores = of_target[edges.target] + of_source[edges.source] + of_relation[edges.relations]
        weights = softmax_into(functional.leaky_relu(scores, 0.2), edges.target, len(entities))
        arriving = torch.stack(
            [attended_sum(source[:, head], relation[:, head], edges, weights[:, head]) for head in range(self.heads)],
            1,
        )
        has_facts = torch.zeros(len(entities), 1, 1, dtype=entities.dtype, device=entities.device)
        has_facts[edges.target] = 1
        return arriving + has_facts * target
