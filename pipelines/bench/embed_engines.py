"""What `kept bench embed` measures, each run as a program of its own that prints one JSON object.

    python -m pipelines.bench.embed_engines ENGINE TASK FOLDER

The settings are the same for all engines: ComplEx of 100 complex numbers (200 reals), Adagrad, facts with their
inverses. A short run is taken off a long one, so that nobody pays for setting up.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

DIM, BATCH, SAMPLED_BATCH, SHARED, OWN = 200, 512, 1024, 2048, 32
SHORT, LONG = 4, 24
"""Batches of training."""
RANKED_SHORT, RANKED_LONG, RANKED_BATCH = 256, 768, 64
"""Facts that PyKEEN ranks; its batch of 64 is its best here."""
Work = Callable[[int], int]
"""Does so much, and says how many units it were."""


def kept_training(folder: Path, mode_name: str, precision: str) -> Work:
    """KEPT's own loop over so many batches."""
    from kg.embedding import FitConfig
    from kg.embedding.build import build_mode, build_optimizer, build_scorer
    from kg.embedding.facts import read_folder
    from kg.embedding.fit import run_epoch

    facts = read_folder(folder)
    batch = BATCH if mode_name == "1vsall" else SAMPLED_BATCH
    config = FitConfig(scorer="complex", dim=DIM, mode=mode_name, batch=batch, shared=SHARED, precision=precision, n3=0)
    sizes = len(facts.keys), len(facts.relation_keys)
    model = build_scorer(config, *sizes, facts.train)
    mode = Some(build_mode(config, facts.train, *sizes))
    optimizer = build_optimizer(config, list(model.parameters()))

    def work(batches: int) -> int:
        mode.limit, mode.units = batches, 0
        run_epoch(model, mode, optimizer, config, 0, 0, states=model.states)  # type: ignore[arg-type]
        return mode.units

    return work


class Some:
    """The first batches of a training mode."""

    def __init__(self, mode: Any) -> None:
        self.mode, self.loss, self.size = mode, mode.loss, mode.size
        self.limit = self.units = 0

    def batches(self, generator: Any) -> Iterator[Any]:
        for batch in itertools.islice(self.mode.batches(generator), self.limit):
            self.units += len(batch[0])
            yield batch


def kept_ranking(folder: Path) -> Work:
    """KEPT ranks a share of the test facts, in thousandths."""
    from kg.embedding import FitConfig, rank
    from kg.embedding.build import build_scorer
    from kg.embedding.facts import read_folder

    facts = read_folder(folder)
    config = FitConfig(scorer="complex", dim=DIM)
    model = build_scorer(config, len(facts.keys), len(facts.relation_keys), facts.train)
    known = np.concatenate([facts.train, facts.valid])

    def work(thousandths: int) -> int:
        test = facts.test[: len(facts.test) * thousandths // 1000]
        rank(model, test, known)
        return len(test)

    return work


def pykeen_parts(folder: Path) -> dict[str, Any]:
    """PyKEEN's factories of a folder, and its ComplEx."""
    from pykeen.models import ComplEx
    from pykeen.triples import TriplesFactory

    train = TriplesFactory.from_path(folder / "train.txt", create_inverse_triples=True)
    shared: dict[str, Any] = {"entity_to_id": train.entity_to_id, "relation_to_id": train.relation_to_id}
    others = {part: TriplesFactory.from_path(folder / f"{part}.txt", **shared) for part in ("valid", "test")}
    model = ComplEx(triples_factory=train, embedding_dim=DIM // 2, loss="crossentropy", random_seed=0)
    return {"train": train, "model": model, **others}


def pykeen_training(folder: Path, mode_name: str) -> Work:
    """PyKEEN's loops over as many facts as give so many batches."""
    import torch
    from pykeen.training import LCWATrainingLoop, SLCWATrainingLoop

    parts = pykeen_parts(folder)
    train, model = parts["train"], parts["model"]
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
    shared: dict[str, Any] = {"model": model, "triples_factory": train, "optimizer": optimizer}
    batch = BATCH if mode_name == "1vsall" else SAMPLED_BATCH
    order = torch.randperm(train.num_triples, generator=torch.Generator().manual_seed(0))

    def work(batches: int) -> int:
        chosen = train.mapped_triples[order[: batches * batch // 2]]
        part = train.clone_and_exchange_triples(chosen)
        # A loop counts its epochs and does none twice, so each piece of work has a loop of its own.
        if mode_name == "1vsall":
            loop: Any = LCWATrainingLoop(**shared)
        else:
            loop = SLCWATrainingLoop(**shared, negative_sampler_kwargs={"num_negs_per_pos": OWN})
        loop.train(triples_factory=part, num_epochs=1, batch_size=batch, use_tqdm=False, use_tqdm_batch=False)
        if mode_name == "sampled":
            return 2 * len(chosen)
        return sum(len(torch.unique(chosen[:, side], dim=0)) for side in ([0, 1], [1, 2]))

    return work


def pykeen_ranking(folder: Path) -> Work:
    """PyKEEN ranks so many of the test facts."""
    from pykeen.evaluation import RankBasedEvaluator

    parts = pykeen_parts(folder)
    evaluator = RankBasedEvaluator(filtered=True)
    known = [parts["train"].mapped_triples, parts["valid"].mapped_triples]

    def work(count: int) -> int:
        some = parts["test"].mapped_triples[:count]
        evaluator.evaluate(
            parts["model"], some, additional_filter_triples=known, batch_size=RANKED_BATCH, use_tqdm=False
        )
        return len(some)

    return work


def prepare(engine: str, task: str, folder: Path) -> tuple[Work, int, int]:
    """The work of an engine, and how much of it is short and long."""
    if engine == "pykeen":
        if task == "ranking":
            return pykeen_ranking(folder), RANKED_SHORT, RANKED_LONG
        return pykeen_training(folder, task), SHORT, LONG
    if task == "ranking":
        return kept_ranking(folder), 50, 1000
    return kept_training(folder, task, "bfloat16" if engine.endswith("bfloat16") else "float32"), SHORT, LONG


def main(engine: str, task: str, folder: str) -> None:
    """Do the short work once to warm up, then short and long, and print what lies between them."""
    with ExitStack() as stack:
        if engine != "pykeen":  # PyKEEN is measured as it comes, and has a process of its own
            from kg.embedding.memory import freed_memory_kept

            stack.enter_context(freed_memory_kept())
        work, short, long = prepare(engine, task, Path(folder))
        work(short)
        costs = []
        for amount in (short, long):
            cpu, wall = time.process_time(), time.perf_counter()
            units = work(amount)
            costs.append((units, time.process_time() - cpu, time.perf_counter() - wall))
    units, cpu, wall = (after - before for before, after in zip(*costs, strict=True))
    print(json.dumps({"units": units, "cpu": cpu, "wall": wall}))


if __name__ == "__main__":
    main(*sys.argv[1:])
