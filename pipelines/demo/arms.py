"""The arms of the demo's study, trained side by side, one process and one thread each."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.demo.data import VERBALISED
from pipelines.demo.processes import Report, side_by_side
from pipelines.demo.workspace import Workspace

SEEDS = (1, 2, 3)
"""Of the text and fused arms; seed 0 is the one that designs were chosen with, and the controls have it."""
SHUFFLED_STEPS, VERBALISED_STEPS = 2.0, 1.4
"""Controls get this many times the steps: vectors that say nothing are learned around slowly, and more text takes
longer to learn by heart."""


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

    shuffled = ("vectors=vectors-shuffled", scaled("world-fused", SHUFFLED_STEPS))
    verbalised = (f"stages.facts.sources.facts.records=records/{VERBALISED}", scaled("world-text", VERBALISED_STEPS))
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
    return side_by_side({"pictures": (train, work, arm, None)}, threads=os.cpu_count() or 1, tells=True)


def train_arms(work: Workspace, chosen: list[Arm]) -> dict[str, Any]:
    """All arms, as many at once as there are cores."""
    return side_by_side({arm.run: (train, work, arm, work.pictures_model) for arm in chosen}, tells=True)


def train(work: Workspace, arm: Arm, start: Path | None, report: Report) -> dict[str, Any]:
    """One arm, in this process; goes on from its checkpoint."""
    import time

    import torch

    from kept.recipes import load_recipe
    from kept.training.stages import Run

    torch.use_deterministic_algorithms(True)
    settings = (f"root={work.root}", f"seed={arm.seed}", *arm.settings)
    started = time.perf_counter()
    folder = work.run(arm.name if start is None else arm.run)
    run = Run.prepare(load_recipe(arm.recipe, settings), start, folder)
    run.train(folder, on_step=lambda stage, step, total: report(step, total))
    return {"seconds": round(time.perf_counter() - started, 1), "steps": run.recipe.stages[0].steps}
