"""The family of probe tasks: from a world to items."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections import Counter
from typing import ClassVar

import numpy as np

from kept.probing.items import MASK, AnswerSpace, ProbeItem, ProbeSet
from kept.probing.world import World
from kg.registry import Registry

TASKS: Registry[type[Task]] = Registry("probe")


class Task(ABC):
    """Items made from a world.

    Attributes:
        version: changes whenever items of the same world would; a part of the key under which scores are kept.
        metrics: the names of its metrics, the headline first.
    """

    version: ClassVar[str]
    metrics: ClassVar[tuple[str, ...]] = ("p@1", "mrr", "hits@10")

    @property
    def name(self) -> str:
        return TASKS.name_of(type(self))

    @abstractmethod
    def build(self, world: World) -> ProbeSet:
        """All items with their answer spaces; equal worlds give equal items.

        Raises:
            InputError: when the world lacks what the task needs (pictures, swaps, groups).
        """

    def items(self, world: World) -> list[ProbeItem]:
        """The items alone."""
        return list(self.build(world).items)

    def collect(
        self, items: list[ProbeItem], spaces: dict[str, AnswerSpace], dropped: Counter[str] | None = None
    ) -> ProbeSet:
        """A checked set under the task's name and version."""
        return ProbeSet(self.name, self.version, tuple(items), spaces, dropped or Counter()).check()


def fact_id(*keys: str) -> str:
    """A short id of a fact that stays when the graph is rebuilt."""
    return hashlib.sha256("\t".join(keys).encode()).hexdigest()[:16]


def contains_words(text: str, words: str) -> bool:
    """Whether `words` stand in `text` as whole words, whatever their case.

    >>> contains_words("The capital of Guinea-Bissau", "bissau"), contains_words("Nigeria", "Niger")
    (True, False)
    """
    start, text, words = 0, text.casefold(), words.casefold()
    while words and (found := text.find(words, start)) >= 0:
        before, after = text[found - 1 : found], text[found + len(words) : found + len(words) + 1]
        if not (before.isalnum() or after.isalnum()):
            return True
        start = found + 1
    return False


def gives_away(query: str, answer: str) -> bool:
    """Whether a query names its answer, as LAMA-UHN's string filter asks.

    Source: Poerner et al. 2020, "E-BERT: efficient-yet-effective entity embeddings for BERT", section 4.1.2.
    """
    return contains_words(query.replace(MASK, " "), answer)


def probed_rows(world: World, *parts: str) -> np.ndarray:
    """Rows of the graph's triples that lie in `parts` and whose relation has templates."""
    rows = np.asarray(world.split.rows(*parts))
    relations = np.asarray(world.graph.triples)[rows, 1]
    worded = [world.graph.relations.key(relation) in world.templates for relation in range(world.graph.num_relations)]
    return rows[np.array(worded, dtype=bool)[relations]]
