"""The loop: mix objectives over sources, step, log each term beside its baseline, checkpoint, resume."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from kept.data.noise import Noise
from kept.data.tokenized import TokenizedRecords
from kept.modeling.model import KeptModel
from kept.objectives.base import Context, Forward, Objective, Term, View
from kept.training.checkpoint import load_checkpoint, save_checkpoint
from kept.training.optim import check_prefixes, hidden_matrices, make_optimizer, named_trainable, one_cycle, set_rates
from kept.training.processes import accelerator
from kept.training.sampling import Sampler
from kg.errors import InputError
from kg.storage import atomic_file


@dataclass(frozen=True, slots=True)
class Settings:
    """How a stage is trained.

    Args:
        steps: optimizer steps.
        batch: records of each source in a micro-batch, by source name.
        every: a source is read in each `every`-th step only, by source name; 1 where it is not named.
        accumulate: micro-batches in a step.
        rates: learning rates by parameter prefix, "default" for the rest.
        optimizer: "adamw", or "muon" for the matrices between hidden states (see `Muon`) and AdamW for the rest.
        freeze: prefixes of parameters that stay as they are.
        warm_up: share of the steps in which the rates rise.
        clip: greatest norm of the gradient.
        log_every, save_every: in steps; `save_every` 0 keeps no checkpoint.
        mix: "sum" trains all objectives in every step, "one" a single one, drawn anew for each step.
        precision: "float32", or "bfloat16" for what autocast deems safe.
        compile: compile the interaction blocks with torch.
        checkpointing: keep no activations inside blocks, compute them again on the way back.
    """

    steps: int
    batch: Mapping[str, int]
    accumulate: int = 1
    rates: Mapping[str, float] = field(default_factory=lambda: {"default": 1e-3})
    every: Mapping[str, int] = field(default_factory=dict)
    optimizer: str = "adamw"
    freeze: Sequence[str] = ()
    weight_decay: float = 0.02
    warm_up: float = 0.1
    clip: float = 1.0
    seed: int = 0
    log_every: int = 10
    save_every: int = 100
    mix: str = "sum"
    precision: str = "float32"
    compile: bool = False
    checkpointing: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """An objective, the sources it learns from, and when.

    Args:
        start, stop: shares of the steps between which it is trained.
        ramp: the share over which its weight rises.
        share: how often it is drawn where one objective is trained at a time.
    """

    objective: Objective
    sources: tuple[str, ...]
    start: float = 0.0
    stop: float = 1.0
    ramp: float = 0.0
    share: float = 1.0

    def factor(self, step: int, steps: int) -> float:
        """What its weight is multiplied by in a step; 0 before its start and from its stop on.

        >>> task = Task(Objective(), (), start=0.5, ramp=0.2)
        >>> [task.factor(step, 10) for step in (4, 5, 9)]
        [0.0, 0.5, 1.0]
        """
        place = step / steps
        if not self.start <= place < self.stop:
            return 0.0
        return 1.0 if not self.ramp else min(1.0, (place - self.start + 1 / steps) / self.ramp)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A source's micro-batch with the views that its objectives asked for."""

    views: tuple[tuple[str, View], ...]


class Trainer:
    """Trains one stage of a model.

    Each step prepares all its micro-batches first and adds up every term's targets over sources, accumulation and
    processes; each term's sum is then divided by that one count. Accumulation, uneven ranks and empty targets are
    exact.

    Args:
        model: what is trained.
        tasks: objectives by name.
        sources: tokenised records by name.
        context: tokenizer facts for the objectives; its noise and corpus are set step by step.
        folder: where checkpoint and curves go, or None to keep neither.
    """

    def __init__(
        self,
        model: KeptModel,
        tasks: Mapping[str, Task],
        sources: Mapping[str, TokenizedRecords],
        context: Callable[[Noise, TokenizedRecords], Context],
        settings: Settings,
        *,
        stage: str = "train",
        folder: Path | None = None,
    ) -> None:
        self.accelerator = accelerator()
        self.model = model.to(self.accelerator.device)
        self.tasks, self.sources, self.context, self.settings = tasks, sources, context, settings
        self.stage, self.folder = stage, folder
        self.step = 0
        self.objectives = nn.ModuleDict({name: task.objective for name, task in tasks.items()})
        for task in tasks.values():
            task.objective.attach(self.model)
        self.objectives.to(self.accelerator.device)
        modules = [("", self.model), ("objectives", self.objectives)]
        check_prefixes(f"stage {stage}: freeze", settings.freeze, modules)
        check_prefixes(f"stage {stage}: rates", set(settings.rates) - {"default"}, modules)
        self.parameters = named_trainable(modules, settings.freeze)
        matrices = hidden_matrices(modules) if settings.optimizer == "muon" else set()
        self.optimizer = make_optimizer(self.parameters, settings.rates, settings.weight_decay, matrices)
        ranks, rank = self.accelerator.num_processes, self.accelerator.process_index
        for name, corpus in sources.items():
            if len(corpus) < ranks:
                raise InputError(f"stage {stage}: source {name!r} has {len(corpus)} records for {ranks} processes")
        self.samplers = {
            name: Sampler(corpus.lengths, settings.batch[name], settings.seed, rank, ranks)
            for name, corpus in sources.items()
        }
        self.curves: list[dict[str, Any]] = []
        self.model.checkpointing = settings.checkpointing
        if settings.compile:
            for block in self.model.blocks:
                block.compile(dynamic=True)

    def run(self, *, on_step: Callable[[int], None] | None = None) -> None:
        """Train to the last step, going on from the folder's checkpoint if there is one."""
        self.restore()
        if self.step == 0:
            torch.manual_seed(self.settings.seed)
        self.model.train()
        try:
            while self.step < self.settings.steps:
                self.train_step()
                if on_step is not None:
                    on_step(self.step)
                if self.settings.save_every and self.step % self.settings.save_every == 0:
                    self.save()
        finally:
            self.model.eval()
        self.save()

    def train_step(self) -> dict[str, Term]:
        """One optimizer step; returns the last micro-batch's terms."""
        settings = self.settings
        set_rates(self.optimizer, one_cycle(self.step, settings.steps, settings.warm_up))
        prepared = [self._prepare(micro) for micro in range(settings.accumulate)]
        counts = self._count(prepared)
        self.optimizer.zero_grad(set_to_none=True)
        logged: dict[str, list[Term]] = defaultdict(list)
        stepwise: set[str] = set()
        for micro in prepared:
            for batch in micro:
                forward = Forward(self.model)
                total = None
                for name, view in batch.views:
                    with self._precision():
                        terms = self.tasks[name].objective.loss(view, forward)
                    factor = self.tasks[name].factor(self.step, settings.steps)
                    for term_name, term in terms.items():
                        logged[term_name].append(term)
                        share = self._share(term_name, term, counts, stepwise) * factor
                        total = share if total is None else total + share
                if total is not None:
                    self._check(total)
                    total.backward()
        self._sum_gradients()
        parameters = [parameter for _, parameter in self.parameters]
        torch.nn.utils.clip_grad_norm_(parameters, settings.clip)
        self.optimizer.step()
        for task in self.tasks.values():
            task.objective.after_step(self.model)
        self.step += 1
        self._log(logged)
        return {name: terms[-1] for name, terms in logged.items()}

    def active(self) -> dict[str, Task]:
        """The objectives of this step: all whose time it is, or one of them, the same on every process."""
        settings = self.settings
        able = {name: task for name, task in self.tasks.items() if task.factor(self.step, settings.steps)}
        if settings.mix == "sum" or len(able) < 2:
            return able
        shares = np.array([task.share for task in able.values()])
        draw = np.random.default_rng((settings.seed, self.step)).choice(len(able), p=shares / shares.sum())
        name = list(able)[draw]
        return {name: able[name]}

    def _precision(self) -> torch.autocast:
        """Each stage's own; accelerate's would be that of the whole process."""
        enabled = self.settings.precision == "bfloat16"
        return torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=enabled)

    def _prepare(self, micro: int) -> list[Prepared]:
        device = self.accelerator.device
        prepared = []
        active = self.active()
        for source, corpus in self.sources.items():
            tasks = {name: task for name, task in active.items() if source in task.sources}
            turn, idle = divmod(self.step, self.settings.every.get(source, 1))
            if idle or not tasks:
                continue
            epoch, rows = self.samplers[source].at(turn * self.settings.accumulate + micro)
            if not len(rows):
                continue
            noise = Noise(self.settings.seed, epoch)
            batch = corpus.batch(rows, noise).to(device)
            context = self.context(noise, corpus)
            views = tuple((name, task.objective.prepare(batch, context)) for name, task in tasks.items())
            prepared.append(Prepared(views))
        return prepared

    def _count(self, prepared: list[list[Prepared]]) -> dict[str, int]:
        """The targets of every part over the whole step and all processes."""
        counts = {part: 0 for task in self.tasks.values() for part in task.objective.parts}
        for micro in prepared:
            for batch in micro:
                for _, view in batch.views:
                    for part, count in view.counts.items():
                        counts[part] += count
        if self.accelerator.num_processes > 1:
            names = sorted(counts)
            summed = self.accelerator.reduce(
                torch.tensor([counts[name] for name in names], device=self.accelerator.device), "sum"
            )
            counts = dict(zip(names, summed.tolist(), strict=True))
        return counts

    def _share(self, name: str, term: Term, counts: Mapping[str, int], stepwise: set[str]) -> torch.Tensor:
        if term.count is None:
            if name in stepwise or self.accelerator.process_index:
                return term.sum * 0.0
            stepwise.add(name)
            return term.sum * term.weight
        return term.sum * (term.weight / max(1, counts[name.split("/")[0]]))

    def _sum_gradients(self) -> None:
        if self.accelerator.num_processes == 1:
            return
        parameters = [parameter for _, parameter in self.parameters]
        touched = torch.tensor([p.grad is not None for p in parameters], device=self.accelerator.device).float()
        given = [(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in parameters]
        flat = self.accelerator.reduce(torch.cat([touched, *given]), "sum")
        touched, *summed = flat.split([len(parameters), *(p.numel() for p in parameters)])
        for parameter, part, anywhere in zip(parameters, summed, touched.tolist(), strict=True):
            # A part that no process used keeps no gradient, so that the optimizer leaves it alone as it would alone.
            parameter.grad = part.view_as(parameter) if anywhere else None

    def _check(self, total: torch.Tensor) -> None:
        if not torch.isfinite(total):
            rate = self.optimizer.param_groups[0]["lr"]
            kept = self._checkpoint is not None and self._checkpoint.is_dir()
            raise InputError(
                f"stage {self.stage}: the loss is {total.item()} at step {self.step + 1} with learning rate {rate:g}"
                + (f"; the last checkpoint is in {self.folder}" if kept else "")
            )

    def _log(self, terms: Mapping[str, list[Term]]) -> None:
        """Note the terms of this step, of all processes together."""
        if self.step % self.settings.log_every and self.step != self.settings.steps and self.step != 1:
            return
        from accelerate.utils import gather_object

        told = {
            name: [(float(term.sum.detach()), term.count, term.baseline, term.floor) for term in parts if term.count]
            for name, parts in terms.items()
        }
        of_all = gather_object([told]) if self.accelerator.num_processes > 1 else [told]
        for name in dict.fromkeys(name for one in of_all for name in one):
            parts = [part for one in of_all for part in one.get(name, ())]
            if not parts:
                continue
            sums, counts, baselines, floors = zip(*parts, strict=True)
            self.curves.append(
                {
                    "stage": self.stage,
                    "step": self.step,
                    "term": name,
                    "value": round(sum(sums) / sum(counts), 6),
                    "baseline": _mean(baselines),
                    "floor": _mean(floors),
                }
            )

    @property
    def _checkpoint(self) -> Path | None:
        return None if self.folder is None else self.folder / "checkpoint"

    def save(self) -> None:
        """Write a checkpoint and the curves so far."""
        if self._checkpoint is None or self.folder is None or not self.accelerator.is_main_process:
            return
        lines = "".join(json.dumps(row) + "\n" for row in self.curves)
        # Curves first: `restore` drops what is ahead of the checkpoint, and could not make up for what is missing.
        with atomic_file(self.folder / "curves.jsonl") as partial:
            partial.write_text(lines, encoding="utf-8")
        modules = {"model": self.model, "objectives": self.objectives}
        save_checkpoint(self._checkpoint, modules, self.optimizer, {"stage": self.stage, "step": self.step})

    def restore(self) -> None:
        """Go on from the folder's checkpoint, if it has one."""
        if self._checkpoint is None or self.folder is None or not self._checkpoint.is_dir():
            return
        progress = load_checkpoint(
            self._checkpoint, {"model": self.model, "objectives": self.objectives}, self.optimizer
        )
        if progress["stage"] != self.stage:
            raise InputError(f"{self._checkpoint}: a checkpoint of stage {progress['stage']!r}, not of {self.stage!r}")
        self.step = int(progress["step"])
        curves = self.folder / "curves.jsonl"
        rows = [json.loads(line) for line in curves.read_text(encoding="utf-8").splitlines()] if curves.exists() else []
        self.curves = [row for row in rows if row["step"] <= self.step]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None and math.isfinite(value)]
    return round(sum(known) / len(known), 6) if known else None
