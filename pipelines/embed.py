"""`kept embed`: entity vectors of a graph."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.options import Json, Out, Quiet, Resume, Seed, Settings, command, say

FEATURES = ("text", "literals")

if TYPE_CHECKING:
    import numpy as np

    from kept.probing.rows import Figure
    from kg.embedding import FitConfig
    from kg.embedding.facts import Facts
    from kg.embedding.ranking import Ranks


@command
def embed(
    graph: Annotated[Path, typer.Argument(help="A graph directory, or a folder with train.txt, valid.txt, test.txt.")],
    out: Out,
    scorer: Annotated[str, typer.Option(help="Similarity; `kept parts scorer` lists all.")] = "complex",
    encoder: Annotated[str, typer.Option(help="GNN under it; `kept parts encoder` lists all.")] = "none",
    dim: Annotated[int | None, typer.Option(help="Real numbers of an entity; default 200 or the scorer's own.")] = None,
    minutes: Annotated[float, typer.Option(help="Stop fitting after this much time.")] = 10.0,
    epochs: Annotated[int | None, typer.Option(help="Passes over the facts.")] = None,
    features: Annotated[
        str | None,
        typer.Option(help="What is known of entities besides: text (label, description) or literals."),
    ] = None,
    text_model: Annotated[
        Path | None, typer.Option(help="With --features text: a local transformers folder; default hashed words.")
    ] = None,
    map_tables: Annotated[
        bool, typer.Option("--map-tables", help="Keep the entity table in files beside OUT, mapped into memory.")
    ] = False,
    search: Annotated[
        bool, typer.Option("--tune", help="Spend the minutes on a random search of settings that are not given.")
    ] = False,
    hold_out: Annotated[
        float, typer.Option(help="Share of a graph's facts kept from the fit: half to stop by, half to report.")
    ] = 0.05,
    seed: Seed = 0,
    settings: Settings = None,
    as_json: Json = False,
    resume: Resume = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Fit entity vectors, rank the facts that were kept back, and write vectors with their names."""
    import shutil

    import numpy as np

    from kg.embedding import FitConfig, Vectors, fit, rank
    from kg.embedding.config import merged
    from kg.embedding.parallel import processes
    from kg.embedding.tune import tune

    chosen = {"scorer": scorer, "encoder": encoder, "dim": dim, "minutes": minutes, "epochs": epochs, "seed": seed}
    given = merged({key: value for key, value in chosen.items() if value is not None}, settings or [])
    config = FitConfig(**given)
    facts = read_facts(graph, hold_out, config.seed)
    for part in ("valid", "test"):
        if len(unseen := facts.unseen(part)):
            say(f"{part}: {len(unseen)} entities occur in no training fact; their vectors never moved")
    checkpoint = out.with_name(f".{out.name}.fit")
    tables = out.with_name(f".{out.name}.tables")
    numbers = None if features is None else entity_features(graph, facts, features, text_model)
    sizes = len(facts.keys), len(facts.relation_keys)
    trials: list[Any] = []
    if search:
        found = tune(
            facts.train,
            *sizes,
            {key: value for key, value in given.items() if key != "minutes"},
            valid=facts.valid,
            minutes=config.minutes or minutes,
            known=facts.test,
            features=numbers,
            folder=checkpoint,
            resume=resume,
        )
        result, config, trials = found.best, found.config, [vars(trial) for trial in found.trials]
    else:
        result = fit(
            facts.train,
            *sizes,
            config,
            valid=facts.valid if len(facts.valid) else None,
            known=facts.test,
            features=numbers,
            tables=tables if map_tables else None,
            checkpoint=checkpoint,
            resume=resume,
        )
    if processes()[0]:
        return {}  # the first of several processes writes and tells
    known = np.concatenate([facts.train, facts.valid, facts.test])
    rows = figures(rank(result.model, facts.test, known), facts, config) if len(facts.test) else []
    summary: dict[str, Any] = {
        "out": str(out),
        "entities": len(facts.keys),
        "relations": len(facts.relation_keys),
        "facts": {part: len(getattr(facts, part)) for part in ("train", "valid", "test")},
        "epochs": len(result.history),
        "kept_epoch": result.best_epoch,
        "stopped": result.stopped,
        "seconds": round(result.history[-1]["seconds"], 2) if result.history else 0.0,
    }
    if trials:
        summary |= {"trials": len(trials), "chosen": trials[0]["settings"], "valid_mrr": trials[0]["valid_mrr"]}
    Vectors.from_model(
        result.model,
        config,
        keys=facts.keys,
        labels=facts.labels,
        relation_keys=facts.relation_keys,
        graph=facts.graph,
        figures={
            **summary,
            "rows": [row.to_json() for row in rows],
            "history": result.history,
            **({"trials": trials} if trials else {}),
        },
    ).save(out)
    for place in (checkpoint, tables):
        shutil.rmtree(place, ignore_errors=True)
    report(summary, rows)
    return {**summary, "rows": [row.to_json() for row in rows]}


def read_facts(place: Path, hold_out: float, seed: int) -> Facts:
    """A graph directory or a folder of text files."""
    from kg.embedding.facts import from_graph, read_folder
    from kg.errors import InputError

    if not 0 <= hold_out < 1:
        raise InputError(f"--hold-out {hold_out}: expected a share from 0 to below 1")
    if (place / "meta.json").exists():
        from kg.graph import KnowledgeGraph

        return from_graph(KnowledgeGraph.open(place), hold_out_share=hold_out, seed=seed)
    if (place / "train.txt").exists():
        return read_folder(place)
    if not place.exists():
        raise InputError(f"{place}: no such graph or folder")
    raise InputError(f"{place}: neither a graph directory (meta.json) nor a folder of facts (train.txt)")


def entity_features(place: Path, facts: Facts, kind: str, text_model: Path | None) -> np.ndarray:
    """(N, F) numbers of all entities, from their texts or their numeric literals."""
    from kg.embedding.features import encode_items, hashed_words, numeric_literals, texts_of
    from kg.errors import InputError, nearest
    from kg.graph import KnowledgeGraph

    if kind not in FEATURES:
        raise InputError(f"--features {kind}: {nearest(kind, FEATURES)}")
    if text_model is not None and kind != "text":
        raise InputError("--text-model: it goes with --features text")
    kg = KnowledgeGraph.open(place) if (place / "meta.json").exists() else None
    if kind == "literals":
        if kg is None:
            raise InputError(f"{place}: a folder of facts has no literals; build a graph of them first")
        numbers, predicates = numeric_literals(kg)
        if not predicates:
            raise InputError(f"{place}: the graph has no predicate with ten numbers or more")
        say(f"numbers of {len(predicates)} predicates are features")
        return numbers
    texts = texts_of(kg) if kg is not None else folder_texts(place, facts)
    if text_model is None:
        return encode_items(texts, hashed_words())
    from kept.modeling.text_features import TextFeatures

    return encode_items(texts, TextFeatures(text_model))


def folder_texts(place: Path, facts: Facts) -> list[str]:
    """The texts of `entity2text.txt`, name and text between a tab; the name itself where there is none."""
    file = place / "entity2text.txt"
    if not file.exists():
        return facts.keys
    lines = (line.split("\t", 1) for line in file.read_text(encoding="utf-8").splitlines())
    said = {parts[0]: parts[1] for parts in lines if len(parts) == 2}
    return [said.get(key, key) for key in facts.keys]


def figures(ranks: Ranks, facts: Facts, config: FitConfig) -> list[Figure]:
    """The ranks as rows of figures: totals with intervals, then MRR by relation."""
    from kept.probing.rows import Figure
    from kg.embedding.ranking import METRICS

    def row(metric: str, part: Ranks, relation: str | None) -> Figure:
        value, bounds = (
            float(part.values(metric).mean()),
            part.interval(metric, samples=1000 if relation is None else 200),
        )
        about = ("link prediction", "test", relation, "graph-alone", config.scorer, metric)
        return Figure(*about, value, *bounds, n=len(part.triples), seeds=(config.seed,))

    totals = [row(metric, ranks, None) for metric in METRICS]
    by_relation = ranks.per_relation().items()
    return totals + [row("mrr", part, facts.relation_keys[relation]) for relation, part in by_relation]


def report(summary: dict[str, Any], rows: list[Figure]) -> None:
    """What came out, for the person at the terminal."""
    epochs = f"{summary['epochs']} epochs (epoch {summary['kept_epoch']} kept, ended by {summary['stopped']})"
    say(f"{summary['entities']} entities, {summary['relations']} relations, {epochs} in {summary['seconds']} s")
    if "chosen" in summary:
        chosen = ", ".join(f"{key}={value}" for key, value in summary["chosen"].items())
        say(f"the best of {summary['trials']} trials (valid MRR {summary['valid_mrr']:.3f}): {chosen}")
    for row in rows:
        if row.relation is None:
            say(f"  {row.metric:8} {row.value:.3f}  ({row.low:.3f} to {row.high:.3f}, n = {row.n})")
    say(f"vectors are in {summary['out']}; next: kept neighbors {summary['out']} NAME")
