"""networkx: a MultiDiGraph over keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kg.backends.base import BACKENDS, Backend
from kg.errors import InputError
from kg.graph import KnowledgeGraph
from kg.literals import Literal
from kg.predicates import RDFS_LABEL

if TYPE_CHECKING:
    import networkx


@BACKENDS.register("networkx")
class NetworkX(Backend):
    """networkx.MultiDiGraph: nodes are entity keys, edge keys are relation keys."""

    def export(self, kg: KnowledgeGraph, *, rows: np.ndarray | None = None) -> networkx.MultiDiGraph:
        """Nodes carry `id`, `label` and `literals`; edges carry `relation` (its key), `label`, and `weight` where
        the graph has weights.

        The graph attribute `relation_literals` holds what is said of relations that are no entities.

        Args:
            rows: only these rows of `kg.triples` and the entities on them; default all, and all entities.
        """
        import networkx

        graph = networkx.MultiDiGraph()
        triples = kg.triples if rows is None else kg.triples[rows]
        nodes = range(kg.num_entities) if rows is None else np.unique(triples[:, [0, 2]])
        for entity in map(int, nodes):
            key = kg.entities.key(entity)
            graph.add_node(key, id=entity, label=kg.label(entity), literals=kg.literals(entity))
        keys = list(kg.relations)
        labels = [kg.relation_label(relation) for relation in range(kg.num_relations)]
        heads, tails = (kg.entities.keys(triples[:, side]) for side in (0, 2))
        for head, relation, tail in zip(heads, triples[:, 1].tolist(), tails, strict=True):
            graph.add_edge(head, tail, key=keys[relation], relation=keys[relation], label=labels[relation])
        if kg.weights is not None:
            weights = kg.weights if rows is None else kg.weights[rows]
            for head, relation, tail, weight in zip(heads, triples[:, 1], tails, weights.tolist(), strict=True):
                graph.edges[head, tail, keys[relation]]["weight"] = weight
        graph.graph["relation_literals"] = [
            (kg.relations.key(relation), literal) for relation, literal in kg.parts.relations.literals.iterate()
        ]
        return graph

    def load(self, other: networkx.Graph) -> KnowledgeGraph:
        """Any networkx graph: the relation of an edge is its attribute `relation`, `label` or `type`, else "linked to".

        Nodes become keys as `str(node)`; a `label` is used where a node has no `literals`. An undirected edge becomes
        one in each direction.

        Raises:
            InputError: when two nodes have the same `str`.
        """
        keys = {node: str(node) for node in other}
        if len(set(keys.values())) < len(keys):
            raise InputError("networkx: two nodes have the same name once written as a string")
        triples = [
            (keys[head], _relation(data), keys[tail])
            for head, tail, data in (other if other.is_directed() else other.to_directed()).edges(data=True)
        ]
        literals: list[tuple[str, Literal]] = list(other.graph.get("relation_literals", ()))
        for node, data in other.nodes(data=True):
            if "literals" in data:
                literals += [(keys[node], literal) for literal in data["literals"]]
            elif "label" in data:
                literals.append((keys[node], Literal(RDFS_LABEL, str(data["label"]))))
        return KnowledgeGraph.from_triples(triples, literals=literals, entities=keys.values())


def _relation(data: dict[str, Any]) -> str:
    return str(next((data[name] for name in ("relation", "label", "type") if name in data), "linked to"))
