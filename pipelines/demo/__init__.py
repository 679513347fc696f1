"""`kept demo`: the whole way on real facts, from a dump to probed models and a report."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.options import Json, Quiet, Seed, command, say


@command(resumes=True)
def demo(
    out: Annotated[Path, typer.Option("--out", help="Where everything goes; a second run goes on from there.")] = Path(
        "demo"
    ),
    provinces: Annotated[int, typer.Option(help="Provinces in the world; most facts of the graph are theirs.")] = 600,
    steps: Annotated[float, typer.Option(help="Scales the training steps of every arm; 1 for real figures.")] = 1.0,
    seed: Seed = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Build a graph of real facts, embed it, fuse it into a model, and probe what the knowledge did.

    Countries, concepts and their pictures come from installed packages; nothing is downloaded. Text and fused models
    are trained on three seeds each, the controls on one. Ends in DIR/report.html and DIR/results.json.
    """
    from kept.probing.rows import describe_run, read_results
    from kept.probing.terminal import print_results
    from kg import KnowledgeGraph
    from kg.progress import console
    from pipelines.demo import arms, data, probes, results
    from pipelines.demo.workspace import Workspace

    started = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    work = Workspace(out.resolve())
    base: dict[str, Any] = {"seed": seed, "provinces": provinces}
    told = {
        "dump": work.stage("dump", base, lambda: data.make_dump(work, provinces)),
        "graph": work.stage("graph", base, lambda: data.build_graph(work)),
        "split": work.stage("split", base, lambda: data.split(work, seed)),
        "probes": work.stage("probes", base, lambda: data.prepare_probes(work, seed)),
        "vectors": work.stage("vectors", base, lambda: data.embed(work, seed)),
        "records": work.stage("records", base, lambda: data.make_records(work, seed)),
    }
    trained = arms.arms(steps)
    plan = {**base, "steps": steps}
    told["pictures"] = work.stage("pictures", plan, lambda: arms.train_pictures(work, steps))
    told["arms"] = work.stage("arms", plan, lambda: arms.train_arms(work, trained))
    answers: probes.Answers = {}

    def ask() -> dict[str, int]:
        answers.update(probes.ask_all(work, trained))
        return {arm: sum(len(next(iter(routes.values()))) for routes in found) for arm, found in answers.items()}

    told["answers"] = work.stage("answers", plan, ask)
    hashes = {"world.kg": KnowledgeGraph.open(work.whole).hash, "graph.kg": KnowledgeGraph.open(work.graph).hash}
    run = describe_run(" ".join(["kept", *sys.argv[1:]]), started, hashes)
    known = answers or probes.ask_all(work, trained)  # from the kept scores, when they were asked before
    told["results"] = results.write_all(work, trained, known, {**run, "stages": work.times})
    if not quiet and not as_json:
        print_results(read_results(work.root).rows, console())
    say(f"report: {work.root / 'report.html'}")
    say(f'next: kept ask {work.run(results.SHOWN_RUN) / "model"} "{told["results"]["question"]}" --why')
    return told
