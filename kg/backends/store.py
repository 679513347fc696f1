"""rdflib over the arrays of a graph: SPARQL without loading anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from rdflib import BNode, Graph, URIRef
from rdflib import Literal as RDFLiteral
from rdflib.namespace import NamespaceManager
from rdflib.store import Store
from rdflib.term import Node

from kg.backends.rdflib import literal_of, node_of
from kg.graph import KnowledgeGraph
from kg.literals import IRI_VALUE, one_array
from kg.terms import key_of

Pattern = tuple["Node | None", "Node | None", "Node | None"]
Found = Iterator[tuple[tuple[Any, Any, Any], Iterator[Any]]]


class GraphStore(Store):
    """A read-only rdflib store: triples are looked up in the mapped arrays, terms are made when they are asked for.

    A subject or an object is found by its offsets, in time that depends on its degree; a predicate alone is found by a
    pass over the column of relations. Spellings are those of the dump.

    >>> graph = KnowledgeGraph.from_triples([("urn:Paris", "urn:capitalOf", "urn:France")])
    >>> len(Graph(store=GraphStore(graph)))
    1
    """

    context_aware = False
    formula_aware = False
    graph_aware = False
    transaction_aware = False

    def __init__(self, kg: KnowledgeGraph) -> None:
        super().__init__()
        self.kg = kg
        self._prefixes: dict[str, URIRef] = {}

    def triples(self, triple_pattern: Pattern, context: Graph | None = None) -> Found:
        """All statements that fit; None fits anything."""
        subject, predicate, target = triple_pattern
        if not isinstance(target, RDFLiteral):
            yield from self._edges(subject, predicate, target)
        if target is None or isinstance(target, RDFLiteral) or self._is_image(predicate):
            yield from self._literals(subject, predicate, target)

    def __len__(self, context: Graph | None = None) -> int:
        return self.kg.meta.triples + self.kg.meta.literals

    def bind(self, prefix: str, namespace: URIRef, override: bool = True) -> None:
        if override or prefix not in self._prefixes:
            self._prefixes[prefix] = namespace

    def namespace(self, prefix: str) -> URIRef | None:
        return self._prefixes.get(prefix)

    def prefix(self, namespace: URIRef) -> str | None:
        return next((prefix for prefix, bound in self._prefixes.items() if bound == namespace), None)

    def namespaces(self) -> Iterator[tuple[str, URIRef]]:
        yield from self._prefixes.items()

    def add(self, *_: Any, **__: Any) -> None:
        raise TypeError("a graph directory is not changed in place; see kg.update, or copy it with to_rdflib()")

    def remove(self, *_: Any, **__: Any) -> None:
        raise TypeError("a graph directory is not changed in place; see kg.update, or copy it with to_rdflib()")

    def _edges(self, subject: Node | None, predicate: Node | None, target: Node | None) -> Found:
        kg = self.kg
        head, relation, tail = (
            _NONE if term is None else vocabulary.get(_key(term))
            for term, vocabulary in ((subject, kg.entities), (predicate, kg.relations), (target, kg.entities))
        )
        if head is None or relation is None or tail is None:
            return
        rows: np.ndarray
        if head != _NONE:
            span = kg.adjacency.out_rows(head)
            rows = np.arange(span.start, span.stop)
        elif tail != _NONE:
            rows = kg.adjacency.in_rows(tail)
        elif relation != _NONE:
            rows = kg.rows_of(relation)
        else:
            rows = np.arange(kg.num_triples)
        for start in range(0, len(rows), 1 << 14):
            found = kg.triples[rows[start : start + (1 << 14)]]
            for column, wanted in enumerate((head, relation, tail)):
                if wanted != _NONE:
                    found = found[found[:, column] == wanted]
            names = (kg.entities.keys(found[:, 0]), kg.relations.keys(found[:, 1]), kg.entities.keys(found[:, 2]))
            for head_key, relation_key, tail_key in zip(*names, strict=True):
                yield (node_of(head_key), node_of(relation_key), node_of(tail_key)), iter(())

    def _literals(self, subject: Node | None, predicate: Node | None, target: Node | None) -> Found:
        kg = self.kg
        wanted = None if predicate is None else _key(predicate)
        tables = ((kg.entities, kg.parts.literals), (kg.relations, kg.parts.relations.literals))
        for keys, table in tables:
            if wanted is not None and wanted not in set(one_array(table.table["predicate"]).dictionary.to_pylist()):
                continue
            if subject is None:
                said = table.iterate()
            else:
                index = keys.get(_key(subject))
                said = iter(()) if index is None else ((index, literal) for literal in table.rows(index))
            for index, literal in said:
                if wanted is not None and literal.predicate != wanted:
                    continue
                term = literal_of(literal)
                if target is None or term == target:
                    yield (node_of(keys.key(index)), node_of(literal.predicate), term), iter(())

    def _is_image(self, predicate: Node | None) -> bool:
        """Whether addresses may be among the literals of a predicate."""
        datatypes = one_array(self.kg.parts.literals.table["datatype"]).dictionary.to_pylist()
        return IRI_VALUE in datatypes


_NONE = -1


def _key(term: Node) -> str:
    return f"_:{term}" if isinstance(term, BNode) else key_of(str(term))


def open_rdflib(kg: KnowledgeGraph) -> Graph:
    """A read-only rdflib Graph over a `KnowledgeGraph`, without a copy, with the usual prefixes.

    >>> kg = KnowledgeGraph.from_triples([("urn:Paris", "urn:capitalOf", "urn:France")])
    >>> [str(row[0]) for row in open_rdflib(kg).query("SELECT ?x {?x <urn:capitalOf> ?y}")]
    ['urn:Paris']
    """
    graph = Graph(store=GraphStore(kg))
    graph.namespace_manager = NamespaceManager(graph, bind_namespaces="core")
    return graph
