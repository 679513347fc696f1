"""Everyday knowledge: which of four things is of a kind?"""

from __future__ import annotations

from collections import Counter

import numpy as np

from kept.probing.items import MASK, Candidate, ProbeItem, ProbeSet
from kept.probing.tasks.base import TASKS, Task, fact_id
from kept.probing.world import HEAD, PARTS, RELATION, TAIL, World
from kg.errors import InputError
from kg.verbalize import verbalize

CHOICES = 4


@TASKS.register("concept-choice")
class ConceptChoice(Task):
    """Multiple choice among four concepts: "which of these is a mammal?", three of them of other kinds.

    Made from the world's own concepts and kinds, not from a published benchmark. The query is a cloze in a wording of
    the relation ("[MASK] is a kind of mammal.") where it has one, `meta["question"]` the same in plain words; the kind
    is given, the concept asked for. Wrong choices come from the same part as the right one, so that what text or graph
    say of them cannot rule them out by elimination. Chance is 1/4.
    """

    version = "1"
    metrics = ("accuracy",)

    def build(self, world: World) -> ProbeSet:
        if world.group_relation is None:
            raise InputError("concept-choice: this world names no group_relation")
        triples, dropped = np.asarray(world.graph.triples), Counter[str]()
        relation = world.graph.relations.id(world.group_relation)
        items = []
        for part in (*PARTS, "S"):
            rows = np.asarray(world.split.rows(part))
            rows = rows[triples[rows, RELATION] == relation]
            for row in rows.tolist():
                of_kind = triples[(triples[:, RELATION] == relation) & (triples[:, TAIL] == triples[row, TAIL]), HEAD]
                others = np.setdiff1d(triples[rows, HEAD], of_kind)
                if len(others) < CHOICES - 1:
                    dropped["too few concepts of other kinds"] += 1
                else:
                    items.append(self._item(world, part, row, others))
        return self.collect(items, {}, dropped)

    def _item(self, world: World, part: str, row: int, others: np.ndarray) -> ProbeItem:
        """The question of one fact, its wrong choices drawn from `others`."""
        concept, _, group = world.graph.triples[row].tolist()
        subject, key, object_ = world.keys(row)
        fact, kind = fact_id(subject, key, object_), world.candidate(group).name
        rng = world.rng("concept-choice", fact)
        drawn = [concept, *rng.choice(others, CHOICES - 1, replace=False).tolist()]
        choices: list[Candidate] = [world.candidate(drawn[place]) for place in rng.permutation(CHOICES)]
        question = f"Which of these is {'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}?"
        return ProbeItem(
            id=f"{self.name}/{part}/{fact}",
            task=self.name,
            split=part,
            query=self._cloze(world, key, kind, fact) or question,
            choices=tuple(choices),
            gold=(subject,),
            relation=key,
            subject=subject,
            object=object_,
            asks="subject",
            provenance=f"{subject} {key} {object_}",
            meta={"question": question},
        )

    def _cloze(self, world: World, relation: str, kind: str, fact: str) -> str | None:
        if relation not in world.templates or not (wordings := world.templates[relation].train):
            return None
        template = world.pick(wordings, "wording", fact)
        text = verbalize(template, MASK, kind).text
        return text[0].upper() + text[1:]
