"""Real records to learn from: the demo's world, its sentences and its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerFast

from kept.data.drawings import PixelPictures
from kept.data.noise import Noise
from kept.data.tokenized import KnownPairs, TokenizedRecords
from kept.data.tokenizer import train_tokenizer
from kept.modeling.config import KeptConfig
from kept.modeling.model import KeptModel
from kept.objectives import Context, Objective
from kept.training.loop import Settings, Task, Trainer
from kg.embedding import Vectors

STEPS = 60


@dataclass(frozen=True)
class RealRecords:
    """A tokenised sample of the demo's records, and the vectors of its graph."""

    corpus: TokenizedRecords
    tokenizer: PreTrainedTokenizerFast
    vectors: Vectors


@dataclass(frozen=True)
class Learned:
    """Where a term stood at the end of a training, and its baseline."""

    mean: float
    baseline: float


def make_records(world: Path) -> RealRecords:
    """Sentences about countries with their flags, and names of pictures, from the demo's world."""
    from kept.data.corpus import build_corpus
    from kept.linking import Linker
    from kg import KnowledgeGraph
    from kg.embedding import FitConfig, fit
    from kg.split import split_facts
    from kg.verbalize import Templates

    templates = Templates.load(Path(str(files("data_scripts").joinpath("world_templates.yaml"))))
    graph = KnowledgeGraph.open(world / "world.kg")
    split = split_facts(graph, seed=0)
    records = build_corpus(graph, split, templates, Linker.from_graph(graph)).records
    drawn = np.random.default_rng(0).permutation(len(records))[:3000]
    sample = [records[row] for row in drawn]
    tokenizer = train_tokenizer((record.text for record in sample if record.text), 2000)
    triples = np.asarray(graph.triples)
    config = FitConfig(dim=32, epochs=5)
    fitted = fit(triples, graph.num_entities, graph.num_relations, config)
    keys = [graph.entities.key(row) for row in range(graph.num_entities)]
    relations = [graph.relations.key(row) for row in range(graph.num_relations)]
    corpus = TokenizedRecords.build(
        sample,
        tokenizer,
        pictures=PixelPictures.load(world),
        known=KnownPairs(triples, graph.num_entities),
        max_length=64,
    )
    vectors = Vectors.from_model(fitted.model, config, keys=keys, relation_keys=relations)
    return RealRecords(corpus, tokenizer, vectors)


def train_on(real: RealRecords, objective: Objective) -> dict[str, Learned]:
    """Train a small model for some steps; the mean of each logged term over the last third, beside its baseline."""
    knowledge = {"dim": real.vectors.entities.shape[1], "decoders": ("operator", "linear")}
    config = KeptConfig(
        width=64, hidden=128, vocabulary=len(real.tokenizer), dropout=0.0, image={"size": 24}, knowledge=knowledge
    )
    model = KeptModel(config).reset(0)
    model.set_knowledge(real.vectors)

    def context(noise: Noise, corpus: TokenizedRecords) -> Context:
        return Context.of(real.tokenizer, noise, slots=config.slots, corpus=corpus)

    settings = Settings(
        steps=STEPS, batch={"records": 64}, rates={"default": 2e-3, "towers.text.pieces": 3e-2}, log_every=1
    )
    trainer = Trainer(model, {"it": Task(objective, ("records",))}, {"records": real.corpus}, context, settings)
    trainer.run()
    late = [row for row in trainer.curves if row["step"] > STEPS * 2 / 3 and row["baseline"] is not None]
    return {
        name: Learned(
            float(np.mean([row["value"] for row in late if row["term"] == name])),
            float(np.mean([row["baseline"] for row in late if row["term"] == name])),
        )
        for name in {row["term"] for row in late}
    }
