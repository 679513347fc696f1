"""PyTorch Geometric: tensors of edges and their types."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kg.backends.base import BACKENDS, Backend
from kg.graph import KnowledgeGraph

if TYPE_CHECKING:
    import torch_geometric.data


THING = "thing"
"""The node type of what has no class."""


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


def hetero(kg: KnowledgeGraph) -> torch_geometric.data.HeteroData:
    """A graph with a node type for each class and an edge type for each (class, relation, class).

    An entity is of the first of its classes by id, one without any of the type `thing`; statements of types are no
    edges. Every node type has `n_id`, the entities' ids in the graph; every edge type `edge_index` over places in
    these, and `edge_weight` if the graph has weights.

        >>> kg = KnowledgeGraph.from_triples([("Paris", "in", "France")], types={"Paris": "City", "France": "Country"})
        >>> hetero(kg).edge_types
        [('City', 'in', 'Country')]
    """
    import torch
    from torch_geometric.data import HeteroData

    triples = np.asarray(kg.triples)
    says_type = kg.is_type(triples[:, 1])
    kinds = np.full(kg.num_entities, -1, np.int64)
    # Triples ascend, so of several classes the first is written last.
    kinds[triples[says_type, 0][::-1]] = triples[says_type, 2][::-1]
    names = {int(kind): kg.label(int(kind)) if kind >= 0 else THING for kind in np.unique(kinds)}
    if len(set(names.values())) < len(names):
        names = {kind: kg.entities.key(kind) if kind >= 0 else THING for kind in names}

    data = HeteroData()
    places = np.empty(kg.num_entities, np.int64)
    for kind, name in names.items():
        members = np.flatnonzero(kinds == kind)
        places[members] = np.arange(len(members))
        data[name].n_id = torch.from_numpy(members)
        data[name].num_nodes = len(members)
    rows = np.flatnonzero(~says_type)
    heads, relations, tails = triples[rows].T
    kept = np.column_stack((kinds[heads], relations, kinds[tails]))
    for source, relation, target in np.unique(kept, axis=0).tolist():
        chosen = (kept == (source, relation, target)).all(axis=1)
        store = data[names[source], kg.relation_label(relation), names[target]]
        ends = np.stack((places[heads[chosen]], places[tails[chosen]]))
        store.edge_index = torch.from_numpy(ends)
        if kg.weights is not None:
            store.edge_weight = torch.from_numpy(np.array(kg.weights[rows[chosen]]))
    return data
