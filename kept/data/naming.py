"""Where a text names what the scene graph of its picture holds: objects, attributes and relations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kept.data.record import Record


class Named(IntEnum):
    """What a word stands for in a scene graph."""

    OBJECT = 0
    ATTRIBUTE = 1
    RELATION = 2


class Naming(NamedTuple):
    """Characters [start, end) of a text that name something of a region (of a relation: its subject)."""

    start: int
    end: int
    kind: Named
    region: int


def namings(record: Record, text: str) -> list[Naming]:
    """Every place where the text has the name of a region's class, of its attributes or of a relation, as whole words.

    A name that several regions share counts for the first; case does not matter.
    Source: Cui et al. 2021, ROSITA, section 3.1 (regions and words joined by their names); Yu et al. 2021, ERNIE-ViL,
    section 3.1, where a parser finds the scene graph of a text.

        >>> from kept.data.record import Record, Region
        >>> record = Record(id="a", regions=(Region((0, 0, 1, 1), "dog", ("brown",)),))
        >>> [(text.start, text.kind.name) for text in namings(record, "A brown dog")]
        [(8, 'OBJECT'), (2, 'ATTRIBUTE')]
    """
    taken: set[tuple[str, Named]] = set()
    found: list[Naming] = []
    for name, kind, region in _names(record):
        if name and (name.lower(), kind) not in taken:
            taken.add((name.lower(), kind))
            pattern = rf"(?<!\w){re.escape(name)}(?!\w)"
            found += [Naming(*m.span(), kind, region) for m in re.finditer(pattern, text, re.IGNORECASE)]
    return found


def _names(record: Record) -> Iterator[tuple[str, Named, int]]:
    for place, region in enumerate(record.regions):
        yield region.label or "", Named.OBJECT, place
        yield from ((attribute, Named.ATTRIBUTE, place) for attribute in region.attributes)
    for relation in record.relations:
        yield relation.predicate, Named.RELATION, relation.subject
