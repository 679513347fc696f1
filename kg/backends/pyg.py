"""PyTorch Geometric: tensors of edges and their types."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kg.backends.base import BACKENDS, Backend
from kg.graph import KnowledgeGraph

if TYPE_CHECKING:
    import torch_geometric.data


@BACKENDS.register("pyg")
class PyG(Backend):
    """torch_geometric.data.Data: `edge_index` (2, T), `edge_type` (T,), ids as in the graph.

    Where the graph has weights there is `edge_weight` (T,).
    """

    loads = False
    keeps_literals = False

    def export(self, kg: KnowledgeGraph, *, inverse: bool = False) -> torch_geometric.data.Data:
        """Edges by ascending (head, relation, tail).

        Args:
            inverse: add every edge turned round, as type `relation + num_relations`, for message passing both ways.
        """
        import torch
        from torch_geometric.data import Data

        heads, relations, tails = (np.array(column, dtype=np.int64) for column in kg.triples.T)
        if inverse:
            heads, tails = np.concatenate((heads, tails)), np.concatenate((tails, heads))
            relations = np.concatenate((relations, relations + kg.num_relations))
        data = Data(
            edge_index=torch.from_numpy(np.stack((heads, tails))),
            edge_type=torch.from_numpy(relations),
            num_nodes=kg.num_entities,
        )
        if kg.weights is not None:
            weights = torch.from_numpy(np.array(kg.weights))
            data.edge_weight = torch.cat((weights, weights)) if inverse else weights
        data.num_relations = kg.num_relations * (2 if inverse else 1)
        return data
