"""Where a text names an entity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mention:
    """The characters `start` to `end` (exclusive) of a text name the entity with this id.

    >>> mention = Mention(0, 5, entity=7)
    >>> "Paris is large."[mention.start : mention.end]
    'Paris'
    """

    start: int
    end: int
    entity: int


@dataclass(frozen=True, slots=True)
class LinkedMention:
    """A mention with all entities that bear its name, best first, each with its share of the belief.

    >>> found = LinkedMention(0, 7, "Georgia", ((3, 0.9), (8, 0.1)))
    >>> found.entity, found.ambiguous
    (3, True)
    """

    start: int
    end: int
    text: str
    candidates: tuple[tuple[int, float], ...]

    @property
    def entity(self) -> int:
        """The entity that was chosen."""
        return self.candidates[0][0]

    @property
    def ambiguous(self) -> bool:
        """Whether the name belongs to several entities."""
        return len(self.candidates) > 1


def belief(scores: Mapping[int, float]) -> tuple[tuple[int, float], ...]:
    """Candidates with the softmax of their scores, best first; ties go to the smaller id.

    >>> belief({4: 0.0, 2: 0.0})
    ((2, 0.5), (4, 0.5))
    """
    top = max(scores.values())
    weights = {entity: math.exp(score - top) for entity, score in scores.items()}
    total = sum(weights.values())
    ordered = sorted(weights, key=lambda entity: (-weights[entity], entity))
    return tuple((entity, weights[entity] / total) for entity in ordered)
