"""What the words around a name say about its type: Lesk's overlap with the glosses of the types."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from kg import KnowledgeGraph

WORD = re.compile(r"[^\W\d_]+")
SUFFIXES = ("ing", "ed", "s")
RANGE_SHARE = 0.5


def stem(word: str) -> str:
    """A word without its commonest English endings, when three letters remain.

    >>> [stem(word) for word in ("speaks", "called", "is")]
    ['speak', 'call', 'is']
    """
    for suffix in SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)]
    return word


def stems(text: str, stop_words: Iterable[str] = ()) -> set[str]:
    """The stems of the words of a text that are no stop words."""
    return {stem(word) for word in WORD.findall(text.lower()) if word not in stop_words}


class Glosses:
    """How well a context speaks for each type of a graph.

    The gloss of a type is made of its label and description and of the labels of the relations whose tails are mostly
    of that type. The overlap of a context with it is the sum of

        log(1 + types / types with this word) / sqrt(distance in tokens)

    over their common stems: the simplified Lesk algorithm (Kilgarriff and Rosenzweig, "Framework and results for
    English SENSEVAL", 2000) with classes in the place of senses and near words before far ones. No edge of an entity
    is looked at, so that linking cannot tell which facts the graph holds.

    >>> from kg import KnowledgeGraph
    >>> kg = KnowledgeGraph.from_triples([("France", "speaks", "fr")], types={"fr": "Language"})
    >>> glosses = Glosses(kg, set())
    >>> round(glosses.overlap({"language": 1.0}, kg.entities.id("fr")), 3)
    0.693
    """

    def __init__(self, kg: KnowledgeGraph, stop_words: set[str]) -> None:
        self.types_of: dict[int, list[int]] = defaultdict(list)
        if kg.type_relation is not None:
            for head, _, tail in kg.triples[kg.triples[:, 1] == kg.type_relation].tolist():
                self.types_of[head].append(tail)
        types = {kind for kinds in self.types_of.values() for kind in kinds}
        texts = {kind: [kg.label(kind), kg.description(kind) or ""] for kind in types}
        for relation, kinds in self._ranges(kg).items():
            for kind in kinds:
                texts[kind].append(kg.relation_label(relation))
        self.words = {kind: stems(" ".join(parts), stop_words) for kind, parts in texts.items()}
        spread = Counter(word for words in self.words.values() for word in words)
        self.weight = {word: math.log(1 + len(types) / count) for word, count in spread.items()}

    def _ranges(self, kg: KnowledgeGraph) -> dict[int, list[int]]:
        """For each relation, the types that at least half of its tails have."""
        found: dict[int, list[int]] = {}
        triples = np.asarray(kg.triples)
        for relation in range(kg.num_relations):
            if relation == kg.type_relation:
                continue
            tails = triples[triples[:, 1] == relation, 2].tolist()
            counts = Counter(kind for tail in tails for kind in self.types_of.get(tail, ()))
            found[relation] = [kind for kind, count in counts.items() if count >= RANGE_SHARE * len(tails)]
        return found

    def overlap(self, context: Mapping[str, float], entity: int) -> float:
        """How much a context, stems with their weights, shares with the gloss of the entity's best type."""
        shares = (
            sum(self.weight[word] * context[word] for word in context.keys() & self.words[kind])
            for kind in self.types_of.get(entity, ())
        )
        return max(shares, default=0.0)
