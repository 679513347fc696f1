"""What `kept bench train` measures, each run a program of its own that prints one JSON object.

    python -m pipelines.bench.train_engines time TASK FOLDER BATCHES ROUNDS ARM...
    python -m pipelines.bench.train_engines memory TASK FOLDER BATCHES 1 ARM

`time` keeps all arms in one process and lets them step in turn on each batch, so that a busy moment of the machine is
one of all of them.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.bench import train_lxmert, train_text


@dataclass(frozen=True)
class Task:
    """A table of the bench.

    Attributes:
        arms: by name, the ways of doing its step.
        ratios: which arm each is held against.
        make: what trains one: (folder, arm, batches, device).
    """

    arms: dict[str, train_text.Arm]
    ratios: dict[str, str]
    make: Callable[..., train_text.Trainer]


TASKS = {
    "text": Task(train_text.ARMS, train_text.RATIOS, train_text.Trainer),
    "lxmert": Task(train_lxmert.ARMS, train_lxmert.RATIOS, train_lxmert.Trainer),
}
"""A new table is one more entry."""
AGREE = 1e-4
"""How far losses of arms in float32 may lie apart before the first step, relatively."""
PEAKS = {"A100": 312e12, "H100": 989e12, "H200": 989e12}
"""Dense bfloat16 operations a second, by the makers' data sheets."""


def measured(arguments: Sequence[str]) -> dict[str, Any]:
    """What the command line asks for."""
    import torch
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    what, task, folder, batches, rounds, *names = arguments
    device = "cuda" if torch.cuda.is_available() else "cpu"
    known, make = TASKS[task].arms, TASKS[task].make
    if what == "memory":
        return memory(make(Path(folder), known[names[0]], int(batches), device), device)
    trainers = {name: make(Path(folder), known[name], int(batches), device) for name in names}
    return timed(trainers, int(rounds), device)


def timed(trainers: dict[str, train_text.Trainer], rounds: int, device: str) -> dict[str, Any]:
    """Seconds of every step of every arm, by round; arms that fail say why."""
    failed = {}
    for name, trainer in list(trainers.items()):
        try:
            trainer.loss(0).backward()
        except Exception as error:
            # A compiler may be absent or give up in many ways, and the other arms go on.
            failed[name] = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            del trainers[name]
    losses = agreed(trainers)
    for trainer in trainers.values():
        trainer.step(0)
    batches = {name: len(trainer.batches.rows) for name, trainer in trainers.items()}
    wall: dict[str, list[list[float]]] = {name: [[] for _ in range(rounds)] for name in trainers}
    cpu: dict[str, list[list[float]]] = {name: [[] for _ in range(rounds)] for name in trainers}
    for around in range(rounds):
        for number in range(max(batches.values())):
            for name, trainer in trainers.items():
                wait(device)
                began, worked = time.perf_counter(), time.process_time()
                trainer.step(number)
                wait(device)
                wall[name][around].append(time.perf_counter() - began)
                cpu[name][around].append(time.process_time() - worked)
    return {
        name: {
            "units": [trainer.batches.units(number) for number in range(batches[name])],
            "wall": wall[name],
            "cpu": cpu[name],
            "loss": losses[name],
            **utilisation(trainer, wall[name], device),
        }
        for name, trainer in trainers.items()
    } | {name: {"failed": reason} for name, reason in failed.items()}


def agreed(trainers: dict[str, train_text.Trainer]) -> dict[str, float]:
    """The loss of each arm on its first batch before any step; those in float32 on equal batches have to agree.

    Raises:
        ArithmeticError: when they do not.
    """
    import torch

    losses = {}
    with torch.no_grad():
        for name, trainer in trainers.items():
            for module in trainer.modules:
                module.eval()
            losses[name] = trainer.loss(0).item()
            for module in trainer.modules:
                module.train()
    for buckets in (False, True):
        same = [
            losses[name]
            for name, trainer in trainers.items()
            if trainer.arm.buckets == buckets and trainer.arm.precision == "float32"
        ]
        if same and max(same) - min(same) > AGREE * max(map(abs, same)):
            raise ArithmeticError(f"the losses do not agree: {losses}")
    return losses


def utilisation(trainer: train_text.Trainer, wall: list[list[float]], device: str) -> dict[str, float]:
    """The share of the card's peak that the median round reached; nothing on a processor, whose peak nobody quotes."""
    import statistics

    import torch

    if device != "cuda":
        return {}
    name = torch.cuda.get_device_name()
    peak = next((peak for card, peak in PEAKS.items() if card in name), None)
    if peak is None:
        return {}
    flops = sum(trainer.flops(number) for number in range(len(trainer.batches.rows)))
    return {"utilisation": flops / statistics.median(map(sum, wall)) / peak}


def memory(trainer: train_text.Trainer, device: str) -> dict[str, float]:
    """The most bytes that an arm holds in a step on its widest batch: of the process, or of the card."""
    import torch

    places = [trainer.batches.units(number)["places"] for number in range(len(trainer.batches.rows))]
    widest = places.index(max(places))
    for _ in range(2):
        trainer.step(widest)
    if device == "cuda":
        return {"memory": float(torch.cuda.max_memory_allocated())}
    return {"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0}


def wait(device: str) -> None:
    """Until the card has done what it was told."""
    import torch

    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    print(json.dumps(measured(sys.argv[1:])))
