"""No graph at all: one free vector for each entity and relation."""

from __future__ import annotations

from torch import Tensor

from kg.embedding.encoders.base import ENCODERS, Encoder
from kg.embedding.states import Edges, States


@ENCODERS.register("none")
class FreeTable(Encoder):
    """One free vector an entity, the graph is not looked at: states = features.

    This is what "a knowledge graph embedding" without further words means.
    """

    def __init__(self, *, entity_width: int, relation_width: int, num_relations: int) -> None:
        super().__init__()
        self.entity_features, self.relation_features = entity_width, relation_width

    def encode(self, edges: Edges, entities: Tensor, relations: Tensor) -> States:
        return States(entities, relations)
