"""Asking every arm every question, and making a study of the answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kg.progress import track
from pipelines.demo.arms import Arm
from pipelines.demo.data import open_world
from pipelines.demo.processes import Report, side_by_side
from pipelines.demo.workspace import Workspace

if TYPE_CHECKING:
    from kept.probing.run import Outcome
    from kept.probing.scorers import CandidateScorer

TASKS = ("facts", "facts-unrestricted", "facts-paraphrase", "unseen-entities", "picture-facts", "concept-choice")
SWAP = ("swap",)
FLOORS = ("graph-alone", "majority", "chance")


@dataclass(frozen=True)
class Asked:
    """An arm to ask: a trained run, perhaps with knowledge off or other vectors, or a floor."""

    arm: str
    seed: int
    run: str | None = None
    vectors: str | None = None
    knowledge: bool = True
    tasks: tuple[str, ...] = TASKS

    @property
    def name(self) -> str:
        return f"{self.arm}-{self.seed}"


def questions(trained: list[Arm]) -> list[Asked]:
    """Who is asked what: every trained arm, the fused ones again with knowledge off or changed, and the floors."""
    asked = []
    for arm in trained:
        asked.append(Asked(arm.name, arm.seed, arm.run, tasks=(*TASKS, *SWAP)))
        if arm.name == "fused":
            asked.append(Asked("swapped", arm.seed, arm.run, "swapped", tasks=SWAP))
            asked.append(Asked("swapped-scratch", arm.seed, arm.run, "swapped-scratch", tasks=SWAP))
            if arm.seed == 0:
                asked.append(Asked("off", arm.seed, arm.run, knowledge=False))
    return asked + [Asked(floor, 0) for floor in FLOORS]


def ask_all(work: Workspace, trained: list[Arm]) -> dict[str, Any]:
    """Score every question in every arm; the scores are kept on disk, and what is there is not asked again."""
    return side_by_side({asked.name: (ask, work, asked) for asked in questions(trained)}, tells=True)


def ask(work: Workspace, asked: Asked, report: Report) -> int:
    """Ask one arm, in this process; returns how many items it answered."""
    count = 0
    for done, outcomes in enumerate(answers(work, asked), start=1):
        count += len(next(iter(outcomes.values())))
        report(done, len(asked.tasks))
    return count


def answers(work: Workspace, asked: Asked) -> Iterator[dict[str, Outcome]]:
    """The outcomes of one arm, task by task, from the store where it has them."""
    from kept.probing.run import evaluate
    from kept.probing.scores import ScoreStore
    from kept.probing.tasks import TASKS as KNOWN

    world = open_world(work)
    scorer = scorer_of(work, asked)
    store = ScoreStore(work.scores / f"{asked.name}.arrows")
    for task in asked.tasks:
        yield evaluate(scorer, KNOWN[task]().build(world), store)


def scorer_of(work: Workspace, asked: Asked) -> CandidateScorer:
    """The scorer behind an arm."""
    from kept.probing.answering import ModelScorer
    from kept.probing.floors import Chance, GraphAlone, Majority
    from kg import KnowledgeGraph
    from kg.embedding import Vectors

    if asked.run is None:
        if asked.arm == "chance":
            return Chance()
        if asked.arm == "majority":
            return Majority.from_world(open_world(work))
        return GraphAlone(Vectors.load(work.vectors()))
    graph = KnowledgeGraph.open(work.graph)
    scorer = ModelScorer.load(work.run(asked.run) / "model", graph, knowledge=asked.knowledge)
    if asked.vectors is not None:
        scorer.set_vectors(Vectors.load(work.vectors(asked.vectors)))
    return scorer


def study(work: Workspace, trained: list[Arm]) -> list[Any]:
    """Figures of all arms and the differences of fused to the others, made from the kept scores alone."""
    from kept.probing.study import Study

    found = Study()
    for asked in track(questions(trained), "figures"):
        for outcomes in answers(work, asked):
            found.add(asked.arm, asked.seed, outcomes, model="kept" if asked.run else asked.arm)
    others = ("text", "shuffled", "verbalised", "off", "graph-alone")
    return [*found.figures(), *found.differences("fused", others), *found.differences("swapped", ("swapped-scratch",))]
