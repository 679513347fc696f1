"""Questions about a scene, one kind each: what can be asked is drawn so that the question alone tells little."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cached_property
from random import Random
from typing import NamedTuple

import numpy as np

from kept.data.record import Triple
from kept.data.scenes.colours import BACKGROUNDS, TINTS
from kept.data.scenes.knowledge import Fact, plain
from kept.data.scenes.language import SINGULAR, WORDINGS, article, number_of, plural, verb
from kept.data.scenes.layout import LARGE, SMALL, Scene
from kept.data.scenes.relations import INVERSE, clearly_not, holds
from kept.data.scenes.splits import ENTITY
from kept.data.scenes.world import World

YES_NO = ("yes", "no")
FACTS: dict[str, tuple[str, ...]] = {
    "isa": ("What in the picture is a kind of {tail}?", "Which of the drawn things is a kind of {tail}?"),
    "kindof": ("What in the picture is a kind of {tail}?", "Which of the drawn things is a kind of {tail}?"),
    "usedfor": ("What in the picture is used for this: {tail}?", "Which of the drawn things serves this: {tail}?"),
    "atlocation": (
        "What in the picture is often found here: {tail}?",
        "Which of the drawn things has this place: {tail}?",
    ),
    "hasa": ("What in the picture has this: {tail}?",),
    "partof": ("What in the picture is part of this: {tail}?",),
    "madeof": ("What in the picture is made of {tail}?",),
    "capableof": ("What in the picture can do this: {tail}?",),
    "hasproperty": ("What in the picture is often said to be this: {tail}?",),
}
OTHER_FACTS = ('What in the picture has the relation "{relation}" to "{tail}"?',)


class Question(NamedTuple):
    """A question of one kind with its answer, which is among the choices, and the fact that it takes, if any."""

    kind: str
    text: str
    answer: str
    choices: tuple[str, ...]
    triple: Triple | None = None


class Asked:
    """A scene with what its questions ask for."""

    def __init__(self, world: World, scene: Scene, random: Random) -> None:
        self.world, self.scene, self.random = world, scene, random

    @cached_property
    def counts(self) -> Counter[int]:
        """How often each thing is drawn."""
        return Counter(self.scene.things)

    @cached_property
    def single(self) -> list[int]:
        """Regions whose thing is drawn once, so that "the dog" is clear."""
        return [region for region, thing in enumerate(self.scene.things) if self.counts[thing] == 1]

    @cached_property
    def absent(self) -> list[int]:
        """Things of scenes that might have been: as likely as drawn ones, but not drawn here."""
        drawn = self.counts
        return [
            thing
            for purpose in ("absent", "absent again")
            for thing in dict.fromkeys(self.world.roster(self.scene.number, purpose))
            if thing not in drawn
        ]

    def label(self, thing: int) -> str:
        return self.world.things[thing].label

    def of(self, region: int) -> str:
        return self.label(self.scene.stamps[region].thing)

    def shuffled(self, choices: list[str]) -> tuple[str, ...]:
        return tuple(self.random.sample(choices, len(choices)))


def count(asked: Asked) -> Question | None:
    """How many there are of a thing or of a category; rare answers are asked for more often."""
    things = {thing: number for thing, number in asked.counts.items() if number_of(asked.label(thing)) == SINGULAR}
    options = [(plural(asked.label(thing)), number) for thing, number in things.items()]
    drawn = Counter(asked.world.things[thing].category for thing in asked.scene.things)
    known = sorted({thing.category for thing in asked.world.things if thing.category})
    options += [(plural(category), drawn[category]) for category in known if drawn[category]] * 2
    zeros = [plural(asked.label(thing)) for thing in asked.absent if number_of(asked.label(thing)) == SINGULAR]
    zeros += [plural(category) for category in known if not drawn[category]]
    options += [(asked.random.choice(zeros), 0)] if zeros else []
    if not options:
        return None
    answers = sorted({number for _, number in options})
    answer = asked.random.choices(answers, weights=[max(2.0, 4.0 ** (number - 1)) for number in answers])[0]
    name = asked.random.choice([name for name, number in options if number == answer])
    wording = asked.random.choice(("How many {} are in the picture?", "How many {} are there?"))
    choices = tuple(str(number) for number in range(max(asked.world.options.most, answer) + 1))
    return Question("count", wording.format(name), str(answer), choices)


def background(asked: Asked) -> Question | None:
    """The colour of the ground."""
    wording = asked.random.choice(("What colour is the background?", "Which colour does the background have?"))
    return Question("background", wording, asked.scene.background, tuple(BACKGROUNDS))


def colour(asked: Asked) -> Question | None:
    """The colour of a thing that was drawn in one colour, so that what it has elsewhere is no help."""
    regions = [region for region in asked.single if asked.scene.stamps[region].tint]
    if not regions:
        return None
    region = asked.random.choice(regions)
    label = asked.of(region)
    text = f"What colour {verb(label)} the {label}?"
    return Question("colour", text, asked.scene.stamps[region].tint or "", tuple(TINTS))


def size(asked: Asked) -> Question | None:
    """Whether a thing is drawn small or large; of both there is one in the picture."""
    by_size = {
        size: [region for region in asked.single if asked.scene.stamps[region].size == size] for size in (SMALL, LARGE)
    }
    if not all(by_size.values()):
        return None
    answer = asked.random.choice((SMALL, LARGE))
    label = asked.of(asked.random.choice(by_size[answer]))
    return Question("size", f"{verb(label).capitalize()} the {label} small or large?", answer, (SMALL, LARGE))


def exist(asked: Asked) -> Question | None:
    """Whether there is a thing: one that is, or one that might as well have been."""
    # What is a kind of a drawn thing, or the other way round, could be another name of it.
    kin = np.any(asked.world.knowledge.kin[asked.scene.things], axis=0).tolist()
    candidates = {"yes": list(asked.counts), "no": [thing for thing in asked.absent if not kin[thing]]}
    if not candidates["no"]:
        return None
    answer = asked.random.choice(YES_NO)
    label = asked.label(asked.random.choice(candidates[answer]))
    there = verb(label).capitalize()
    wording = asked.random.choice(("{0} there {1} {2} in the picture?", "{0} there {1} {2}?"))
    some = "any" if number_of(label) != SINGULAR else article(label, label)
    return Question("exist", wording.format(there, some, label), answer, YES_NO)


def relation(asked: Asked) -> Question | None:
    """Whether one thing is left of (right of, above, below) another; where not, it is on the other side."""
    options = [
        (first, predicate, second)
        for first, predicate, second in asked.scene.relations
        if predicate in INVERSE and first in asked.single and second in asked.single
    ]
    if not options:
        return None
    first, predicate, second = asked.random.choice(options)
    answer = asked.random.choice(YES_NO)
    said = predicate if answer == "yes" else INVERSE[predicate]
    subject, other = asked.of(first), asked.of(second)
    text = f"{verb(subject).capitalize()} the {subject} {asked.random.choice(WORDINGS[said])} the {other}?"
    return Question("relation", text, answer, YES_NO)


def what_relation(asked: Asked) -> Question | None:
    """What is left of (right of, above, below) a thing, where one thing is and all others clearly are not."""
    regions = asked.scene.regions
    options = []
    for other in asked.single:
        for predicate in INVERSE:
            rest = [region for region in range(len(regions)) if region != other]
            there = [region for region in rest if holds(regions[region].box, regions[other].box, predicate)]
            against = [region for region in rest if clearly_not(regions[region].box, regions[other].box, predicate)]
            if len(there) == 1 and len(against) == len(rest) - 1 and there[0] in asked.single and against:
                options.append((there[0], predicate, other, against))
    if not options:
        return None
    answer, predicate, other, against = asked.random.choice(options)
    wrong = list(dict.fromkeys(asked.of(region) for region in against))[:2]
    choices = [asked.of(answer), *wrong, *[asked.label(thing) for thing in dict.fromkeys(asked.absent)]][:4]
    text = f"What is {asked.random.choice(WORDINGS[predicate])} the {asked.of(other)}?"
    return Question("what-relation", text, asked.of(answer), asked.shuffled(choices))


def graph(asked: Asked) -> Question | None:
    """Which drawn thing has a fact in the graph.

    Of four choices two are drawn and two have the fact; only the answer is and has both. So the picture alone or the
    graph alone leave two choices. The other two are of another category and share no fact with the answer, since a
    graph lacks many facts that are true.
    """
    known = asked.world.knowledge
    drawn = set(asked.scene.things)
    for thing in asked.random.sample(sorted(drawn), len(drawn)):
        shared = known.shared.get(thing)
        if not shared:
            continue
        fact = known.facts[asked.random.choice(shared)]
        if not askable(asked, fact, drawn):
            continue
        having = [head for head in sorted(fact.heads) if head not in drawn and offered(asked, head)]
        others = [head for head in sorted(drawn) if unlike(asked, thing, head, fact)]
        absent = [head for head in asked.absent if unlike(asked, thing, head, fact)]
        rival = fair_rival(asked, thing, having)
        if rival is not None and others and absent:
            wordings = FACTS.get(plain(fact.relation_label), OTHER_FACTS)
            text = asked.random.choice(wordings).format(relation=fact.relation_label, tail=fact.tail_label)
            wrong = [rival, asked.random.choice(others), asked.random.choice(absent)]
            choices = asked.shuffled([asked.label(head) for head in (thing, *wrong)])
            triple = (known.entities[thing], fact.relation, fact.tail)
            return Question("graph", text, asked.label(thing), choices, triple)
    return None


def fair_rival(asked: Asked, thing: int, having: list[int]) -> int | None:
    """Another thing that has the fact, so that of the two neither is the answer much more often.

    A thing x is asked about with a fact about as often as f(x), its frequency in scenes over its number of facts. A
    rival y is drawn by f, so the pair (answer x, rival y) comes with f(x) f(y) / (S - f(x)), where S is the sum over
    all that have the fact; taken with the chance (S - f(x)) / (S - f(y)), where that is below 1, it comes as often as
    (y, x).
    """
    if not having:
        return None
    frequency = asked.world.frequency
    rival = asked.random.choices(having, weights=frequency[having].tolist())[0]
    total = frequency[[thing, *having]].sum()
    fair = (total - frequency[thing]) / (total - frequency[rival])
    return rival if asked.random.random() < fair else None


def askable(asked: Asked, fact: Fact, drawn: set[int]) -> bool:
    """Whether one drawn thing has the fact, its other end is not drawn, and it names nothing that is held out."""
    entities = asked.world.knowledge.entities
    ends = drawn | set(asked.world.held.entities.nonzero()[0].tolist())
    return len(fact.heads & drawn) == 1 and fact.tail not in {entities[thing] for thing in ends}


def offered(asked: Asked, thing: int) -> bool:
    """Whether a thing that is not drawn may be named in this scene's split."""
    return bool(asked.world.seen[thing]) or (asked.scene.split == ENTITY and bool(asked.world.held.entities[thing]))


def unlike(asked: Asked, thing: int, other: int, fact: Fact) -> bool:
    """Whether another thing surely lacks a fact that a thing has."""
    known, things = asked.world.knowledge, asked.world.things
    same = things[thing].category is not None and things[thing].category == things[other].category
    strangers = set(known.of.get(thing, ())).isdisjoint(known.of.get(other, ()))
    return other not in fact.heads and known.entities[other] >= 0 and not same and strangers


OFTEN = {"what-relation": 3.0, "graph": 1.5}
"""Kinds that few scenes have something for are tried first the more often."""
KINDS: dict[str, Callable[[Asked], Question | None]] = {
    "count": count,
    "background": background,
    "colour": colour,
    "size": size,
    "exist": exist,
    "relation": relation,
    "what-relation": what_relation,
    "graph": graph,
}


def ask(world: World, scene: Scene, most: int, random: Random) -> list[Question]:
    """Up to `most` questions of different kinds, as far as the scene has something to ask.

    >>> ask(world, scene, 2, Random(0))[0].text                                           # doctest: +SKIP
    'Is the dog to the left of the car?'
    """
    found: list[Question] = []
    for kind in sorted(KINDS, key=lambda kind: -(random.random() ** (1 / OFTEN.get(kind, 1.0)))):
        if len(found) == most:
            break
        question = KINDS[kind](Asked(world, scene, random))
        if question is not None:
            found.append(question)
    return found
