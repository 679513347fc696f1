"""`kept bench embed-large`: what a step of training costs as the graph grows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.options import Json, Quiet, command, say

if TYPE_CHECKING:
    from kept.probing.rows import Figure

EDGES_PER_ENTITY, RELATIONS = 4, 50
PROGRAM = """
import json, resource, sys, time
import numpy as np
import torch
from kg.embedding import FitConfig
from kg.embedding.build import build_mode, build_optimizer, build_scorer
from kg.embedding.memory import freed_memory_kept

entities, edges, relations, dim, steps = map(int, sys.argv[1:6])
generator = np.random.default_rng(0)
# Zipf-like tails: a few entities are in many facts, as in any real graph.
tails = (entities ** generator.random(edges)).astype(np.int64) - 1
triples = np.stack([generator.integers(0, entities, edges), generator.integers(0, relations, edges), tails], 1)
config = FitConfig(mode=sys.argv[6], dim=dim, batch=1024, shared=2048, n3=0.01)
model = build_scorer(config, entities, relations, triples)
mode = build_mode(config, triples, entities, relations)
optimizer = build_optimizer(config, list(model.parameters()))
held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seconds, losses = [], []
with freed_memory_kept():
    for step, batch in enumerate(mode.batches(torch.Generator().manual_seed(0))):
        if step == steps:
            break
        started = time.perf_counter()
        loss = mode.loss(model, model.states(), batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started)
        losses.append(loss.item())
late = seconds[steps // 4 :]
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
first, last = np.mean(losses[:10]), np.mean(losses[-10:])
print(json.dumps({"step": float(np.median(late)), "memory": peak, "first loss": first, "last loss": last}))
"""


@command
def bench_embed_large(
    entities: Annotated[list[int] | None, typer.Option(help="Graph sizes; default 50,000 to 5 million.")] = None,
    dim: Annotated[int, typer.Option(help="Real numbers of an entity.")] = 128,
    steps: Annotated[int, typer.Option(help="Steps of training for each size.")] = 200,
    mode: Annotated[str, typer.Option(help="sampled or negatives.")] = "sampled",
    record: Annotated[Path | None, typer.Option(help="A Markdown page of results to write the figures into.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> dict[str, Any]:
    """Train on generated graphs of growing size, four facts an entity, and show time and memory of a step."""
    from kept.probing.ledger import write_section
    from kept.probing.rows import describe_run
    from kg.progress import progress

    started = time.perf_counter()
    sizes = entities or [50_000, 500_000, 5_000_000]
    rows: list[Figure] = []
    with progress() as display:
        bar = display.add_task("training", total=len(sizes))
        for size in sizes:
            rows += measured(size, dim, steps, mode)
            display.advance(bar)
    text = table(rows)
    run = describe_run(" ".join(["kept", *sys.argv[1:]]), started)
    if record is not None:
        write_section(record, "kept bench embed-large", run, text.strip())
    if not as_json:
        say(text)
    return {"rows": [row.to_json() for row in rows], "run": run}


def measured(entities: int, dim: int, steps: int, mode: str) -> list[Figure]:
    """One size, in a process of its own."""
    from kg.errors import InputError
    from pipelines.bench.measure import figure

    edges = entities * EDGES_PER_ENTITY
    with tempfile.NamedTemporaryFile("w", suffix=".py") as program:
        program.write(PROGRAM)
        program.flush()
        arguments = [program.name, *map(str, (entities, edges, RELATIONS, dim, steps)), mode]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        ran = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment)
    if ran.returncode:
        raise InputError(f"{entities} entities: {(ran.stderr.strip().splitlines() or ['killed'])[-1]}")
    cost = json.loads(ran.stdout)
    split = f"{entities:,} entities, {edges:,} facts, {dim} reals, {mode}"
    return [figure("embed-large", split, "kept", metric, [value]) for metric, value in cost.items()]


def table(rows: list[Figure]) -> str:
    """Markdown: a line for each size."""
    text = "| graph | a step, ms | memory, GB | loss, first and last ten steps |\n|---|---|---|---|\n"
    for split in dict.fromkeys(row.split for row in rows):
        cells = {row.metric: row.value for row in rows if row.split == split}
        losses = f"{cells['first loss']:.2f}, {cells['last loss']:.2f}"
        text += f"| {split} | {1000 * cells['step']:.1f} | {cells['memory'] / 1e9:.2f} | {losses} |\n"
    return text
