"""`KnowledgeGraph`: ids, triples, names and literals, in memory or mapped from a graph directory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kg.arrays import Adjacency, sort_triples
from kg.assemble import Parts, content_hash
from kg.literals import Literal
from kg.memory import number, sort_out
from kg.meta import GraphMeta
from kg.naming import Naming
from kg.predicates import RDF_TYPE, RDFS_LABEL, SKOS_ALT_LABEL, Predicates
from kg.rdf import Statement

if TYPE_CHECKING:
    import networkx
    import rdflib
    import torch_geometric.data


class KnowledgeGraph(Naming):
    """A knowledge graph: entities and relations with ids, triples (head, relation, tail), and what they are called.

    Ids follow the order of keys. A key is an IRI, a blank node `_:label`, or any other string. The object is the same
    for a graph in memory and for a directory that is mapped, and it is never changed: `without` and `with_triples`
    make new ones that share everything else.

    >>> kg = KnowledgeGraph.from_triples([("Paris", "capital of", "France")], labels={"Paris": "City of Light"})
    >>> kg.label(kg.find("city of light")[0]), kg.degree(kg.entities.id("France"))
    ('City of Light', 1)
    """

    def __init__(self, parts: Parts, meta: GraphMeta, adjacency: Adjacency | None = None) -> None:
        self.parts = parts
        self.meta = meta
        self._adjacency = adjacency

    @classmethod
    def open(cls, path: str | Path) -> KnowledgeGraph:
        """Map a graph directory; takes milliseconds at any size.

        Raises:
            InputError: when there is no graph at `path`, or one of another format version.
        """
        from kg.directory import read_directory

        return cls(*read_directory(Path(path)))

    def save(self, path: str | Path) -> None:
        """Write a graph directory, atomically; an older one at `path` is replaced."""
        from kg.directory import write_directory

        write_directory(Path(path), self.parts, self.meta, self.adjacency)

    @classmethod
    def from_triples(
        cls,
        triples: Iterable[tuple[str, str, str]],
        *,
        labels: Mapping[str, str] | None = None,
        types: Mapping[str, str] | None = None,
        aliases: Mapping[str, Sequence[str]] | None = None,
        literals: Iterable[tuple[str, Literal]] = (),
        entities: Iterable[str] = (),
        language: str = "en",
        predicates: Predicates | None = None,
    ) -> KnowledgeGraph:
        """A graph in memory from keys.

        Args:
            triples: (head, relation, tail) keys; duplicates count once.
            labels: names of entities and relations, by key.
            types: the class of entities, by key, as `rdf:type` triples.
            aliases: further names, by key.
            literals: (entity key, literal) pairs.
            entities: keys that may be in no triple. So may those of labels, aliases and literals.
            language: the language that `label` prefers.
            predicates: which literals are labels, and so on.
        """
        predicates = predicates or Predicates()
        facts = [*triples, *((entity, RDF_TYPE, kind) for entity, kind in (types or {}).items())]
        said = [(key, Literal(RDFS_LABEL, label)) for key, label in (labels or {}).items()]
        said += [(key, Literal(SKOS_ALT_LABEL, name)) for key, names in (aliases or {}).items() for name in names]
        said += literals
        parts = number(facts, said, entities, predicates)
        return cls.of_parts(
            parts, language=language, statements=len(facts) + len(said), type_predicates=predicates.type
        )

    @classmethod
    def from_statements(
        cls, statements: Iterable[Statement], *, language: str = "en", predicates: Predicates | None = None
    ) -> KnowledgeGraph:
        """A graph in memory from RDF statements; the same as `kg.build.build` makes of them."""
        predicates = predicates or Predicates()
        triples, literals, total = sort_out(statements, predicates)
        parts = number(triples, literals, (), predicates)
        return cls.of_parts(parts, language=language, statements=total, type_predicates=predicates.type)

    @classmethod
    def of_parts(cls, parts: Parts, *, type_predicates: Sequence[str], **about: Any) -> KnowledgeGraph:
        """A graph of assembled parts; counts and hashes are taken from them, `about` fills the other meta data."""
        vocabulary_hash = parts.vocabulary_hash()
        meta = GraphMeta(
            entities=len(parts.entities),
            relations=len(parts.relations.vocabulary),
            triples=len(parts.triples),
            literals=len(parts.literals) + len(parts.relations.literals),
            hash=content_hash(vocabulary_hash, parts.triples, parts.weights),
            vocabulary_hash=vocabulary_hash,
            type_predicates=tuple(key for key in type_predicates if parts.relations.vocabulary.get(key) is not None),
            **about,
        )
        return cls(parts, meta)

    def __repr__(self) -> str:
        return (
            f"KnowledgeGraph({self.num_entities} entities, {self.num_relations} relations, {self.num_triples} triples)"
        )

    @property
    def hash(self) -> str:
        """The hash of the content: equal for equal entities, relations, literals and triples."""
        return self.meta.hash

    @property
    def triples(self) -> np.ndarray:
        """(T, 3) int32 or int64 ids, ascending by (head, relation, tail), unique."""
        return self.parts.triples

    @property
    def weights(self) -> np.ndarray | None:
        """(T,) float32, how sure the sources are of each triple; None where none of them says."""
        return self.parts.weights

    @property
    def num_entities(self) -> int:
        return len(self.entities)

    @property
    def num_relations(self) -> int:
        return len(self.relations)

    @property
    def num_triples(self) -> int:
        return len(self.triples)

    @property
    def adjacency(self) -> Adjacency:
        """Where each entity's triples lie, as heads and as tails; in memory it is made when first needed."""
        if self._adjacency is None:
            self._adjacency = Adjacency.of(self.triples, self.num_entities)
        return self._adjacency

    def out(self, entity: int) -> tuple[np.ndarray, np.ndarray]:
        """(relations, tails) of the triples with this head."""
        rows = self.adjacency.out_rows(entity)
        return self.triples[rows, 1], self.triples[rows, 2]

    def into(self, entity: int) -> tuple[np.ndarray, np.ndarray]:
        """(relations, heads) of the triples with this tail."""
        rows = self.adjacency.in_rows(entity)
        return self.triples[rows, 1], self.triples[rows, 0]

    def degree(self, entity: int) -> int:
        """How many triples have the entity as head or tail; a loop counts twice."""
        return self.adjacency.degree(entity)

    @cached_property
    def type_relations(self) -> np.ndarray:
        """Ids of the relations that say what an entity is."""
        return np.array([self.relations.id(key) for key in self.meta.type_predicates], dtype=np.int64)

    @property
    def type_relation(self) -> int | None:
        """The first of `type_relations`, or None where a graph has no types."""
        return int(self.type_relations[0]) if len(self.type_relations) else None

    def is_type(self, relations: np.ndarray) -> np.ndarray:
        """Which of the relations say what an entity is, (n,) bool."""
        return (relations[:, None] == self.type_relations).any(axis=1)

    def types(self, entity: int) -> np.ndarray:
        """The entities that are given as classes of this one, ascending."""
        relations, tails = self.out(entity)
        return np.unique(tails[self.is_type(relations)])

    def of_type(self, kind: int) -> np.ndarray:
        """The entities of a class, ascending."""
        relations, heads = self.into(kind)
        return np.unique(heads[self.is_type(relations)])

    def rows_of(self, relation: int) -> np.ndarray:
        """The rows of `triples` with one relation, ascending."""
        return np.flatnonzero(self.triples[:, 1] == relation)

    def subgraph(self, entities: Iterable[int] | np.ndarray, hops: int = 1) -> np.ndarray:
        """The rows of `triples` met within `hops` steps, in either direction, of any of the entities; ascending.

        With `hops=1` these are the triples that touch an entity; with `hops=0`, those between two of the entities.
        """
        reached = np.unique(np.asarray(entities if isinstance(entities, np.ndarray) else list(entities), np.int64))
        if hops == 0:
            rows = self.adjacency.touching(reached)
            ends = self.triples[rows]
            return rows[np.isin(ends[:, 0], reached) & np.isin(ends[:, 2], reached)]
        rows = np.empty(0, dtype=np.int64)
        frontier = reached
        for _ in range(hops):
            found = self.adjacency.touching(frontier)
            rows = np.union1d(rows, found)
            met = np.unique(self.triples[found][:, [0, 2]])
            frontier = np.setdiff1d(met, reached, assume_unique=True)
            reached = np.union1d(reached, met)
        return rows

    def statements(self) -> Iterator[tuple[str, str, str]]:
        """All triples as keys, in constant memory."""
        for start in range(0, self.num_triples, 1 << 14):
            heads, relations, tails = self.triples[start : start + (1 << 14)].T
            yield from zip(
                self.entities.keys(heads), self.relations.keys(relations), self.entities.keys(tails), strict=True
            )

    def without(self, rows: np.ndarray) -> KnowledgeGraph:
        """The graph without these rows of `triples`: a holdout. Ids, names and literals stay."""
        kept = np.ones(self.num_triples, dtype=bool)
        kept[np.asarray(rows)] = False
        return self._with(self.triples[kept], None if self.weights is None else self.weights[kept])

    def with_triples(self, triples: np.ndarray) -> KnowledgeGraph:
        """The graph with other triples, (T, 3) ids in any order, all of weight 1. Ids, names and literals stay."""
        triples = np.asarray(triples).reshape(-1, 3)
        bounds = (self.num_entities, self.num_relations, self.num_entities)
        if triples.size and (triples.min() < 0 or (triples.max(axis=0) >= bounds).any()):
            raise ValueError(f"ids outside the graph's {self.num_entities} entities and {self.num_relations} relations")
        return self._with(sort_triples(triples, self.num_entities, self.num_relations))

    def _with(self, triples: np.ndarray, weights: np.ndarray | None = None) -> KnowledgeGraph:
        """Triples that are sorted and unique already."""
        triples = np.ascontiguousarray(triples)
        triples.flags.writeable = False
        meta = dataclasses.replace(
            self.meta, triples=len(triples), hash=content_hash(self.meta.vocabulary_hash, triples, weights)
        )
        return KnowledgeGraph(dataclasses.replace(self.parts, triples=triples, weights=weights), meta)

    def to_networkx(self, *, rows: np.ndarray | None = None) -> networkx.MultiDiGraph:
        """See `kg.backends.networkx`."""
        from kg.backends import NetworkX

        return NetworkX().export(self, rows=rows)

    def to_rdflib(self) -> rdflib.Graph:
        """See `kg.backends.rdflib`."""
        from kg.backends import RDFLib

        return RDFLib().export(self)

    def to_pyg(self, *, inverse: bool = False) -> torch_geometric.data.Data:
        """See `kg.backends.pyg`."""
        from kg.backends import PyG

        return PyG().export(self, inverse=inverse)

    @classmethod
    def from_networkx(cls, graph: networkx.MultiDiGraph) -> KnowledgeGraph:
        """See `kg.backends.networkx`."""
        from kg.backends import NetworkX

        return NetworkX().load(graph)

    @classmethod
    def from_rdflib(cls, graph: rdflib.Graph) -> KnowledgeGraph:
        """See `kg.backends.rdflib`."""
        from kg.backends import RDFLib

        return RDFLib().load(graph)
