"""networkx over the arrays of a graph: a read-only view that copies nothing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import networkx as nx
import numpy as np

from kg.graph import KnowledgeGraph

EdgeData = dict[str, Any]
Value = TypeVar("Value")


class _OfEntities(Mapping[str, Value]):
    """Something for each entity, by its key."""

    def __init__(self, kg: KnowledgeGraph) -> None:
        self.kg = kg

    def __len__(self) -> int:
        return self.kg.num_entities

    def __iter__(self) -> Iterator[str]:
        return iter(self.kg.entities)

    def __contains__(self, key: object) -> bool:
        return key in self.kg.entities

    def __getitem__(self, key: str) -> Value:
        entity = self.kg.entities.get(key)
        if entity is None:
            raise KeyError(key)
        return self.of(entity)

    @abstractmethod
    def of(self, entity: int) -> Value:
        """What there is for one."""


class _Nodes(_OfEntities[EdgeData]):
    """Entity keys, each with its `id`, `label` and `literals`."""

    def of(self, entity: int) -> EdgeData:
        return {"id": entity, "label": self.kg.label(entity), "literals": self.kg.literals(entity)}


class _Neighbours(Mapping[str, "dict[str, EdgeData]"]):
    """The neighbours of one entity on one side: neighbour -> relation -> data of the edge."""

    def __init__(self, kg: KnowledgeGraph, entity: int, *, outgoing: bool) -> None:
        self.kg, self.entity, self.outgoing = kg, entity, outgoing
        self.relations, self.others = kg.out(entity) if outgoing else kg.into(entity)

    def __len__(self) -> int:
        return len(np.unique(self.others))

    def __iter__(self) -> Iterator[str]:
        return iter(self.kg.entities.keys(np.unique(self.others)))

    def __contains__(self, key: object) -> bool:
        other = self.kg.entities.get(key) if isinstance(key, str) else None
        return other is not None and bool((self.others == other).any())

    def __getitem__(self, key: str) -> dict[str, EdgeData]:
        other = self.kg.entities.get(key)
        relations = self.relations[self.others == other] if other is not None else ()
        if not len(relations):
            raise KeyError(key)
        keys = self.kg.relations.keys(relations)
        return {
            name: {"relation": name, "label": self.kg.relation_label(int(relation))}
            for name, relation in zip(keys, relations, strict=True)
        }


class _Side(_OfEntities[_Neighbours]):
    """All entities with their neighbours on one side."""

    def __init__(self, kg: KnowledgeGraph, *, outgoing: bool) -> None:
        super().__init__(kg)
        self.outgoing = outgoing

    def of(self, entity: int) -> _Neighbours:
        return _Neighbours(self.kg, entity, outgoing=self.outgoing)


def view(kg: KnowledgeGraph) -> nx.MultiDiGraph:
    """A frozen networkx.MultiDiGraph whose nodes and edges are looked up in the graph when they are asked for.

    Nodes and edges carry what `kg.backends.networkx` gives them. Algorithms that look at all edges are as slow as
    networkx is; those that walk (neighbours, shortest paths, ego graphs) touch only what they meet.

    >>> kg = KnowledgeGraph.from_triples([("Paris", "capital of", "France")])
    >>> list(view(kg).successors("Paris")), view(kg).has_edge("Paris", "France", "capital of")
    (['France'], True)
    """
    graph = nx.MultiDiGraph()
    nx.freeze(graph)
    graph._node = _Nodes(kg)
    graph._succ = graph._adj = _Side(kg, outgoing=True)
    graph._pred = _Side(kg, outgoing=False)
    graph.graph["relation_literals"] = [
        (kg.relations.key(relation), literal) for relation, literal in kg.parts.relations.literals.iterate()
    ]
    return graph
