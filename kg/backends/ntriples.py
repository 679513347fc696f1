"""N-Triples: one statement a line, exact both ways."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from kg.backends.base import BACKENDS, Backend
from kg.errors import InputError
from kg.graph import KnowledgeGraph
from kg.rdf import NTriples
from kg.terms import iri_of, ntriples_literal, ntriples_node, unwrapped


@BACKENDS.register("ntriples")
class NTriplesLines(Backend):
    """Lines of N-Triples (without line ends), made one by one; read back they give the same graph."""

    def export(self, kg: KnowledgeGraph) -> Iterator[str]:
        """Triples by ascending id, then literals; in constant memory."""
        for head, relation, tail in kg.statements():
            yield f"{ntriples_node(head)} <{iri_of(relation)}> {ntriples_node(tail)} ."
        for subject, literal in kg.all_literals():
            yield f"{ntriples_node(subject)} <{iri_of(literal.predicate)}> {ntriples_literal(literal)} ."

    def load(self, other: Iterable[str]) -> KnowledgeGraph:
        """From lines; raises InputError with the number of a line that is not N-Triples."""

        def reject(line: int | None, reason: str) -> None:
            raise InputError(f"line {line}: {reason}")

        stream = io.BytesIO("\n".join(other).encode())
        return KnowledgeGraph.from_statements(map(unwrapped, NTriples().statements(stream, reject=reject)))
