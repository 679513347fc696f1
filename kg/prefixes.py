"""Well-known prefixes: IRIs written short, and short ones written out."""

from __future__ import annotations

from kg.predicates import DBO, DCT, FOAF, OWL, RDF, RDFS, SCHEMA, SKOS, WDT

PREFIXES = {
    "rdf": RDF,
    "rdfs": RDFS,
    "owl": OWL,
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "skos": SKOS,
    "foaf": FOAF,
    "dct": DCT,
    "schema": SCHEMA[0],
    "dbo": DBO,
    "dbr": "http://dbpedia.org/resource/",
    "wd": "http://www.wikidata.org/entity/",
    "wdt": WDT,
    "yago": "http://yago-knowledge.org/resource/",
    "kept": "urn:kept:",
}
"""Prefixes that a query may use without declaring them. `kept:` holds keys that are no IRIs."""


def compacted(key: str) -> str:
    """A key with a known prefix in place of the beginning of its IRI; any other as it is.

    >>> compacted("http://www.wikidata.org/entity/Q90"), compacted("http://example.org/a")
    ('wd:Q90', 'http://example.org/a')
    """
    for prefix, start in PREFIXES.items():
        rest = key[len(start) :]
        if key.startswith(start) and rest and not set(rest) & set("/#:"):
            return f"{prefix}:{rest}"
    return key


def expanded(name: str) -> str | None:
    """The IRI that a short name with a known prefix stands for; None for any other text.

    >>> expanded("wd:Q90"), expanded("Paris"), expanded("http://example.org/a")
    ('http://www.wikidata.org/entity/Q90', None, None)
    """
    prefix, colon, rest = name.partition(":")
    return PREFIXES[prefix] + rest if colon and rest and prefix in PREFIXES else None
