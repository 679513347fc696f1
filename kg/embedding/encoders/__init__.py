"""GNN encoders: entity and relation states that look at the graph."""

from kg.embedding.encoders.base import ENCODERS, Encoder
from kg.embedding.encoders.compgcn import CompGCN
from kg.embedding.encoders.free import FreeTable
from kg.embedding.encoders.rgcn import RGCN

__all__ = ["ENCODERS", "RGCN", "CompGCN", "Encoder", "FreeTable"]
