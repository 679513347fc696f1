"""GNN encoders: entity and relation states that look at the graph."""

from kg.embedding.encoders.base import ENCODERS, Encoder
from kg.embedding.encoders.compgcn import CompGCN
from kg.embedding.encoders.convolutions import GAT, GCN, VGAE, ChebNet, GraphSAGE
from kg.embedding.encoders.free import FreeTable
from kg.embedding.encoders.kbgat import KBGAT
from kg.embedding.encoders.rgcn import RGCN
from kg.embedding.encoders.sacn import SACN

__all__ = [
    "ENCODERS",
    "GAT",
    "GCN",
    "KBGAT",
    "RGCN",
    "SACN",
    "VGAE",
    "ChebNet",
    "CompGCN",
    "Encoder",
    "FreeTable",
    "GraphSAGE",
]
