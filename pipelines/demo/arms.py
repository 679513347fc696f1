"""The arms of the demo's study, trained side by side, one process and one thread each."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kg.progress import progress
from pipelines.demo.data import VERBALISED
from pipelines.demo.workspace import Workspace

SEEDS = (0, 1, 2)
CONTROL_STEPS = 1.5
"""Controls get this many times the steps, since vectors that say nothing are learned around slowly."""


@dataclass(frozen=True)
class Arm:
    """One model to train: a recipe and what differs from it."""

    name: str
    seed: int
    recipe: str
    settings: tuple[str, ...] = ()

    @property
    def run(self) -> str:
        return f"{self.name}-{self.seed}"


def arms(steps: float = 1.0) -> list[Arm]:
    """All trained arms, the longest first so that the cores end together; `steps` scales every recipe's."""
    from kept.recipes import load_recipe

    def scaled(recipe: str, factor: float = 1.0) -> str:
        stage = load_recipe(recipe).stages[0]
        return f"stages.{stage.name}.steps={max(1, round(stage.steps * steps * factor))}"

    shuffled = ("vectors=vectors-shuffled", scaled("world-fused", CONTROL_STEPS))
    verbalised = (f"stages.facts.sources.facts.records=records/{VERBALISED}", scaled("world-text", CONTROL_STEPS))
    return [
        Arm("verbalised", 0, "world-text", verbalised),
        Arm("shuffled", 0, "world-fused", shuffled),
        *(Arm("text", seed, "world-text", (scaled("world-text"),)) for seed in SEEDS),
        *(Arm("fused", seed, "world-fused", (scaled("world-fused"),)) for seed in SEEDS),
    ]


def train_pictures(work: Workspace, steps: float) -> dict[str, Any]:
    """The model that learns what pictures show, with all cores."""
    from kept.recipes import load_recipe

    stage = load_recipe("world-pictures").stages[0]
    scaled = f"stages.{stage.name}.steps={max(1, round(stage.steps * steps))}"
    arm = Arm("pictures", 0, "world-pictures", (scaled,))
    return train_all(work, [arm], start=None, workers=1, threads=os.cpu_count() or 1)


def train_arms(work: Workspace, chosen: list[Arm]) -> dict[str, Any]:
    """All arms, as many at once as there are cores."""
    return train_all(work, chosen, start=work.pictures_model, workers=os.cpu_count() or 1, threads=1)


def train_all(work: Workspace, chosen: list[Arm], *, start: Path | None, workers: int, threads: int) -> dict[str, Any]:
    """Train arms in processes of their own, with one progress bar for each."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, progress() as display:
        steps = manager.Queue()

        def follow() -> None:
            bars: dict[str, Any] = {}
            while (news := steps.get()) is not None:
                name, step, total = news
                if name not in bars:
                    bars[name] = display.add_task(name, total=total)
                display.update(bars[name], completed=step)

        follower = threading.Thread(target=follow, daemon=True)
        follower.start()
        with ProcessPoolExecutor(max_workers=min(workers, len(chosen)), mp_context=context) as pool:
            waiting = [pool.submit(train, work, arm, start, threads, steps) for arm in chosen]
            try:
                told = {arm.run: done.result() for arm, done in zip(chosen, waiting, strict=True)}
            except BaseException:
                for one in waiting:
                    one.cancel()
                for process in list((pool._processes or {}).values()):
                    process.terminate()
                raise
            finally:
                steps.put(None)
        follower.join(timeout=5)
    return told


def train(work: Workspace, arm: Arm, start: Path | None, threads: int, steps: Any) -> dict[str, Any]:
    """One arm, in this process; goes on from its checkpoint."""
    import time

    import torch

    from kept.recipes import load_recipe
    from kept.training.stages import Run

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    settings = (f"root={work.root}", f"seed={arm.seed}", *arm.settings)
    started = time.perf_counter()
    run = Run.prepare(load_recipe(arm.recipe, settings), start)
    run.train(work.run(arm.run), on_step=lambda stage, step, total: steps.put((arm.run, step, total)))
    return {"seconds": round(time.perf_counter() - started, 1), "steps": run.recipe.stages[0].steps}
