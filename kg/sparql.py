"""SPARQL over a graph, answered by oxigraph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kg.backends import Oxigraph
from kg.errors import InputError
from kg.graph import KnowledgeGraph
from kg.prefixes import PREFIXES
from kg.terms import key_of


@dataclass(frozen=True)
class Answer:
    """What a query gives: `boolean` for ASK; else rows of as many strings (None: unbound) as there are `variables`.

    CONSTRUCT and DESCRIBE give the variables subject, predicate, object.
    """

    variables: tuple[str, ...]
    rows: list[tuple[str | None, ...]]
    boolean: bool | None = None


def query(kg: KnowledgeGraph, text: str) -> Answer:
    """Load the graph into a store and answer one query.

    Raises:
        InputError: for a query that is not SPARQL, or an update.

    >>> kg = KnowledgeGraph.from_triples([("Paris", "in", "France")])
    >>> query(kg, "SELECT ?city { ?city kept:in kept:France }").rows
    [('Paris',)]
    """
    import pyoxigraph

    store = Oxigraph().export(kg)
    try:
        found = store.query(text, prefixes=PREFIXES)
    except SyntaxError as error:
        raise InputError(f"not a SPARQL query: {error}") from None
    if isinstance(found, pyoxigraph.QueryBoolean):
        return Answer((), [], bool(found))
    if isinstance(found, pyoxigraph.QueryTriples):
        rows = [tuple(map(_text, (triple.subject, triple.predicate, triple.object))) for triple in found]
        return Answer(("subject", "predicate", "object"), rows)
    variables = tuple(variable.value for variable in found.variables)
    return Answer(variables, [tuple(map(_text, solution)) for solution in found])


def _text(term: Any) -> str | None:
    import pyoxigraph

    if term is None:
        return None
    if isinstance(term, pyoxigraph.Literal):
        return term.value
    return key_of(term.value) if isinstance(term, pyoxigraph.NamedNode) else str(term)
