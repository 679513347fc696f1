"""What probe tasks are made from: a graph, its split, the wordings of its relations, pictures, and later changes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from kept.probing.items import AnswerSpace, Candidate
from kg.errors import InputError, nearest
from kg.storage import read_json, write_json

if TYPE_CHECKING:
    from kg.graph import KnowledgeGraph
    from kg.split import FactSplit
    from kg.verbalize import Templates

Option = TypeVar("Option")

HEAD, RELATION, TAIL = range(3)
PARTS = ("A", "B-dev", "B-test", "C", "D")
"""The parts that are probed; S (types, hierarchy) is scaffolding and is not."""


class Swap(NamedTuple):
    """A fact that changes after training: keys of its subject, its relation, its object before and after."""

    subject: str
    relation: str
    old: str
    new: str


@dataclass(frozen=True)
class World:
    """The whole truth that tasks ask about; only tasks and floors see it, never a model.

    Attributes:
        graph: all facts, every part.
        pictures: entity key -> the picture that probes show (training shows another drawing).
        group_relation: the relation from a concept to its group ("mammal"), for `concept-choice`.
        swaps: the facts that change after training, for `swap`.
    """

    graph: KnowledgeGraph
    split: FactSplit
    templates: Templates
    pictures: Mapping[str, str] = field(default_factory=dict)
    group_relation: str | None = None
    swaps: Sequence[Swap] = ()
    seed: int = 0

    @cached_property
    def objects(self) -> dict[tuple[int, int], np.ndarray]:
        """(subject id, relation id) -> ids of all its true objects."""
        triples = np.asarray(self.graph.triples)
        starts = np.flatnonzero(np.any(np.diff(triples[:, :TAIL], axis=0, prepend=-1), axis=1))
        keys = map(tuple, triples[starts, :TAIL].tolist())
        return dict(zip(keys, np.split(triples[:, TAIL], starts[1:]), strict=True))

    @cached_property
    def in_text(self) -> np.ndarray:
        """(N,) bool: which entities a fact of text (A, C) names."""
        named = np.zeros(self.graph.num_entities, dtype=bool)
        named[np.asarray(self.graph.triples)[self.split.rows("A", "C")][:, [HEAD, TAIL]]] = True
        return named

    def true_objects(self, subject: int, relation: int) -> tuple[str, ...]:
        """Keys of all objects that make (subject, relation, ?) true."""
        return tuple(
            self.candidate(entity).key for entity in self.objects.get((subject, relation), np.empty(0)).tolist()
        )

    def range_of(self, relation: str) -> AnswerSpace:
        """The candidates of a relation: every entity that is its object somewhere in the graph, in id order."""
        triples = np.asarray(self.graph.triples)
        return self.space(relation, np.unique(triples[triples[:, RELATION] == self.graph.relations.id(relation), TAIL]))

    def keys(self, row: int) -> tuple[str, str, str]:
        """The fact in a row of the graph's triples, as keys."""
        head, relation, tail = self.graph.triples[row].tolist()
        return self.candidate(head).key, self.graph.relations.key(relation), self.candidate(tail).key

    def space(self, name: str, entities: Iterable[int]) -> AnswerSpace:
        """An answer space over entity ids."""
        return AnswerSpace(name, tuple(self.candidate(int(entity)) for entity in entities))

    def candidate(self, entity: int) -> Candidate:
        """An entity as a candidate: its key and its label."""
        if entity not in self._candidates:
            self._candidates[entity] = Candidate(self.graph.entities.key(entity), self.graph.label(entity))
        return self._candidates[entity]

    def pick(self, options: Sequence[Option], *purpose: object) -> Option:
        """One of some options, for good for this seed and purpose."""
        return options[self._number(*purpose) % len(options)]

    def rng(self, *purpose: object) -> np.random.Generator:
        """Random numbers that depend on the seed and the purpose alone, not on what was drawn before."""
        return np.random.default_rng(self._number(*purpose))

    def _number(self, *purpose: object) -> int:
        text = "/".join(map(str, (self.seed, *purpose)))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")

    @cached_property
    def _candidates(self) -> dict[int, Candidate]:
        return {}

    @classmethod
    def open(cls, path: Path) -> World:
        """Open what a `world.json` points to, its paths relative to itself.

            {"graph": "world.kg", "split": "split", "templates": "templates.yaml", "pictures": {KEY: FILE},
             "group_relation": KEY, "swaps": [[SUBJECT, RELATION, OLD, NEW]], "seed": 0}

        Raises:
            InputError: when it, a key or a file is missing or wrong.
        """
        from kg.graph import KnowledgeGraph
        from kg.split import FactSplit
        from kg.verbalize import Templates

        value = read_json(path)
        known = {known.name for known in fields(cls)}
        for key in value:
            if key not in known:
                raise InputError(f"{path}: unknown key {key!r}; {nearest(key, known)}")
        for key in ("graph", "split", "templates"):
            if key not in value:
                raise InputError(f"{path}: key {key!r} is missing")
        folder = path.parent
        graph, split = KnowledgeGraph.open(folder / value["graph"]), FactSplit.load(folder / value["split"])
        split.check(graph)
        pictures = {key: str(folder / name) for key, name in value.get("pictures", {}).items()}
        for picture in pictures.values():
            if not Path(picture).is_file():
                raise InputError(f"{path}: pictures: {picture}: no such file")
        for number, swap in enumerate(value.get("swaps", ())):
            if len(swap) != len(Swap._fields):
                raise InputError(f"{path}: swaps[{number}] is not [subject, relation, old, new]")
        return cls(
            graph,
            split,
            Templates.load(folder / value["templates"]),
            pictures,
            value.get("group_relation"),
            tuple(Swap(*swap) for swap in value.get("swaps", ())),
            value.get("seed", 0),
        )


def write_world(
    path: Path,
    *,
    graph: str,
    split: str,
    templates: str,
    pictures: Mapping[str, str] | None = None,
    group_relation: str | None = None,
    swaps: Sequence[Swap] = (),
    seed: int = 0,
) -> None:
    """Write the `world.json` that `World.open` reads; paths are relative to its folder."""
    value: dict[str, Any] = {"graph": graph, "split": split, "templates": templates, "seed": seed}
    value |= {"pictures": dict(pictures or {}), "group_relation": group_relation, "swaps": [list(s) for s in swaps]}
    write_json(path, value)
