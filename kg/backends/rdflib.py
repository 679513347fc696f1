"""rdflib: a Graph with every statement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kg.backends.base import BACKENDS, Backend
from kg.graph import KnowledgeGraph
from kg.literals import IRI_VALUE, Literal
from kg.rdf import XSD_STRING, Statement
from kg.terms import iri_of, is_blank, key_of

if TYPE_CHECKING:
    import rdflib


@BACKENDS.register("rdflib")
class RDFLib(Backend):
    """rdflib.Graph: triples and literals as they were read; answers SPARQL, slowly beyond a few 100,000 statements."""

    def export(self, kg: KnowledgeGraph) -> rdflib.Graph:
        """About 1.6 KB of memory a statement. Literals keep their spelling ("007" stays "007")."""
        import rdflib

        graph = rdflib.Graph()
        for head, relation, tail in kg.statements():
            graph.add((node_of(head), rdflib.URIRef(iri_of(relation)), node_of(tail)))
        for subject, literal in kg.all_literals():
            graph.add((node_of(subject), rdflib.URIRef(iri_of(literal.predicate)), literal_of(literal)))
        return graph

    def load(self, other: rdflib.Graph) -> KnowledgeGraph:
        """From a Graph or a Dataset (whose named graphs are taken as one)."""
        return KnowledgeGraph.from_statements(_statements(other))


def node_of(key: str) -> rdflib.URIRef | rdflib.BNode:
    import rdflib

    return rdflib.BNode(key[2:]) if is_blank(key) else rdflib.URIRef(iri_of(key))


def literal_of(literal: Literal) -> rdflib.Literal | rdflib.URIRef | rdflib.BNode:
    import rdflib

    if literal.datatype == IRI_VALUE:
        return node_of(literal.value)
    datatype = rdflib.URIRef(iri_of(literal.datatype)) if literal.datatype else None
    return rdflib.Literal(literal.value, lang=literal.language, datatype=datatype, normalize=False)


def _statements(graph: rdflib.Graph) -> Iterator[Statement]:
    import rdflib

    def key(term: rdflib.term.Node) -> str:
        return f"_:{term}" if isinstance(term, rdflib.BNode) else key_of(str(term))

    statements = ((s, p, o) for s, p, o, _ in graph.quads()) if isinstance(graph, rdflib.Dataset) else graph
    for subject, predicate, target in statements:
        if isinstance(target, rdflib.Literal):
            datatype = str(target.datatype) if target.datatype is not None else None
            yield Statement(
                key(subject),
                key(predicate),
                str(target),
                None if datatype == XSD_STRING or target.language else key_of(datatype) if datatype else None,
                target.language.lower() if target.language else None,
            )
        else:
            yield Statement(key(subject), key(predicate), key(target), IRI_VALUE)
