"""The contract of encoders: the graph and features in, entity and relation states out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from kg.embedding.states import Edges, States
from kg.registry import Registry

GRAPH_DEFAULTS: Mapping[str, Any] = {"mode": "1vsall", "batch": 2048, "optimizer": "adam", "lr": 0.01, "n3": 0.0}
"""What an encoder that passes messages over the whole graph is fitted with, where nothing else is said."""


class Encoder(nn.Module, ABC):
    """Turns features into states by looking at the graph; any scorer can decode them.

    A member's constructor takes the widths that the scorer reads, `entity_width` and `relation_width`, the number of
    relations with inverses, and its own options. It sets `entity_features` and `relation_features`, the widths that it
    reads itself. It says how many hops away from an entity its state looks.

    Permuting the entity ids of edges and features permutes the entity states in the same way and leaves the relation
    states alone.
    """

    defaults: ClassVar[Mapping[str, Any]] = {}
    """Settings of a fit that suit the member, where nothing else is asked for."""

    entity_features: int
    relation_features: int

    def __init__(self, *, hops: int = 0, edge_dropout: float = 0.0) -> None:
        super().__init__()
        self.hops = hops
        self.edge_dropout = edge_dropout

    def forward(self, edges: Edges, entities: Tensor, relations: Tensor) -> States:
        """`entities` (N, entity features), `relations` (2R, relation features) -> `States`."""
        if self.training and self.edge_dropout:
            edges = edges.dropped(self.edge_dropout)
        return self.encode(edges, entities, relations)

    @abstractmethod
    def encode(self, edges: Edges, entities: Tensor, relations: Tensor) -> States:
        """What `forward` does once edges are dropped."""


ENCODERS: Registry[type[Encoder]] = Registry("encoder")
