"""What a run would take and see, found out by a few steps that are thrown away."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from kept.data.noise import Noise
from kept.data.tokenized_files import arrays_of
from kept.training.show import describe_view, labels_of

if TYPE_CHECKING:
    from kept.data.tokenized import TokenizedRecords
    from kept.objectives.base import View
    from kept.training.loop import Trainer
    from kept.training.recipe import StageSpec
    from kept.training.stages import Run

STEPS = 4
SAMPLES = 2
MOMENTS = 2
"""Numbers that AdamW keeps for each trained one."""


def check_run(run: Run, *, steps: int = STEPS, samples: int = SAMPLES) -> dict[str, Any]:
    """Sizes, parameters by part, memory and time of every stage, and its first batch in words. Trains nothing.

    Time is that of `steps` real steps on this machine, after one that warms up. Memory is added up: weights, their
    gradients and AdamW's two moments, entity tables, records and pictures, and the most bytes that autograd kept for a
    backward pass in the first step. The model and torch's random state are put back as they were.

    Returns:
        A JSON-able summary; `kept.training.show.as_text` lays it out for people.
    """
    with put_back(run.model):
        stages = [check_stage(run, stage, steps, samples) for stage in run.recipe.stages]
    return {
        "recipe": run.recipe.name,
        "start": None if run.start is None else str(run.start),
        "not_taken": run.not_taken,
        "device": str(run.model.device),
        "threads": torch.get_num_threads(),
        "stages": stages,
    }


@contextmanager
def put_back(model: nn.Module) -> Iterator[None]:
    """Undo whatever the block does to the model, and to torch's random state."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    asked = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    random = torch.get_rng_state()
    try:
        yield
    finally:
        model.load_state_dict(state)
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(asked[name])
            parameter.grad = None
        torch.set_rng_state(random)
        model.eval()


def check_stage(run: Run, stage: StageSpec, steps: int, samples: int) -> dict[str, Any]:
    """One stage: what it reads, trains, needs and sees."""
    trainer = run.trainer(stage, None)
    labels = labels_of(run)
    views = [
        describe_view(view, run.tokenizer, corpus, labels, samples, objective=objective, source=source)
        for objective, source, corpus, view in first_views(trainer)
    ]
    parameters = count_parameters(trainer)
    sources = [describe_source(trainer, name) for name in trainer.sources]
    measured = measure(trainer, steps)
    return {
        "name": stage.name,
        "steps": stage.steps,
        "sources": sources,
        "parameters": parameters,
        "memory": estimate_memory(trainer, measured.activations),
        "time": {
            "seconds_per_step": round(measured.seconds, 4),
            "steps_measured": steps,
            "seconds": round(measured.seconds * stage.steps, 1),
        },
        "first_batch": views,
    }


def first_views(trainer: Trainer) -> Iterator[tuple[str, str, TokenizedRecords, View]]:
    """What each objective asks for from each of its sources in the first micro-batch."""
    for source, corpus in trainer.sources.items():
        epoch, rows = trainer.samplers[source].at(0)
        noise = Noise(trainer.settings.seed, epoch)
        batch = corpus.batch(rows, noise).to(trainer.accelerator.device)
        for name, task in trainer.tasks.items():
            if source in task.sources:
                yield name, source, corpus, task.objective.prepare(batch, trainer.context(noise, corpus))


@torch.no_grad()
def describe_source(trainer: Trainer, name: str) -> dict[str, Any]:
    """How much a source holds, and the streams that its first micro-batch becomes."""
    corpus, sampler = trainer.sources[name], trainer.samplers[name]
    epoch, rows = sampler.at(0)
    batch = corpus.batch(rows, Noise(trainer.settings.seed, epoch)).to(trainer.accelerator.device)
    streams = trainer.model.encode(batch).streams
    micro_batches = trainer.settings.steps * trainer.settings.accumulate
    return {
        "name": name,
        "records": len(corpus),
        "micro_batch": len(rows),
        "epochs": round(micro_batches / sampler.batches_per_epoch, 2),
        "pieces": {"mean": round(float(corpus.lengths.mean()), 1), "longest": int(corpus.lengths.max())},
        "mentions": round(float(np.diff(corpus.mention_offsets).mean()), 2),
        "with_picture": round(float((corpus.picture >= 0).mean()), 3),
        "streams": {
            kind: {"length": stream.length, "real": round(float(stream.mask.float().mean()), 3)}
            for kind, stream in streams.items()
        },
    }


def count_parameters(trainer: Trainer) -> list[dict[str, Any]]:
    """Parameters by part of the model and of the objectives, trained and frozen."""
    trained = {name for name, _ in trainer.parameters}
    counts: dict[str, Counter[str]] = {}
    named = [*trainer.model.named_parameters(), *trainer.objectives.named_parameters(prefix="objectives")]
    for name, parameter in named:
        kind = "trained" if name in trained else "frozen"
        counts.setdefault(part_of(name), Counter())[kind] += parameter.numel()
    return [{"part": part, "trained": count["trained"], "frozen": count["frozen"]} for part, count in counts.items()]


def part_of(name: str) -> str:
    """The part that a parameter belongs to.

    >>> part_of("towers.text.pieces.weight"), part_of("blocks.0.norm.weight")
    ('towers.text', 'blocks')
    """
    first, *rest = name.split(".")
    return ".".join([first, *rest[:1]]) if first in ("towers", "knowledge", "objectives") else first


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds of a step, and the most bytes that its backward passes held at a time."""

    seconds: float
    activations: int


def measure(trainer: Trainer, steps: int) -> Measured:
    """Take a step that warms up and is weighed, then `steps` that are timed."""
    trainer.model.train()
    weighed = SavedForBackward([*trainer.model.parameters(), *trainer.model.buffers()])
    with torch.autograd.graph.saved_tensors_hooks(weighed.pack, weighed.unpack):
        trainer.train_step()
    started = time.perf_counter()
    for _ in range(steps):
        trainer.train_step()
    if trainer.accelerator.device.type == "cuda":
        torch.cuda.synchronize()
    return Measured((time.perf_counter() - started) / max(1, steps), weighed.peak)


def estimate_memory(trainer: Trainer, activations: int) -> dict[str, int]:
    """Bytes by purpose, their sum, what is mapped beside them, and the most that this process has held so far."""
    held, mapped = sizes_of(trainer.sources.values())
    weights = bytes_of(trainer.model.parameters()) + bytes_of(trainer.objectives.parameters())
    trained = bytes_of(parameter for _, parameter in trainer.parameters)
    parts = {
        "weights": weights,
        "gradients": trained,
        "optimizer": MOMENTS * trained,
        "activations": activations,
        "tables": bytes_of([*trainer.model.buffers(), *trainer.objectives.buffers()]),
        "data": held,
    }
    return {**parts, "total": sum(parts.values()), "mapped": mapped, "process_peak": process_peak()}


def process_peak() -> int:
    """The most bytes of memory that this process has held."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def bytes_of(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def sizes_of(corpora: Iterable[TokenizedRecords]) -> tuple[int, int]:
    """Bytes of records and their pictures: those that are held, and those that lie in files and are mapped."""
    arrays: dict[int, Any] = {}
    for corpus in corpora:
        pictures = getattr(corpus.pictures, "pixels", getattr(corpus.pictures, "states", None))
        found = [*arrays_of(corpus).values(), *([] if pictures is None else [pictures])]
        arrays |= {id(array): array for array in found}
    mapped = sum(array.nbytes for array in arrays.values() if isinstance(array, np.memmap))
    return sum(int(array.nbytes) for array in arrays.values()) - mapped, mapped


@dataclass(slots=True)
class SavedForBackward:
    """Hooks for `torch.autograd.graph.saved_tensors_hooks` that count the bytes kept for backward passes.

    A storage counts once however many operations keep it, and not at all when it belongs to `constants`.

    >>> weighed, x = SavedForBackward([]), torch.ones(8, requires_grad=True)
    >>> with torch.autograd.graph.saved_tensors_hooks(weighed.pack, weighed.unpack):
    ...     x.exp().sum().backward()
    >>> weighed.peak, weighed.now
    (32, 0)
    """

    constants: Iterable[Tensor]
    now: int = 0
    peak: int = 0
    _known: set[int] = field(default_factory=set)
    _held: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._known = {tensor.untyped_storage().data_ptr() for tensor in self.constants}

    def pack(self, tensor: Tensor) -> _Kept:
        storage = tensor.untyped_storage()
        kept = _Kept(self, tensor, storage.data_ptr(), storage.nbytes())
        if kept.place not in self._known:
            if not self._held[kept.place]:
                self.now += kept.size
                self.peak = max(self.peak, self.now)
            self._held[kept.place] += 1
        return kept

    def unpack(self, kept: _Kept) -> Tensor:
        return kept.tensor

    def release(self, kept: _Kept) -> None:
        """Called when autograd lets go of a tensor."""
        if kept.place not in self._known:
            self._held[kept.place] -= 1
            if not self._held[kept.place]:
                self.now -= kept.size


@dataclass(slots=True)
class _Kept:
    counter: SavedForBackward
    tensor: Tensor
    place: int
    size: int

    def __del__(self) -> None:
        self.counter.release(self)
