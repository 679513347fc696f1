"""The training records of a graph: its sayable facts in words, its pictures with their names and facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kept.data.leaks import Leaks, count_leaks
from kept.data.record import Record
from kept.data.sources import SOURCES, Sayable

if TYPE_CHECKING:
    from kept.linking import Linker
    from kg import KnowledgeGraph
    from kg.split import FactSplit
    from kg.verbalize import Templates

DEFAULT_SOURCES: Mapping[str, Mapping[str, Any]] = {"facts": {}, "captions": {}, "picture-facts": {}}


@dataclass(frozen=True)
class RecordSet:
    """Training records, the entities whose pictures are kept for probes, and the leak count (0 when all is well)."""

    records: list[Record]
    probe_entities: tuple[int, ...]
    leaks: Leaks

    def counts(self) -> dict[str, int]:
        """How many records each source gave."""
        return dict(Counter(record.source or "" for record in self.records))


def build_corpus(
    kg: KnowledgeGraph,
    split: FactSplit,
    templates: Templates,
    linker: Linker,
    *,
    probe_entities: Sequence[int] = (),
    sources: Mapping[str, Mapping[str, Any]] = DEFAULT_SOURCES,
    seed: int = 0,
) -> RecordSet:
    """Make the records of all sources and count their leaks.

    Args:
        probe_entities: entities whose pictures occur with their names only, see `choose_probe_entities`.
        sources: options of each source by its name in `kept.data.sources.SOURCES`.

    >>> corpus = build_corpus(kg, split, templates, Linker.from_graph(kg))                # doctest: +SKIP
    >>> corpus.leaks.total                                                                # doctest: +SKIP
    0
    """
    world = Sayable(kg, split, templates, linker, frozenset(probe_entities), seed)
    records = [record for name, options in sources.items() for record in SOURCES[name](**options).records(world)]
    return RecordSet(records, tuple(sorted(probe_entities)), count_leaks(records, kg, split))


def choose_probe_entities(
    kg: KnowledgeGraph, split: FactSplit, relation: str, *, count: int = 60, seed: int = 0
) -> list[int]:
    """Entities with a picture whose fact of this relation is in B, and which text may name; more by lot if too few.

    Their pictures are for probes ("the capital of this country is [MASK]"): training sees them with their names alone.
    """
    rng = np.random.default_rng([seed, len("probe pictures")])
    named = set(range(kg.num_entities)) - set(split.held_out.tolist())
    triples = np.asarray(kg.triples)
    of_relation = triples[:, 1] == kg.relations.id(relation)
    heads = [head for head in np.unique(triples[of_relation, 0]).tolist() if head in named and kg.images(head)]
    hidden = set(triples[split.rows("B")][np.isin(split.rows("B"), np.flatnonzero(of_relation)), 0].tolist())
    first = [head for head in heads if head in hidden]
    rest = [head for head in heads if head not in hidden]
    drawn = rng.permutation(first).tolist() + rng.permutation(rest).tolist()
    return sorted(drawn[:count])
