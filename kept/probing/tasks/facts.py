"""Factual cloze: given a subject and a relation in words, which object?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from kept.probing.items import MASK, AnswerSpace, ProbeItem, ProbeSet
from kept.probing.tasks.base import TASKS, Task, fact_id, gives_away, probed_rows
from kept.probing.world import PARTS, World
from kg.verbalize import verbalize

EVERYTHING = "entities"
"""The name of the answer space of all entities."""


@TASKS.register("facts")
class Facts(Task):
    """Cloze over facts of A, B, C and D; candidates are the objects of the relation.

    One item a fact, in one of the wordings of training. Other true objects stand aside. A fact whose object is named in
    its own question ("the capital of Singapore") is dropped and counted. `meta["slice"]` cuts B by whether text names
    the subject at all (seen, unseen) and D by whether mined rules derive the fact from the graph (inferable, other).

    Source: Petroni et al. 2019, "Language models as knowledge bases?" (LAMA); candidates by relation as in Wiland et
    al. 2024, "BEAR: a unified framework for evaluating relational knowledge".
    """

    version = "1"
    parts: ClassVar[tuple[str, ...]] = PARTS
    restricted: ClassVar[bool] = True
    held_out_wording: ClassVar[bool] = False
    most: ClassVar[int | None] = None
    """How many facts of a part are asked at most, drawn at random."""

    def build(self, world: World) -> ProbeSet:
        triples, dropped, items = np.asarray(world.graph.triples), Counter[str](), []
        for part in self.parts:
            rows = self.rows(world, part)
            if self.most is not None and len(rows) > self.most:
                dropped["beyond the facts drawn"] += len(rows) - self.most
                rows = np.sort(world.rng(self.name, part).permutation(rows)[: self.most])
            for row in rows.tolist():
                head, relation, tail = triples[row].tolist()
                key = world.graph.relations.key(relation)
                query = self.query(world, key, head, fact=self.fact(world, row))
                if query is None:
                    dropped["no held-out wording"] += 1
                elif gives_away(query, world.candidate(tail).name):
                    dropped["the question names the answer"] += 1
                else:
                    items.append(self.item(world, part, row, query, self.slice(world, part, row)))
        return self.collect(items, self.spaces(world, {item.relation for item in items if item.relation}), dropped)

    def rows(self, world: World, part: str) -> np.ndarray:
        """Which facts of a part are asked."""
        return probed_rows(world, part)

    def fact(self, world: World, row: int) -> str:
        """A short id of the fact in a row."""
        return fact_id(*world.keys(row))

    def query(self, world: World, relation: str, head: int, *, fact: str) -> str | None:
        """The question in words; None where the relation lacks the wording that is asked for."""
        wordings = world.templates[relation]
        choices = wordings.held_out if self.held_out_wording else wordings.train
        if not choices:
            return None
        template = world.pick(choices, "wording", fact)
        return verbalize(template, self.subject_name(world, relation, head), MASK).text

    def subject_name(self, world: World, relation: str, head: int) -> str:
        """How the question names its subject."""
        return world.candidate(head).name

    def slice(self, world: World, part: str, row: int) -> dict[str, Any]:
        """Which slice of its part a fact is in, as meta data."""
        if part.startswith("B"):
            return {"slice": "seen" if world.in_text[world.graph.triples[row, 0]] else "unseen"}
        return {"slice": "inferable" if world.split.inferable[row] else "other"} if part == "D" else {}

    def item(self, world: World, part: str, row: int, query: str, meta: dict[str, Any]) -> ProbeItem:
        """The item of one fact."""
        head, relation, _ = world.graph.triples[row].tolist()
        subject, key, object_ = world.keys(row)
        return ProbeItem(
            id=f"{self.name}/{part}/{self.fact(world, row)}",
            task=self.name,
            split=part,
            query=query,
            answer_space=key if self.restricted else EVERYTHING,
            gold=(object_,),
            also_true=tuple(other for other in world.true_objects(head, relation) if other != object_),
            relation=key,
            subject=subject,
            object=object_,
            provenance=f"{subject} {key} {object_}",
            meta=meta,
        )

    def spaces(self, world: World, relations: Iterable[str]) -> dict[str, AnswerSpace]:
        """The answer spaces of the relations that are asked."""
        if not self.restricted:
            return {EVERYTHING: world.space(EVERYTHING, range(world.graph.num_entities))}
        return {relation: world.range_of(relation) for relation in sorted(relations)}


@TASKS.register("facts-unrestricted")
class UnrestrictedFacts(Facts):
    """The questions of `facts` with every entity a candidate, so that knowing the type is part of the task.

    At most 300 facts of a part are asked, for every candidate's score is kept on disk.
    """

    restricted = False
    most = 300


@TASKS.register("facts-paraphrase")
class ParaphrasedFacts(Facts):
    """What text or graph hold, in a wording that training never showed.

    Source: Elazar et al. 2021, "Measuring and improving consistency in pretrained language models" (ParaRel).
    """

    parts = ("A", "B-dev", "B-test")
    held_out_wording = True


@TASKS.register("unseen-entities")
class UnseenEntities(Facts):
    """Facts whose subject was held out of all text, so that only the graph can tell; also among `facts` on B."""

    parts = ("B-dev", "B-test")

    def rows(self, world: World, part: str) -> np.ndarray:
        rows = super().rows(world, part)
        return rows[np.isin(np.asarray(world.graph.triples)[rows, 0], world.split.held_out)]
