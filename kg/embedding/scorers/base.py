"""The contract of scorers: the similarity of a head, a relation and a tail.

A scorer of the family writes three things about *states* (rows that an encoder made): `query(h, r)`, `match(q, t)` row
by row, and `compare(q, E)` of queries with all candidates, as a matrix product wherever the mathematics allows it. What
a comparison needs of the relation besides, a normal or a matrix, stands in the query. Everything about *ids* is here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kg.embedding.encoders import Encoder, FreeTable
from kg.embedding.features import FeatureMap
from kg.embedding.mapped import MappedTables
from kg.embedding.optim import gather
from kg.embedding.states import Edges, States
from kg.errors import InputError
from kg.registry import Registry

TABLES = ("entities", "relations")


class Scorer(nn.Module, ABC):
    """Scores facts (h, r, t) by ids; higher is more plausible.

    Relations are always reciprocal (Lacroix et al. 2018, section 3): relation `r + R` is the inverse of `r`, and heads
    are asked as tails of it, `score_heads(r, t)[b, h] == score(t, r + R, h)`. In float64 and eval mode `score`,
    `score_tails` and `score_heads` agree to a relative 1e-6.

    Args:
        num_entities: N.
        num_relations: R, without inverses.
        dim: real numbers of an entity.
        entity_width: length of an entity's state, `dim` unless a member says otherwise.
        relation_width: length of a relation's state, likewise.
        encoder: called with `entity_width`, `relation_width`, `num_relations` (2R); a free vector each where absent.
        edges: the graph that the encoder looks at.
        dropout: share of a head's numbers that are dropped while training.
        relation_dropout: share of a relation's numbers, likewise.
        init_std: standard deviation of fresh vectors; a scorer of its own taste overrides `reset_parameters`.
        features: (N, F) what is known of entities besides; mapped to their width and added to the free vectors.
        free: False leaves the features alone, so that an entity without facts has a vector as good as any.
        tables: where the entity table lies in a file instead of in memory.
        facts_per_relation: (2R,) how often each relation occurs, for members whose size depends on it.
    """

    defaults: ClassVar[Mapping[str, Any]] = {}
    """Settings of a fit that suit the member, where nothing else is asked for."""

    source: Tensor
    target: Tensor
    offsets: Tensor

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        dim: int = 200,
        *,
        entity_width: int | None = None,
        relation_width: int | None = None,
        encoder: Callable[..., Encoder] = FreeTable,
        edges: Edges | None = None,
        dropout: float = 0.0,
        relation_dropout: float = 0.0,
        init_std: float = 0.1,
        features: Tensor | None = None,
        free: bool = True,
        tables: MappedTables | None = None,
        facts_per_relation: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.num_entities, self.num_relations = num_entities, num_relations
        self.entity_width = dim if entity_width is None else entity_width
        self.relation_width = dim if relation_width is None else relation_width
        self.init_std = init_std
        self.dropout, self.relation_dropout = nn.Dropout(dropout), nn.Dropout(relation_dropout)
        self.facts_per_relation = facts_per_relation
        self.encoder = encoder(
            entity_width=self.entity_width, relation_width=self.relation_width, num_relations=2 * num_relations
        )
        shape = num_entities, self.encoder.entity_features
        self.entities = nn.Parameter(torch.empty(shape) if tables is None else tables.make("entities", shape))
        self.relations = nn.Parameter(torch.empty(2 * num_relations, self.encoder.relation_features))
        self.features = None if features is None else FeatureMap(features, self.encoder.entity_features)
        no_edges = torch.zeros(0, dtype=torch.long)
        edges = edges or Edges(no_edges, no_edges, torch.zeros(2 * num_relations + 1, dtype=torch.long))
        for name in ("source", "target", "offsets"):
            self.register_buffer(name, getattr(edges, name), persistent=False)
        self.reset_parameters()
        if not free:
            self.entities.requires_grad_(False).zero_()

    def reset_parameters(self) -> None:
        """Draw fresh entity and relation vectors."""
        nn.init.normal_(self.entities, std=self.init_std)
        nn.init.normal_(self.relations, std=self.init_std)

    @abstractmethod
    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        """States (B, entity width), (B, relation width) -> queries (B, Q)."""

    @abstractmethod
    def match(self, query: Tensor, tail: Tensor) -> Tensor:
        """Queries (..., Q) and tail states (..., entity width), broadcast -> scores (...)."""

    @abstractmethod
    def compare(self, query: Tensor, entities: Tensor) -> Tensor:
        """Queries (B, Q) with all candidates (C, entity width) -> scores (B, C)."""

    def relate(self, head: Tensor, relations: Tensor, ids: Tensor) -> Tensor:
        """Head states (B, entity width), all relation states, ids (B,) -> queries (B, Q).

        The same as `query`, for members that have a matrix for each relation: they need not copy it for each head.
        """
        return self.query(head, relations[ids])

    def ask(self, head: Tensor, relations: Tensor, ids: Tensor) -> Tensor:
        """`relate`, with dropout while training."""
        return self.relate(self.dropout(head), self.relation_dropout(relations), ids)

    def as_product(self, query: Tensor, entities: Tensor) -> tuple[Tensor, Tensor] | None:
        """Left and right factors with `compare(query, entities) = left @ right.T`, where there are any."""
        return None

    def moduli(self, states: Tensor) -> Tensor:
        """The magnitudes that L2 and N3 regularise."""
        return states.abs()

    def own_weights(self) -> list[str]:
        """The names of what the member learns besides vectors, as a core tensor or filters."""
        names = (name for name, _ in self.named_parameters())
        return [name for name in names if name not in TABLES and not name.startswith(("encoder.", "features."))]

    def states(self) -> States:
        """Entity and relation states from the encoder; pass them on where several scores are asked for."""
        return self.encode(Edges(self.source, self.target, self.offsets), self.inputs())

    def inputs(self, ids: Tensor | None = None) -> Tensor:
        """What the encoder reads of all entities, or of some (n,): free vectors, and features where there are any.

        The gradient of some free vectors is sparse.
        """
        rows = self.entities if ids is None else gather(self.entities, ids)
        return rows if self.features is None else rows + self.features(ids)

    def encode(self, edges: Edges, entities: Tensor) -> States:
        """States from the edges between some entities, and their rows of `entities`."""
        encoded: States = self.encoder(edges, entities, self.relations)
        return encoded

    def inverse(self, relation: Tensor) -> Tensor:
        """r -> r + R, and r + R -> r."""
        return (relation + self.num_relations) % (2 * self.num_relations)

    def queries(self, head: Tensor, relation: Tensor, states: States | None = None) -> Tensor:
        """Ids (B,), (B,) -> queries (B, Q), with dropout while training."""
        states = states or self.states()
        return self.ask(states.entities[head], states.relations, relation)

    def score(self, head: Tensor, relation: Tensor, tail: Tensor, states: States | None = None) -> Tensor:
        """Ids (B,) each -> scores (B,)."""
        states = states or self.states()
        return self.match(self.queries(head, relation, states), states.entities[tail])

    def score_tails(
        self, head: Tensor, relation: Tensor, states: States | None = None, candidates: slice = slice(None)
    ) -> Tensor:
        """Ids (B,), (B,) -> scores (B, N) of every entity (or of a slice of them) as the tail."""
        states = states or self.states()
        return self.compare(self.queries(head, relation, states), states.entities[candidates])

    def score_heads(
        self, relation: Tensor, tail: Tensor, states: States | None = None, candidates: slice = slice(None)
    ) -> Tensor:
        """Ids (B,), (B,) -> scores (B, N) of every entity as the head, asked as the tail of the inverse relation."""
        return self.score_tails(tail, self.inverse(relation), states, candidates)


def halved(dim: int, what: str) -> int:
    """Half of a dimension.

    Raises:
        InputError: for an odd one, saying what the halves are.
    """
    if dim % 2:
        raise InputError(f"dim: {what} share the numbers of an entity; expected an even number, got {dim}")
    return dim // 2


class DotScorer(Scorer):
    """Scores are inner products: f(h, r, t) = <query(h, r), t>."""

    def match(self, query: Tensor, tail: Tensor) -> Tensor:
        return (query * tail).sum(-1)

    def compare(self, query: Tensor, entities: Tensor) -> Tensor:
        return query @ entities.T

    def as_product(self, query: Tensor, entities: Tensor) -> tuple[Tensor, Tensor]:
        return query, entities


SCORERS: Registry[type[Scorer]] = Registry("scorer")
