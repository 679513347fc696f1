"""`kept probe`: what a model, or the graph's vectors alone, answer to probe tasks."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.options import Json, Out, Quiet, command, say

if TYPE_CHECKING:
    from kept.probing.scorers import CandidateScorer
    from kept.probing.world import World

VECTORS = "vectors.safetensors"


@command(resumes=True)
def probe(
    subject: Annotated[Path, typer.Argument(metavar="MODEL|VECTORS", help="A saved model, or entity vectors.")],
    out: Out,
    world: Annotated[Path, typer.Option("--world", help="The world.json that says what is true.", show_default=False)],
    task: Annotated[list[str], typer.Option("--task", help="A task of `kept tasks`; may be repeated.")],
    arm: Annotated[str | None, typer.Option("--arm", help="The name of the arm in the results.")] = None,
    off: Annotated[bool, typer.Option("--off", help="Ask a model with its knowledge switched off.")] = False,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Items at a time.")] = 256,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Ask every item, keep every candidate's score, and report figures beside chance and majority.

    A run that was interrupted goes on from what it scored; what has not changed is not asked again.
    """
    from kept.probing.floors import Chance, Majority
    from kept.probing.report import write_report
    from kept.probing.rows import describe_run, write_results
    from kept.probing.run import evaluate
    from kept.probing.scores import FILE, ScoreStore
    from kept.probing.study import Study
    from kept.probing.tasks import TASKS
    from kept.probing.terminal import print_results
    from kept.probing.world import World
    from kg.progress import console

    started = time.perf_counter()
    tasks = [TASKS[name]() for name in dict.fromkeys(task)]
    truth = World.open(world)
    name, scorer = load(subject, truth, knowledge=not off)
    scorers: dict[str, tuple[str, CandidateScorer]] = {
        arm or name: (subject.name, scorer),
        "majority": ("majority", Majority.from_world(truth)),
        "chance": ("chance", Chance()),
    }
    probes = [one.build(truth) for one in tasks]
    store, study = ScoreStore(out / FILE), Study()
    for questions in probes:
        questions.save(out / "items" / questions.task)
        for key, (model, who) in scorers.items():
            study.add(key, truth.seed, evaluate(who, questions, store, batch=batch), model=model)
    rows = study.figures()
    data = {world.name: truth.graph.hash, str(subject): scorer.fingerprint}
    results = write_results(out, describe_run(" ".join(["kept", *sys.argv[1:]]), started, data), rows)
    report = write_report(out)
    if not as_json:
        print_results(rows, console())
    say(f"{results}\n{report}")
    return {
        "out": str(out),
        "results": str(results),
        "report": str(report),
        "items": {questions.task: len(questions.items) for questions in probes},
        "rows": [row.to_json() for row in rows if row.relation is None],
    }


def load(place: Path, world: World, *, knowledge: bool = True) -> tuple[str, CandidateScorer]:
    """The arm's usual name and the scorer: vectors where the folder holds some, else a model.

    A model links names by the graph that the split left, never by the whole truth.
    """
    from kg.errors import InputError

    if not place.is_dir():
        raise InputError(f"{place}: no such folder of a model or of vectors")
    if (place / VECTORS).is_file():
        from kept.probing.floors import GraphAlone
        from kg.embedding import Vectors

        return "graph-alone", GraphAlone(Vectors.load(place))
    from kept.probing.answering import ModelScorer

    model = ModelScorer.load(place, world.split.graph(world.graph), knowledge=knowledge)
    return ("fused" if model.knowledge else "text" if knowledge else "off"), model
