"""GNN encoders: entity and relation states that look at the graph."""

from kg.embedding.encoders.base import ENCODERS, Encoder
from kg.embedding.encoders.free import FreeTable

__all__ = ["ENCODERS", "Encoder", "FreeTable"]
