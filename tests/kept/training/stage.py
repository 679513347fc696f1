"""A small stage of training for the tests of this folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kept.data.tokenized import TokenizedRecords
from kept.modeling.model import KeptModel
from kept.objectives import OBJECTIVES
from kept.training.loop import Settings, Task, Trainer
from tests.kept import tiny

SOURCE = "records"


def trainer(
    objectives: tuple[str, ...] = ("mlm", "mep", "itm"),
    *,
    corpus: TokenizedRecords | None = None,
    batch: int = 4,
    folder: Path | None = None,
    model: KeptModel | None = None,
    stage: str = "train",
    **settings: Any,
) -> Trainer:
    """A trainer of a small model on the tiny records."""
    tasks = {name: Task(OBJECTIVES[name](), (SOURCE,)) for name in objectives}
    heads = tiny.heads(task.objective for task in tasks.values())
    return Trainer(
        model if model is not None else tiny.model(heads=heads),
        tasks,
        {SOURCE: corpus if corpus is not None else tiny.corpus()},
        tiny.context,
        Settings(**{"steps": 6, "batch": {SOURCE: batch}, "log_every": 1, "save_every": 2, **settings}),
        stage=stage,
        folder=folder,
    )


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """A copy of all parameters and buffers."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def assert_close(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], atol: float = 1e-5) -> None:
    torch.testing.assert_close(dict(found), dict(expected), rtol=1e-4, atol=atol)


def assert_equal(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> None:
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
