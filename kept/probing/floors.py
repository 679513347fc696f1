"""What is reached without a language model: chance, the majority object, and the graph alone."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kept.probing.items import AnswerSpace, ProbeItem
from kept.probing.scorers import ANSWER
from kept.probing.world import World

if TYPE_CHECKING:
    from kg.embedding import Vectors


class Chance:
    """All candidates alike; since ties count by expectation, it reaches exactly 1 / (candidates left by the filter)."""

    fingerprint = "chance"
    routes = (ANSWER,)

    def score(self, items: Sequence[ProbeItem], spaces: Mapping[str, AnswerSpace]) -> dict[str, list[np.ndarray]]:
        return {ANSWER: [np.zeros(len(item.space(spaces).candidates)) for item in items]}


class Majority:
    """Candidates by how often they were the answer in training facts of the relation, whatever the question.

    Args:
        counts: (relation, "object" or "subject") -> answer -> how often it is that end of a fact.
    """

    routes = (ANSWER,)

    def __init__(self, counts: Mapping[tuple[str, str], Mapping[str, int]]) -> None:
        self.counts = counts
        text = json.dumps(sorted((*pair, *sorted(c.items())) for pair, c in counts.items()), ensure_ascii=False)
        self.fingerprint = hashlib.sha256(f"majority {text}".encode()).hexdigest()

    @classmethod
    def from_world(cls, world: World, *parts: str) -> Majority:
        """Counted on the facts that a model trains on, part A unless others are named."""
        counts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for row in world.split.rows(*(parts or ("A",))).tolist():
            subject, relation, object_ = world.keys(row)
            counts[relation, "object"][object_] += 1
            counts[relation, "subject"][subject] += 1
        return cls(counts)

    def score(self, items: Sequence[ProbeItem], spaces: Mapping[str, AnswerSpace]) -> dict[str, list[np.ndarray]]:
        return {ANSWER: [self._score(item, item.space(spaces)) for item in items]}

    def _score(self, item: ProbeItem, space: AnswerSpace) -> np.ndarray:
        counts = self.counts.get((item.relation or "", item.asks), {})
        return np.array([counts.get(candidate.key, 0) for candidate in space.candidates], dtype=np.float32)


class GraphAlone:
    """Entity vectors with the scorer they were fitted for: the ceiling of what fusion can read from the graph.

    It is told the relation and the given end of the fact, which a model has to find out from words. Candidates without
    a vector score -inf; an item whose given end is absent (a picture) or has no vector is answered by chance.
    """

    routes = (ANSWER,)

    def __init__(self, vectors: Vectors) -> None:
        self.scorer = vectors.scorer().eval()
        self.fingerprint = fingerprint_of(vectors)
        self.entities = {key: position for position, key in enumerate(vectors.keys)}
        self.relations = {key: position for position, key in enumerate(vectors.relation_keys)}
        self._places: dict[str, np.ndarray] = {}

    def score(self, items: Sequence[ProbeItem], spaces: Mapping[str, AnswerSpace]) -> dict[str, list[np.ndarray]]:
        known = [self._query(item) for item in items]
        answers = [np.zeros(len(item.space(spaces).candidates), dtype=np.float32) for item in items]
        for asks in ("object", "subject"):
            rows = [row for row, query in enumerate(known) if query and items[row].asks == asks]
            for row, scores in zip(rows, self._scores(asks, [known[row] for row in rows]), strict=True):
                places = self._placed(items[row].space(spaces))
                answers[row] = np.where(places >= 0, scores[places], -np.inf)
        return {ANSWER: answers}

    def _query(self, item: ProbeItem) -> tuple[int, int] | None:
        """(given entity, relation) as rows of the vectors."""
        entity = self.entities.get((item.subject if item.asks == "object" else item.object) or "")
        relation = self.relations.get(item.relation or "")
        return None if entity is None or relation is None else (entity, relation)

    def _scores(self, asks: str, queries: Sequence[tuple[int, int] | None]) -> np.ndarray:
        """(B, N): every entity at the asked end of each query."""
        import torch

        if not queries:
            return np.empty((0, len(self.entities)), dtype=np.float32)
        entity, relation = torch.tensor(queries).T
        with torch.inference_mode():
            if asks == "object":
                return self.scorer.score_tails(entity, relation).numpy()
            return self.scorer.score_heads(relation, entity).numpy()

    def _placed(self, space: AnswerSpace) -> np.ndarray:
        """The rows of a space's candidates; -1 where one has no vector."""
        if space.digest not in self._places:
            rows = [self.entities.get(candidate.key, -1) for candidate in space.candidates]
            self._places[space.digest] = np.array(rows, dtype=np.int64)
        return self._places[space.digest]


def fingerprint_of(vectors: Vectors) -> str:
    """A sha256 over tables, names, the scorer's own parameters and its settings."""
    digest = hashlib.sha256(json.dumps([vectors.keys, vectors.relation_keys], ensure_ascii=False).encode())
    digest.update(json.dumps([vectors.config.scorer, vectors.config.scorer_options], sort_keys=True).encode())
    for table in (
        vectors.entities,
        vectors.relations,
        *(vectors.parameters[name] for name in sorted(vectors.parameters)),
    ):
        digest.update(np.ascontiguousarray(table).tobytes())
    return digest.hexdigest()
