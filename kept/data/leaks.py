"""Does any training record say what it must not? Facts of B and D, and the names of held-out entities."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kept.data.record import Record

if TYPE_CHECKING:
    from kg import KnowledgeGraph
    from kg.split import FactSplit

TOKEN = re.compile(r"\w+|[^\w\s]")
EXAMPLES = 20
HIDDEN = ("B-dev", "B-test", "D")


@dataclass
class Leaks:
    """What the records say that they must not.

    - `facts`: for each hidden part, how many (record, fact) pairs state one of its facts;
    - `held_out`: how many records name or show a held-out entity;
    - `examples`: the first of them, readable.
    """

    records: int = 0
    facts: Counter[str] = field(default_factory=Counter)
    held_out: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All leaks; 0 is the only good number."""
        return sum(self.facts.values()) + self.held_out


class NameFinder:
    """Finds every name of a graph in a text, in any case, on word boundaries, for all its bearers.

    Not the linker: it knows neither case rules nor priors nor classes, so it errs on the side of finding. Names inside
    a longer name are not said ("Guinea" in "Papua New Guinea").

    >>> from kg import KnowledgeGraph
    >>> kg = KnowledgeGraph.from_triples([("Guinea", "borders", "Mali"), ("Papua New Guinea", "borders", "Indonesia")])
    >>> [kg.label(entity) for entity in NameFinder(kg).entities("papua new guinea")]
    ['Papua New Guinea']
    """

    def __init__(self, kg: KnowledgeGraph) -> None:
        self.kg = kg
        self.bearers: dict[tuple[str, ...], set[int]] = {}
        self.longest: dict[str, int] = {}
        for entity in range(kg.num_entities):
            for name in kg.names(entity):
                words = tuple(TOKEN.findall(name.casefold()))
                if words:
                    self.bearers.setdefault(words, set()).add(entity)
                    self.longest[words[0]] = max(len(words), self.longest.get(words[0], 0))

    def entities(self, text: str) -> set[int]:
        """All bearers of the names in a text."""
        words = TOKEN.findall(text.casefold())
        found: set[int] = set()
        covered = 0
        for start, end in self._spans(words):
            if end > covered:
                found |= self.bearers[tuple(words[start:end])]
                covered = end
        return found

    def _spans(self, words: list[str]) -> Iterator[tuple[int, int]]:
        """For each place, the longest name that begins there."""
        for start, word in enumerate(words):
            for length in range(min(self.longest.get(word, 0), len(words) - start), 0, -1):
                if tuple(words[start : start + length]) in self.bearers:
                    yield start, start + length
                    break


def count_leaks(records: Iterable[Record], kg: KnowledgeGraph, split: FactSplit) -> Leaks:
    """Count what records say of facts in B or D, and of held-out entities.

    A record states a fact when it has both ends of it: a name or alias of each in any of its texts, a mention, a stated
    triple, or a picture of it.

    >>> count_leaks([], kg, split).total                                                  # doctest: +SKIP
    0
    """
    split.check(kg)
    finder = NameFinder(kg)
    hidden: dict[tuple[int, int], list[tuple[str, str]]] = {}
    for part in HIDDEN:
        for head, relation, tail in kg.triples[split.rows(part)].tolist():
            hidden.setdefault((min(head, tail), max(head, tail)), []).append((part, kg.relation_label(relation)))
    shown = {image: entity for entity in range(kg.num_entities) for image in kg.images(entity)}
    held_out = set(split.held_out.tolist())
    leaks = Leaks()
    for record in records:
        leaks.records += 1
        said = said_entities(record, finder, shown)
        if not said.isdisjoint(held_out):
            leaks.held_out += 1
            note(leaks, record, f"names {kg.label(min(said & held_out))}, which is held out")
        for first in said:
            for second in said:
                for part, relation in hidden.get((first, second), ()):
                    leaks.facts[part] += 1
                    note(leaks, record, f"states {part}: {kg.label(first)} | {relation} | {kg.label(second)}")
    return leaks


def said_entities(record: Record, finder: NameFinder, shown: dict[str, int]) -> set[int]:
    """Every entity that a record names, links, states or shows."""
    said = {mention.entity for mention in record.mentions}
    said |= {entity for head, _, tail in record.triples for entity in (head, tail)}
    said |= {shown[image] for image in record.pictures() if image in shown}
    said |= {record.depicts} if record.depicts is not None else set()
    for text in record.strings():
        said |= finder.entities(text)
    return said


def note(leaks: Leaks, record: Record, what: str) -> None:
    if len(leaks.examples) < EXAMPLES:
        leaks.examples.append(f"{record.id}: {record.text!r} {what}")
