"""The demo's results: figures, and what the report shows beside them."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from kept.probing.artefacts import FOLDER
from kg.storage import write_json
from pipelines.demo.arms import SEEDS, Arm
from pipelines.demo.workspace import BASE, Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.demo.probes import Answers

SHOWN_RUN = f"fused-{SEEDS[0]}"
"""The run whose answers the report shows, and that the reader is invited to ask."""
SHOWN = ("France", "Kenya", "Spanish", "dog")
DRAWN = "Switzerland"
PICTURES = 12


def write_all(work: Workspace, trained: list[Arm], answers: Answers, run: dict[str, Any]) -> dict[str, Any]:
    """`results.json`, `artefacts/` and `report.html`."""
    from kept.probing.report import write_report
    from kept.probing.rows import write_results
    from pipelines.demo.probes import study

    rows = study(trained, answers)
    folder = work.root / FOLDER
    folder.mkdir(exist_ok=True)
    write_curves(work, trained, folder / "curves.jsonl")
    write_pictures(work, folder)
    write_neighbours(work, folder)
    (folder / "attribution.md").write_bytes((work.world / "ATTRIBUTION.md").read_bytes())
    results = write_results(work.root, run, rows)
    page = write_report(work.root)
    return {"results": str(results), "report": str(page), "figures": len(rows), "question": graph_only_question(work)}


def graph_only_question(work: Workspace) -> str:
    """A question whose answer no text states, to try on the fused model."""
    from pipelines.demo.probes import probe_set

    items = probe_set(work.root, "facts").items
    return next(item.query for item in items if item.split == "B-test" and item.relation == BASE + "capital")


def write_curves(work: Workspace, trained: list[Arm], path: Path) -> None:
    """The loss terms of all runs, each beside its baseline."""
    runs = [("pictures", 0, "pictures"), *((arm.name, arm.seed, arm.run) for arm in trained)]
    with path.open("w", encoding="utf-8") as out:
        for arm, seed, run in runs:
            for curves in sorted((work.run(run) / "stages").glob("*/curves.jsonl")):
                for line in curves.read_text(encoding="utf-8").splitlines():
                    out.write(json.dumps({"arm": arm, "seed": seed, **json.loads(line)}) + "\n")


def write_pictures(work: Workspace, folder: Path) -> None:
    """Some probe flags with what the fused model answers about them, right or wrong as it comes."""
    from pipelines.demo.probes import Asked, probe_set, scorer_of

    probe = probe_set(work.root, "picture-facts")
    asked = [item for item in probe.items if item.split == "B-test" and item.relation == BASE + "capital"][:PICTURES]
    scorer = scorer_of(work, Asked("fused", SEEDS[0], SHOWN_RUN))
    answers = scorer.score([item.blind() for item in asked], probe.spaces)["answer"]
    (folder / "pictures").mkdir(exist_ok=True)
    shown = []
    for item, scores in zip(asked, answers, strict=True):
        space = item.space(probe.spaces)
        best, name = space.candidates[int(scores.argmax())], f"pictures/{item.id.rpartition('/')[2]}.png"
        shutil.copy(str(item.image), folder / name)
        gold = space.candidates[space.index[item.gold[0]]]
        shown.append(
            {
                "image": name,
                "question": item.query,
                "answer": best.name,
                "gold": gold.name,
                "correct": best.key in (*item.gold, *item.also_true),
            }
        )
    write_json(folder / "pictures.json", shown)


def write_neighbours(work: Workspace, folder: Path) -> None:
    """The nearest vectors of some entities, and one entity drawn among its facts."""
    from kg import KnowledgeGraph
    from kg.draw import svg
    from kg.embedding import Vectors

    vectors, graph = Vectors.load(work.vectors()), KnowledgeGraph.open(work.graph)
    found = [
        {
            "entity": name,
            "neighbours": [{"label": n.label, "similarity": n.similarity} for n in vectors.neighbors(name, 6)],
        }
        for name in SHOWN
    ]
    write_json(folder / "neighbours.json", found)
    (folder / "neighbourhood.svg").write_text(svg(graph, int(graph.find(DRAWN)[0])), encoding="utf-8")
