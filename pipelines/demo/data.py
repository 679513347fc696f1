"""The demo's data: dump, graph, split, vectors, records."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.demo.processes import side_by_side
from pipelines.demo.workspace import BASE, Workspace

if TYPE_CHECKING:
    from kept.probing.world import World
    from kg import KnowledgeGraph
    from kg.embedding import FitConfig, Vectors
    from kg.split import FactSplit

STRUCTURE = (BASE + "subregion_of", BASE + "broader")
HELD_OUT = {BASE + "Country": 20}
GROUPS, FLAG_RELATION = BASE + "kind_of", BASE + "capital"
REFIT_EPOCHS = 12
FEWER_WORDINGS = {BASE + "in_country": 5, GROUPS: 5}
"""Wordings of the relations with the most facts, whose subjects have no other fact to be confused with."""
VERBALISED = "facts-verbalised"


def templates_path() -> Path:
    return Path(str(files("data_scripts").joinpath("world_templates.yaml")))


def make_dump(work: Workspace, provinces: int) -> dict[str, Any]:
    """Facts and pictures from installed packages, as an RDF dump and PNGs."""
    from data_scripts.world import make_world

    report = make_world(work.world, provinces=provinces)
    return {"statements": report.statements, "facts": report.facts, "pictures": report.pictures}


def build_graph(work: Workspace) -> dict[str, Any]:
    """The dump as a graph directory."""
    from kg.build import build

    meta = build([work.world / "world.nt.gz"], work.whole)
    return {"entities": meta.entities, "relations": meta.relations, "triples": meta.triples}


def split(work: Workspace, seed: int) -> dict[str, Any]:
    """Facts to their parts, and the graph that everything after may see."""
    from kg import KnowledgeGraph
    from kg.split import split_facts

    whole = KnowledgeGraph.open(work.whole)
    parts = split_facts(whole, structural_relations=STRUCTURE, hold_out=HELD_OUT, seed=seed)
    parts.save(work.split)
    parts.graph(whole).save(work.graph)
    return parts.counts()


def fit_config(seed: int) -> FitConfig:
    """ComplEx with N3 on the exact softmax."""
    from kg.embedding import FitConfig

    return FitConfig(scorer="complex", dim=128, epochs=25, batch=256, lr=0.1, n3=3e-3, seed=seed)


def prepare_probes(work: Workspace, seed: int) -> dict[str, Any]:
    """What the questions are made from: the pictures that are asked about, and the facts that will change."""
    from kept.probing.swaps import draw_swaps
    from kept.probing.world import write_world

    pictures = probe_pictures(work, seed)
    about: dict[str, Any] = {
        "graph": work.whole.name,
        "split": work.split.name,
        "templates": "templates.yaml",
        "pictures": pictures,
        "group_relation": GROUPS,
        "seed": seed,
    }
    (work.root / "templates.yaml").write_bytes(templates_path().read_bytes())
    write_world(work.probes, **about)
    swaps = draw_swaps(open_world(work))
    write_world(work.probes, **about, swaps=swaps)
    return {"pictures": len(pictures), "swapped facts": len(swaps)}


def embed(work: Workspace, seed: int) -> dict[str, Any]:
    """Vectors of the graph and of the controls, in two processes side by side."""
    jobs = {"vectors": (embed_graph, work, seed), "vectors from scratch": (embed_changed, work, seed)}
    return side_by_side(jobs)


def embed_graph(work: Workspace, seed: int) -> dict[str, Any]:
    """Vectors of the graph; the same dealt to wrong entities; the same after facts changed."""
    from kg import KnowledgeGraph
    from kg.embedding import fit, refit_rows, touched

    graph, config = KnowledgeGraph.open(work.graph), fit_config(seed)
    before = np.array(graph.triples)
    model = fit(before, graph.num_entities, graph.num_relations, config).model
    vectors = as_vectors(model, config, graph)
    vectors.save(work.vectors())
    shuffle_within_types(vectors, graph, seed).save(work.vectors("shuffled"))
    changed = after_change(work)
    after = np.array(changed.triples)
    rows, refit = touched(before, after), config.model_copy(update={"epochs": REFIT_EPOCHS})
    as_vectors(refit_rows(model, after, rows, refit), config, changed).save(work.vectors("swapped"))
    return {"entities": graph.num_entities, "refitted": len(rows)}


def embed_changed(work: Workspace, seed: int) -> dict[str, Any]:
    """The control of the swap: vectors of the changed graph in a space of their own."""
    from kg.embedding import fit

    changed, config = after_change(work), fit_config(seed + 1)
    model = fit(np.array(changed.triples), changed.num_entities, changed.num_relations, config).model
    as_vectors(model, config, changed).save(work.vectors("swapped-scratch"))
    return {"facts": changed.num_triples}


def after_change(work: Workspace) -> KnowledgeGraph:
    """The graph after the facts of the swap have changed."""
    from kept.probing.swaps import swapped_triples
    from kg import KnowledgeGraph

    graph = KnowledgeGraph.open(work.graph)
    return graph.with_triples(swapped_triples(graph, open_world(work).swaps))


def as_vectors(model: Any, config: FitConfig, graph: KnowledgeGraph) -> Vectors:
    """A fitted scorer's vectors under the graph's names."""
    from kg.embedding import Vectors

    entities = range(graph.num_entities)
    return Vectors.from_model(
        model,
        config,
        keys=graph.entities.keys(entities),
        labels=graph.labels(entities),
        relation_keys=graph.relations.keys(range(graph.num_relations)),
        graph=graph.hash,
    )


def shuffle_within_types(vectors: Vectors, graph: KnowledgeGraph, seed: int) -> Vectors:
    """The same vectors dealt to wrong entities of the same type: what is left is what a type looks like."""
    from dataclasses import replace

    rng = np.random.default_rng(seed)
    kinds = np.array([int(found[0]) if len(found := graph.types(e)) else -1 for e in range(graph.num_entities)])
    order = np.arange(graph.num_entities)
    for kind in np.unique(kinds):
        members = rng.permutation(np.flatnonzero(kinds == kind))
        order[members] = np.roll(members, 1)
    return replace(vectors, entities=vectors.entities[order])


def probe_pictures(work: Workspace, seed: int) -> dict[str, str]:
    """Another drawing of each probe flag; training has seen the flag with its name only."""
    from kept.data.noise import Noise
    from kept.data.pictures import write_drawings
    from kg import KnowledgeGraph

    whole = KnowledgeGraph.open(work.whole)
    entities = probe_entities(work, seed)
    originals = [work.world / whole.images(entity)[0] for entity in entities]
    drawings = write_drawings(originals, work.probe_pictures, noise=Noise(seed, 0))
    names = whole.entities.keys(entities)
    return {name: str(path.relative_to(work.root)) for name, path in zip(names, drawings, strict=True)}


def probe_entities(work: Workspace, seed: int) -> list[int]:
    """The countries whose flags are kept for probes."""
    from kept.data.corpus import choose_probe_entities
    from kg import KnowledgeGraph
    from kg.split import FactSplit

    whole = KnowledgeGraph.open(work.whole)
    return choose_probe_entities(whole, FactSplit.load(work.split), FLAG_RELATION, seed=seed)


def open_world(work: Workspace) -> World:
    from kept.probing.world import World

    return World.open(work.probes)


def make_records(work: Workspace, seed: int) -> dict[str, Any]:
    """What the models read: facts of A and C in words, pictures with names, pictures with facts; no leak."""
    from kept.data.corpus import build_corpus
    from kept.data.shards import write_records
    from kept.data.sources import Facts, Sayable
    from kept.linking import Linker
    from kg import KnowledgeGraph
    from kg.errors import InputError
    from kg.verbalize import Templates

    whole = KnowledgeGraph.open(work.whole)
    parts: FactSplit = open_world(work).split
    templates = Templates.load(templates_path())
    linker = Linker.from_graph(KnowledgeGraph.open(work.graph))
    hidden = probe_entities(work, seed)
    sources: dict[str, dict[str, Any]] = {
        "facts": {"limits": FEWER_WORDINGS},
        "captions": {},
        "picture-facts": {"wordings": 4},
    }
    corpus = build_corpus(whole, parts, templates, linker, probe_entities=hidden, sources=sources, seed=seed)
    if corpus.leaks.total:
        raise InputError(f"the records state {corpus.leaks.total} facts that text must not hold: {corpus.leaks}")
    by_source: dict[str, list[Any]] = {}
    for record in corpus.records:
        by_source.setdefault(record.source or "", []).append(record)
    sayable = Sayable(whole, parts, templates, linker, frozenset(hidden), seed)
    spoken = list(Facts(parts=("B-dev", "B-test"), limits=FEWER_WORDINGS).records(sayable))
    write_records(work.records / "facts", by_source["fact"])
    write_records(work.records / "captions", by_source["caption"])
    write_records(work.records / "picture-facts", by_source["picture-fact"])
    write_records(work.records / VERBALISED, [*by_source["fact"], *spoken])
    return {"records": corpus.counts(), "leaks": corpus.leaks.total, "verbalised": len(spoken)}
