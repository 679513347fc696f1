"""Keys as RDF terms and back, for graphs that leave as RDF."""

from __future__ import annotations

from urllib.parse import quote, unquote

from kg.literals import IRI_VALUE, Literal
from kg.rdf import Statement

NAMED = "urn:kept:"
"""Where keys that are neither IRIs nor blank nodes live in RDF, percent-encoded."""
ESCAPES = str.maketrans(
    {
        **{chr(code): f"\\u{code:04X}" for code in (*range(0x20), 0x7F)},
        "\\": "\\\\",
        '"': '\\"',
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\b": "\\b",
        "\f": "\\f",
    }
)


def is_iri(key: str) -> bool:
    """Whether a key is an absolute IRI (RFC 3987) rather than a plain name or a blank node.

    >>> is_iri("http://dbpedia.org/resource/Paris"), is_iri("Paris"), is_iri("_:b0"), is_iri("http://e.org/a b")
    (True, False, False, False)
    """
    from pyoxigraph import NamedNode

    try:
        return bool(NamedNode(key))
    except ValueError:
        return False


def is_blank(key: str) -> bool:
    """Whether a key is a blank node with a label that RDF allows.

    RDF 1.1 allowed colons in labels, 1.2 does not, and no parser reads them.

    >>> is_blank("_:b0"), is_blank("_:not a label"), is_blank("_:a:b"), is_blank("b0")
    (True, False, False, False)
    """
    from pyoxigraph import BlankNode

    try:
        return key.startswith("_:") and ":" not in key[2:] and bool(BlankNode(key[2:]))
    except ValueError:
        return False


def iri_of(key: str) -> str:
    """The IRI of a key that is not a blank node; a plain name is percent-encoded below `urn:kept:`.

    >>> iri_of("http://dbpedia.org/resource/Paris"), iri_of("capital of")
    ('http://dbpedia.org/resource/Paris', 'urn:kept:capital%20of')
    """
    return key if is_iri(key) and not key.startswith(NAMED) else NAMED + quote(key, safe="")


def key_of(iri: str) -> str:
    """The inverse of `iri_of`.

    >>> key_of("urn:kept:capital%20of")
    'capital of'
    """
    return unquote(iri.removeprefix(NAMED)) if iri.startswith(NAMED) else iri


def ntriples_node(key: str) -> str:
    """A key in N-Triples.

    >>> ntriples_node("_:b0"), ntriples_node("urn:a")
    ('_:b0', '<urn:a>')
    """
    return key if is_blank(key) else f"<{iri_of(key)}>"


def ntriples_literal(literal: Literal) -> str:
    r"""A literal in N-Triples.

    >>> ntriples_literal(Literal("p", 'a "b"\n', None, "en"))
    '"a \\"b\\"\\n"@en'
    """
    if literal.datatype == IRI_VALUE:
        return ntriples_node(literal.value)
    text = f'"{literal.value.translate(ESCAPES)}"'
    if literal.language is not None:
        return f"{text}@{literal.language}"
    return text if literal.datatype is None else f"{text}^^<{iri_of(literal.datatype)}>"


def unwrapped(statement: Statement) -> Statement:
    """A statement with its keys as `key_of` gives them."""
    return statement._replace(
        subject=key_of(statement.subject),
        predicate=key_of(statement.predicate),
        object=key_of(statement.object) if statement.datatype == IRI_VALUE else statement.object,
        datatype=key_of(statement.datatype) if statement.datatype else None,
    )
