"""What well-known predicates mean: which literals are labels, aliases, descriptions, and which statements are types."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

from kg.errors import InputError, nearest

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
SKOS = "http://www.w3.org/2004/02/skos/core#"
FOAF = "http://xmlns.com/foaf/0.1/"
OWL = "http://www.w3.org/2002/07/owl#"
DCT = "http://purl.org/dc/terms/"
DBO = "http://dbpedia.org/ontology/"
DBP = "http://dbpedia.org/property/"
WDT = "http://www.wikidata.org/prop/direct/"
SCHEMA = ("http://schema.org/", "https://schema.org/")

RDF_TYPE = RDF + "type"
RDFS_LABEL = RDFS + "label"
SKOS_ALT_LABEL = SKOS + "altLabel"
DIRECT_CLAIM = "http://wikiba.se/ontology#directClaim"
"""Wikidata: leads from a property's page, which has the label, to the predicate that its statements use."""


QUALIFIER = "http://www.wikidata.org/prop/qualifier/"
"""Wikidata: how the predicates begin that say more of a statement, such as its time."""
REIFYING = (RDF + "subject", RDF + "reifies")
"""Each stands once for a statement that is itself spoken of."""


class Role(IntEnum):
    """What a literal is to its subject. Literals are stored in this order, so labels come first."""

    LABEL = 0
    ALIAS = 1
    DESCRIPTION = 2
    IMAGE = 3
    OTHER = 4


@dataclass(frozen=True)
class Predicates:
    """The predicates with a meaning, in order of precedence (the first label predicate wins).

    The defaults cover RDFS, SKOS, schema.org, FOAF, DBpedia and Wikidata. `image` statements are kept beside the
    literals, not as edges: a picture's address is no entity.

    >>> Predicates().role("http://www.w3.org/2000/01/rdf-schema#label").name
    'LABEL'
    """

    label: tuple[str, ...] = (
        RDFS_LABEL,
        SKOS + "prefLabel",
        *(base + "name" for base in SCHEMA),
        FOAF + "name",
    )
    alias: tuple[str, ...] = (
        SKOS_ALT_LABEL,
        *(base + "alternateName" for base in SCHEMA),
        FOAF + "nick",
        DBO + "alias",
        DBP + "name",
    )
    description: tuple[str, ...] = (
        *(base + "description" for base in SCHEMA),
        DBO + "abstract",
        DBO + "description",
        DCT + "description",
        SKOS + "definition",
        RDFS + "comment",
    )
    image: tuple[str, ...] = (
        *(base + "image" for base in SCHEMA),
        FOAF + "depiction",
        FOAF + "img",
        DBO + "thumbnail",
        WDT + "P18",
    )
    type: tuple[str, ...] = (RDF_TYPE, WDT + "P31")
    same_as: tuple[str, ...] = (OWL + "sameAs",)

    def preferring(self, role: str, predicate: str) -> Predicates:
        """The same, with one more predicate in front of those of a role, and in no other.

        >>> Predicates().preferring("label", "http://e.org/title").label[0]
        'http://e.org/title'

        Raises:
            InputError: for an unknown role.
        """
        roles = [item.name for item in fields(self)]
        if role not in roles:
            raise InputError(f"predicate: no role is called {role!r}; {nearest(role, roles)}")
        groups = {name: tuple(key for key in getattr(self, name) if key != predicate) for name in roles}
        groups[role] = (predicate, *groups[role])
        return Predicates(**groups)

    def groups(self) -> dict[Role, tuple[str, ...]]:
        """The predicates of literals by role."""
        return {
            Role.LABEL: self.label,
            Role.ALIAS: self.alias,
            Role.DESCRIPTION: self.description,
            Role.IMAGE: self.image,
        }

    def role(self, predicate: str) -> Role:
        """The role of a literal predicate."""
        return next((role for role, group in self.groups().items() if predicate in group), Role.OTHER)

    def precedence(self, predicate: str) -> int:
        """The place of a literal predicate among those of its role."""
        group = self.groups().get(self.role(predicate), ())
        return group.index(predicate) if predicate in group else 0
