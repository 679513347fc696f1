"""Asking every arm every question, and making a study of the answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.demo.arms import SEEDS, Arm
from pipelines.demo.data import open_world
from pipelines.demo.processes import Report, side_by_side
from pipelines.demo.workspace import Workspace

if TYPE_CHECKING:
    from kept.linking import Linker
    from kept.probing.items import ProbeSet
    from kept.probing.run import Outcome
    from kept.probing.scorers import CandidateScorer

TASKS = ("facts", "facts-unrestricted", "facts-paraphrase", "unseen-entities", "picture-facts", "concept-choice")
SWAP = ("swap",)
Answers = dict[str, list[dict[str, "Outcome"]]]
"""The outcomes of every arm by route, task by task."""

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
            if arm.seed == SEEDS[0]:
                asked.append(Asked("off", arm.seed, arm.run, knowledge=False))
    return asked + [Asked(floor, 0) for floor in FLOORS]


def ask_all(work: Workspace, trained: list[Arm]) -> Answers:
    """Every arm's outcomes; the scores are kept on disk, and what is there is not asked again."""
    return side_by_side({asked.name: (ask, work, asked) for asked in questions(trained)}, tells=True)


def ask(work: Workspace, asked: Asked, report: Report) -> list[dict[str, Outcome]]:
    """Ask one arm, in this process."""
    from kept.probing.run import evaluate
    from kept.probing.scores import ScoreStore

    scorer = scorer_of(work, asked)
    store = ScoreStore(work.scores / f"{asked.name}.arrows")
    answers = []
    for done, task in enumerate(asked.tasks, start=1):
        answers.append(evaluate(scorer, probe_set(work.root, task), store))
        report(done, len(asked.tasks))
    return answers


@cache
def probe_set(root: Path, task: str) -> ProbeSet:
    """A task's items: the same for every arm that this process asks."""
    from kept.probing.tasks import TASKS as KNOWN

    return KNOWN[task]().build(open_world(Workspace(root)))


@cache
def linker_of(root: Path) -> Linker:
    """Who is meant in the questions, for every arm that this process asks."""
    from kept.linking import Linker
    from kg import KnowledgeGraph

    return Linker.from_graph(KnowledgeGraph.open(Workspace(root).graph))


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
    model = work.run(asked.run) / "model"
    scorer = ModelScorer.load(model, graph, linker=linker_of(work.root), knowledge=asked.knowledge)
    if asked.vectors is not None:
        scorer.set_vectors(Vectors.load(work.vectors(asked.vectors)))
    return scorer


def study(trained: list[Arm], answers: Answers) -> list[Any]:
    """Figures of all arms and the differences of fused to the others."""
    from kept.probing.study import Study

    found = Study()
    for asked in questions(trained):
        for outcomes in answers[asked.name]:
            found.add(asked.arm, asked.seed, outcomes, model="kept" if asked.run else asked.arm)
    others = ("text", "shuffled", "verbalised", "off", "graph-alone")
    return [*found.figures(), *found.differences("fused", others), *found.differences("swapped", ("swapped-scratch",))]
