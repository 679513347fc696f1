"""What entities and relations are called, and what literals say of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

import numpy as np

from kg.arrays import Adjacency
from kg.assemble import Parts
from kg.errors import InputError
from kg.literals import Literal, best_label, speaks
from kg.meta import GraphMeta
from kg.predicates import Role
from kg.prefixes import expanded
from kg.vocabulary import Vocabulary, did_you_mean, local_name


class Naming(ABC):
    """The half of `KnowledgeGraph` that deals in keys, names and literals."""

    parts: Parts
    meta: GraphMeta

    @property
    @abstractmethod
    def adjacency(self) -> Adjacency:
        """Where each entity's triples lie, as heads and as tails."""

    @property
    def entities(self) -> Vocabulary:
        """Entity keys by id."""
        return self.parts.entities

    @property
    def relations(self) -> Vocabulary:
        """Relation keys by id."""
        return self.parts.relations.vocabulary

    def label(self, entity: int, language: str | None = None) -> str:
        """The name to show: in `language` (default: the graph's), else untagged, else in any, else the local name.

        Several languages, "en,de", are tried in their order.
        """
        found = self.parts.literals.label(entity, self._languages(language))
        return found if found is not None else local_name(self.entities.key(entity))

    def _languages(self, language: str | None) -> tuple[str | None, ...]:
        """The languages to try one after the other, untagged text last."""
        return (*(language or self.meta.language).split(","), None)

    def labels(self, entities: Iterable[int] | np.ndarray, language: str | None = None) -> list[str]:
        """The labels of many entities."""
        return [self.label(int(entity), language) for entity in entities]

    def relation_label(self, relation: int, language: str | None = None) -> str:
        """The name of a relation: its own label, else that of the entity which describes it, else its local name."""
        relations = self.parts.relations
        languages = self._languages(language)
        found = relations.literals.label(relation, languages)
        page = int(relations.described_by[relation])
        if found is None and page >= 0:
            found = self.parts.literals.label(page, languages)
        return found if found is not None else local_name(self.relations.key(relation))

    def aliases(self, entity: int, language: str | None = None) -> list[str]:
        """Other names in `language` (default: the graph's) or without a language tag."""
        languages = self._languages(language)[:-1]
        label = self.label(entity, language)
        names = (
            literal.value
            for literal in self.parts.literals.rows(entity, Role.LABEL, Role.ALIAS)
            if literal.language is None or any(speaks(literal.language, known) for known in languages)
        )
        return [name for name in dict.fromkeys(names) if name != label]

    def names(self, entity: int, language: str | None = None) -> list[str]:
        """The label, then the aliases."""
        return [self.label(entity, language), *self.aliases(entity, language)]

    def description(self, entity: int, language: str | None = None) -> str | None:
        """What the graph says of an entity in prose, in `language` if it can be had."""
        found = self.parts.literals.rows(entity, Role.DESCRIPTION, Role.DESCRIPTION)
        return best_label(found, self._languages(language))

    def images(self, entity: int) -> list[str]:
        """Paths or addresses of an entity's pictures."""
        return [literal.value for literal in self.parts.literals.rows(entity, Role.IMAGE, Role.IMAGE)]

    def literals(self, entity: int) -> list[Literal]:
        """All literal statements of an entity, labels first."""
        return self.parts.literals.rows(entity)

    def all_literals(self) -> Iterator[tuple[str, Literal]]:
        """(key, literal) of all entities, then of the relations that are none, in constant memory."""
        for keys, table in ((self.entities, self.parts.literals), (self.relations, self.parts.relations.literals)):
            for subject, literal in table.iterate():
                yield keys.key(subject), literal

    def find(self, name: str) -> np.ndarray:
        """The ids of all entities that have `name` as a label or alias in any language, case-folded."""
        return self.parts.names.find(name)

    def search(self, prefix: str, limit: int = 10) -> list[int]:
        """Entities with a name that starts with `prefix`, case-folded; short names first, then many triples."""
        shortest: dict[int, int] = {}
        for name, entity in self.parts.names.prefixed(prefix):
            shortest[entity] = min(shortest.get(entity, len(name)), len(name))
        return sorted(shortest, key=lambda entity: (shortest[entity], -self.adjacency.degree(entity), entity))[:limit]

    def search_near(self, name: str, limit: int = 10, *, most: int | None = None) -> list[int]:
        """Entities with a name like `name`, case-folded: nearest first, then those with many triples.

        Args:
            most: letters that may be wrong, missing or too many; default one in four, at least one and at most three.
        """
        from kg.fuzzy import near_names

        most = min(3, max(1, len(name) // 4)) if most is None else most
        index = self.parts.names
        nearest: dict[int, int] = {}
        for row, distance in zip(*(column.tolist() for column in near_names(index, name, most)), strict=True):
            entity = int(index.entities[row])
            nearest[entity] = min(nearest.get(entity, distance), distance)
        return sorted(nearest, key=lambda entity: (nearest[entity], -self.adjacency.degree(entity), entity))[:limit]

    def resolve(self, entity: str | int) -> int:
        """An entity by id, key (`wd:Q90` for a long one with a known prefix), or name.

        Raises:
            InputError: when nothing or more than one thing answers to it.
        """
        text = str(entity)
        index = self.entities.get(text)
        if index is not None:
            return index
        long = expanded(text)
        if long is not None and (index := self.entities.get(long)) is not None:
            return index
        named = self.find(text)
        if len(named) == 1:
            return int(named[0])
        if len(named) > 1:
            keys = ", ".join(self.entities.keys(named[:5])) + (", ..." if len(named) > 5 else "")
            raise InputError(f"{len(named)} entities are called {text!r}: {keys}; give one of these keys")
        if text.isdecimal() and int(text) < len(self.entities):
            return int(text)
        near = self.parts.names.near(text) or self.entities.near(text)
        raise InputError(f"no entity has the name, key or id {text!r}{did_you_mean(near)}")
