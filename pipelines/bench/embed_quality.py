"""`kept bench embed-quality`: what fits of a stated length reach on public benchmarks, beside published figures."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from pipelines.options import Json, Quiet, command, say

if TYPE_CHECKING:
    from kept.probing.rows import Figure
    from kg.embedding.facts import Facts
    from kg.embedding.scorers import Scorer

PRESETS = Path(__file__).with_name("quality.yaml")
SHOWN = ("mrr", "hits@1", "hits@10", "accuracy", "f1")


@command
def bench_embed_quality(
    folder: Annotated[list[Path], typer.Argument(help="Folders named wn18rr, fb15k-237, codex-s, with train.txt, ...")],
    only: Annotated[list[str] | None, typer.Option(help="Only these models; may be repeated.")] = None,
    threads: Annotated[int, typer.Option(help="Threads of a fit; its minutes are divided by them.")] = 1,
    precision: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "bfloat16",
    out: Annotated[Path | None, typer.Option(help="A folder for results.json.")] = None,
    record: Annotated[Path | None, typer.Option(help="A Markdown page of results to write the figures into.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Fit the models of the benchmarks for their stated core-minutes, and read the test facts once."""
    from kept.probing.ledger import write_section
    from kept.probing.rows import describe_run, write_results
    from kg.errors import InputError, nearest
    from pipelines.bench.measure import torch_threads

    started = time.perf_counter()
    presets = yaml.safe_load(PRESETS.read_text(encoding="utf-8"))
    for place in folder:
        if place.name not in presets:
            raise InputError(f"{place}: there are no settings for {place.name!r}; {nearest(place.name, presets)}")
    rows: list[Figure] = []
    with torch_threads(threads):
        for place in folder:
            for preset in presets[place.name]:
                if not only or preset["name"] in only:
                    rows += (
                        entities_classified(place, preset)
                        if "graph" in preset
                        else fitted(place, preset, threads, precision)
                    )
    if not rows:
        raise InputError(f"--only: none of the chosen models has settings for {', '.join(map(str, folder))}")
    text = table(rows, presets)
    run = describe_run(" ".join(["kept", *sys.argv[1:]]), started)
    if out is not None:
        write_results(out, run, rows)
    if record is not None:
        about = [*dict.fromkeys(row.split for row in rows), *(only or [])]
        write_section(record, f"kept bench embed-quality: {', '.join(about)}", run, text.strip())
    if not as_json:
        say(text)
    return {"rows": [row.to_json() for row in rows], "run": run}


def fitted(place: Path, preset: dict[str, Any], threads: int, precision: str) -> list[Figure]:
    """One model: its figures on the test facts, and what the fit took, validation included."""
    import numpy as np

    from kept.probing.rows import Figure
    from kg.embedding import FitConfig, fit, rank
    from kg.embedding.facts import read_folder
    from kg.embedding.ranking import METRICS

    facts = read_folder(place)
    settings = {"patience": 12, "epochs": 10_000, "precision": precision, **preset["settings"]}
    config = FitConfig(**settings, minutes=preset["minutes"] / threads)
    cpu = time.process_time()
    sizes = len(facts.keys), len(facts.relation_keys)
    result = fit(facts.train, *sizes, config, valid=facts.valid, known=facts.test)
    minutes = (time.process_time() - cpu) / 60
    ranks = rank(result.model, facts.test, np.concatenate([facts.train, facts.valid, facts.test]))

    def row(metric: str, value: float, low: float | None, high: float | None, n: int) -> Figure:
        return Figure("embed-quality", place.name, None, "kept", preset["name"], metric, value, low, high, n, (0,))

    rows = [
        row(metric, float(ranks.values(metric).mean()), *ranks.interval(metric), len(facts.test)) for metric in METRICS
    ]
    rows += [
        row(metric, value, None, None, len(facts.test)) for metric, value in classified(result.model, facts, place)
    ]
    rows.append(row("core-minutes", minutes, None, None, 1))
    rows.append(row("epochs", float(len(result.history)), None, None, 1))
    shown = ", ".join(f"{figure.metric} {figure.value:.3f}" for figure in rows if figure.metric in SHOWN)
    say(f"{place.name}, {preset['name']}: {shown}; {minutes:.1f} core-minutes")
    return rows


def classified(model: Scorer, facts: Facts, place: Path) -> list[tuple[str, float]]:
    """Accuracy and F1 of triple classification, where a data set has false triples."""
    import numpy as np

    from kg.embedding.facts import read_triples
    from kg.embedding.triple_classification import TripleClassifier

    if not (place / "valid_negatives.txt").exists():
        return []
    entities = {name: row for row, name in enumerate(facts.keys)}
    relations = {name: row for row, name in enumerate(facts.relation_keys)}
    false = {
        part: np.array(
            [(entities[h], relations[r], entities[t]) for h, r, t in read_triples(place / f"{part}_negatives.txt")]
        )
        for part in ("valid", "test")
    }
    classifier = TripleClassifier.fit(model, facts.valid, false["valid"])
    return list(classifier.evaluate(facts.test, false["test"]).items())


def entities_classified(place: Path, preset: dict[str, Any]) -> list[Figure]:
    """Accuracy of classes of entities on the official split: the mean of the seeds, with its 95% interval (t)."""
    import csv

    import numpy as np

    from kept.probing.rows import Figure
    from kg.build import build
    from kg.embedding.entity_classification import ClassifierConfig, classify_entities
    from kg.embedding.facts import literals_as_entities
    from kg.graph import KnowledgeGraph

    with tempfile.TemporaryDirectory() as scratch:
        build([place / preset["graph"]], Path(scratch) / "graph.kg")
        kg = KnowledgeGraph.open(Path(scratch) / "graph.kg")
        triples, sizes = literals_as_entities(kg)
        banned = [kg.relations.id(key) for key in preset["without"]]
        triples = triples[~np.isin(triples[:, 1], banned)]
        rows_of = {
            part: list(csv.reader((place / preset["split"] / f"{part}Set.tsv").open(encoding="utf-8"), delimiter="\t"))[
                1:
            ]
            for part in ("training", "test")
        }
        classes = sorted({row[-1] for rows in rows_of.values() for row in rows})
        train, test = (
            (kg.entities.ids([row[0] for row in rows]), np.array([classes.index(row[-1]) for row in rows]))
            for rows in rows_of.values()
        )
        cpu = time.process_time()
        right = [
            classify_entities(triples, *sizes, train, test, ClassifierConfig(**preset["settings"], seed=seed))
            for seed in range(preset["seeds"])
        ]
        minutes = (time.process_time() - cpu) / 60
    mean = float(np.mean(right))
    half = 2.262 * float(np.std(right, ddof=1)) / len(right) ** 0.5  # Student's t of ten seeds

    def row(metric: str, value: float, low: float | None = None, high: float | None = None) -> Figure:
        seeds = tuple(range(preset["seeds"]))
        n = len(test[0])
        return Figure("embed-quality", place.name, None, "kept", preset["name"], metric, value, low, high, n, seeds)

    say(f"{place.name}, {preset['name']}: accuracy {mean:.3f} of {len(right)} seeds; {minutes:.1f} core-minutes")
    return [row("accuracy", mean, mean - half, mean + half), row("core-minutes", minutes), row("epochs", 50)]


def table(rows: list[Figure], presets: dict[str, Any]) -> str:
    """Markdown: a table for each data set, a line for each model."""
    text = ""
    for split in dict.fromkeys(row.split for row in rows):
        of_split = [row for row in rows if row.split == split]
        metrics = [metric for metric in SHOWN if any(row.metric == metric for row in of_split)]
        heads = [*metrics, "core-minutes", "epochs"]
        if "mrr" in metrics:
            heads.insert(len(metrics), "published MRR")
        if "accuracy" in metrics:
            heads.insert(len(heads) - 2, "published accuracy")
        text += f"\n### {split}\n\n| model | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 1)}\n"
        for preset in presets[split]:
            cells = {row.metric: row for row in of_split if row.model == preset["name"]}
            if cells:
                published = preset["published"]
                values = {metric: cell(cells.get(metric)) for metric in metrics}
                for metric, head in (("mrr", "published MRR"), ("accuracy", "published accuracy")):
                    values[head] = f"{published[metric]:.3f} ({published['source']})" if metric in published else ""
                values["core-minutes"] = f"{cells['core-minutes'].value:.1f}"
                values["epochs"] = f"{cells['epochs'].value:.0f}"
                text += f"| {preset['name']} | {' | '.join(values[head] for head in heads)} |\n"
    return text


def cell(row: Figure | None) -> str:
    """A value, with its interval where there is one."""
    if row is None:
        return ""
    return f"{row.value:.3f}" if row.low is None else f"{row.value:.3f} ({row.low:.3f} to {row.high:.3f})"
