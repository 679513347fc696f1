"""oxigraph: a store that answers SPARQL fast."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kg.backends.base import BACKENDS, Backend
from kg.graph import KnowledgeGraph
from kg.literals import IRI_VALUE, Literal
from kg.rdf import converter
from kg.terms import iri_of, is_blank, unwrapped

if TYPE_CHECKING:
    import pyoxigraph


@BACKENDS.register("oxigraph")
class Oxigraph(Backend):
    """pyoxigraph.Store in memory: all statements in the default graph, for SPARQL.

    The store keeps numbers and dates by value, so "007" comes back as "7".
    """

    keeps_spelling = False

    def export(self, kg: KnowledgeGraph) -> pyoxigraph.Store:
        """Bulk-load every statement."""
        import pyoxigraph

        store = pyoxigraph.Store()
        store.bulk_extend(_quads(kg))
        return store

    def load(self, other: pyoxigraph.Store) -> KnowledgeGraph:
        """Every quad of a store, named graphs taken as one."""
        return KnowledgeGraph.from_statements(map(unwrapped, map(converter(""), other)))


def _quads(kg: KnowledgeGraph) -> Iterator[pyoxigraph.Quad]:
    import pyoxigraph

    for head, relation, tail in kg.statements():
        yield pyoxigraph.Quad(_node(head), pyoxigraph.NamedNode(iri_of(relation)), _node(tail))
    for subject, literal in kg.all_literals():
        yield pyoxigraph.Quad(_node(subject), pyoxigraph.NamedNode(iri_of(literal.predicate)), _literal(literal))


def _node(key: str) -> pyoxigraph.NamedNode | pyoxigraph.BlankNode:
    import pyoxigraph

    return pyoxigraph.BlankNode(key[2:]) if is_blank(key) else pyoxigraph.NamedNode(iri_of(key))


def _literal(literal: Literal) -> pyoxigraph.Literal | pyoxigraph.NamedNode | pyoxigraph.BlankNode:
    import pyoxigraph

    if literal.datatype == IRI_VALUE:
        return _node(literal.value)
    if literal.language is not None:
        tag, _, direction = literal.language.partition("--")
        directions = {"ltr": pyoxigraph.BaseDirection.LTR, "rtl": pyoxigraph.BaseDirection.RTL}
        return pyoxigraph.Literal(literal.value, language=tag, direction=directions.get(direction))
    datatype = pyoxigraph.NamedNode(iri_of(literal.datatype)) if literal.datatype else None
    return pyoxigraph.Literal(literal.value, datatype=datatype)
