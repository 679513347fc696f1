"""The world while it is gathered: entities with names, facts between them, and what was left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from data_scripts._common import (
    RDF_TYPE,
    RDFS_COMMENT,
    RDFS_LABEL,
    SCHEMA_IMAGE,
    SKOS_ALT_LABEL,
    Statements,
    Tally,
    local_name,
)

BASE = "http://example.org/world/"

CLASSES = {
    "Country": "A country, state, nation or territory of the world",
    "City": "A city or town, such as the capital from which a country is governed",
    "Province": "A province, district or other first-level part that lies in a country",
    "Language": "An official language or tongue of a country: what is spoken there, what one can speak, read and write",
    "Demonym": "A word for the people of a country: what its citizens, inhabitants, natives or nationals are called",
    "Currency": "The money of a country: what one pays and what prices are given in",
    "Region": "A region of the world, such as a continent, in which countries lie",
    "Subregion": "A subregion, part of a region of the world, in which countries lie",
    "Concept": "A thing, being or sign of everyday life that a small picture can show",
    "ConceptGroup": "A kind or sort of concepts",
    "ConceptCategory": "A wide category of kinds of concepts",
}

RELATIONS = {
    "capital": ("capital", "The city from which the country is governed"),
    "borders": ("borders", "The country shares a border with this neighbour"),
    "official_language": ("official language", "A language with official standing in the country"),
    "currency": ("currency", "The money of the country"),
    "region": ("region", "The region of the world in which the country lies"),
    "subregion": ("subregion", "The subregion in which the country lies"),
    "demonym": ("demonym", "What the people of the country are called"),
    "in_country": ("country", "The country in which the province lies"),
    "subregion_of": ("part of region", "The region of which the subregion is a part"),
    "kind_of": ("kind of", "The sort of things to which the concept belongs"),
    "broader": ("broader category", "The wide category that holds this kind of concepts"),
}


@dataclass
class Entity:
    """A thing of the world: one preferred English name, other names, typed values, perhaps a picture."""

    kind: str
    label: str
    aliases: set[str] = field(default_factory=set)
    labels: dict[str, str] = field(default_factory=dict)
    values: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    picture: str | None = None
    """The code points of the OpenMoji drawing, such as `1F436`."""


@dataclass
class World:
    """Entities by IRI, facts as (head, relation, tail), and how much was dropped for which reason."""

    entities: dict[str, Entity] = field(default_factory=dict)
    facts: set[tuple[str, str, str]] = field(default_factory=set)
    dropped: Tally = field(default_factory=Tally)

    def add(self, kind: str, key: str, label: str) -> str:
        """Make an entity, or find the one that has this kind and key; returns its IRI."""
        iri = f"{BASE}{kind.lower()}/{local_name(key)}"
        self.entities.setdefault(iri, Entity(kind, label))
        return iri

    def state(self, head: str, relation: str, tail: str) -> None:
        """Record a fact; the relation must be one of `RELATIONS`."""
        if relation not in RELATIONS:
            raise KeyError(relation)
        self.facts.add((head, relation, tail))

    def labels(self, *kinds: str) -> set[str]:
        """The case-folded labels of all entities, or of those of some kinds."""
        return {entity.label.casefold() for entity in self.entities.values() if not kinds or entity.kind in kinds}

    def prune(self) -> None:
        """Drop aliases that name something else as well, and entities that no fact mentions."""
        borne = Counter(self.labels_and_aliases())
        labels = self.labels()
        for entity in self.entities.values():
            clear = {name for name in entity.aliases if borne[name.casefold()] == 1 and name.casefold() not in labels}
            self.dropped.drop("aliases that name something else as well", len(entity.aliases - clear))
            entity.aliases = clear
        mentioned = {entity for head, _, tail in self.facts for entity in (head, tail)}
        for iri in set(self.entities) - mentioned:
            del self.entities[iri]
            self.dropped.drop("entities without a fact")

    def labels_and_aliases(self) -> list[str]:
        """Every alias once for each entity that bears it, case-folded."""
        return [name for entity in self.entities.values() for name in {alias.casefold() for alias in entity.aliases}]

    def statements(self) -> Statements:
        """The world as RDF: types, labels, aliases, values, pictures, facts, and the vocabulary's own names."""
        out = Statements()
        for kind, comment in CLASSES.items():
            out.text(BASE + kind, RDFS_LABEL, kind_label(kind), language="en")
            out.text(BASE + kind, RDFS_COMMENT, comment, language="en")
        for relation, (label, comment) in RELATIONS.items():
            out.text(BASE + relation, RDFS_LABEL, label, language="en")
            out.text(BASE + relation, RDFS_COMMENT, comment, language="en")
        for iri, entity in self.entities.items():
            out.link(iri, RDF_TYPE, BASE + entity.kind)
            out.text(iri, RDFS_LABEL, entity.label, language="en")
            for language, label in entity.labels.items():
                out.text(iri, RDFS_LABEL, label, language=language)
            for alias in entity.aliases:
                out.text(iri, SKOS_ALT_LABEL, alias)
            for name, (value, datatype) in entity.values.items():
                out.text(iri, BASE + name, value, datatype=datatype)
            if entity.picture:
                out.text(iri, SCHEMA_IMAGE, f"images/{entity.picture}.png", datatype="anyURI")
        for head, relation, tail in self.facts:
            out.link(head, BASE + relation, tail)
        return out


def kind_label(kind: str) -> str:
    """A class name as words.

    >>> kind_label("ConceptGroup")
    'concept group'
    """
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in kind).strip()
