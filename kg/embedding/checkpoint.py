"""The state of a fit on disk: safetensors and JSON, whole or absent."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kg.embedding.optim import RowSparse
from kg.errors import InputError
from kg.storage import atomic_directory, read_json, write_json

WEIGHTS = ("best", "average")
"""What a fit's state holds of weights, each in a file of its own."""


@dataclass
class FitState:
    """What a fit knows besides weights: `best` holds those of the best validation so far, `average` their average."""

    identity: str
    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best_mrr: float = -1.0
    best_epoch: int = 0
    stale: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    average: dict[str, Tensor] = field(default_factory=dict)

    def judge(self, mrr: float, model: nn.Module) -> None:
        """Keep the weights if they validate better than all before, otherwise count."""
        if mrr <= self.best_mrr:
            self.stale += 1
            return
        self.best_mrr, self.best_epoch, self.stale = mrr, self.epoch, 0
        self.best = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def save_checkpoint(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: FitState) -> None:
    """Replace `folder` by the present state, unless a weight is no longer finite: then the older one stays."""
    if not all(bool(parameter.isfinite().all()) for parameter in model.parameters()):
        return
    with atomic_directory(folder) as partial:
        save_file(contiguous(model.state_dict()), partial / "model.safetensors")
        save_file(contiguous(flatten(optimizer)), partial / "optimizer.safetensors")
        for name in WEIGHTS:
            save_file(contiguous(getattr(state, name)), partial / f"{name}.safetensors")
        write_json(partial / "state.json", {name: value for name, value in vars(state).items() if name not in WEIGHTS})


def load_checkpoint(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, identity: str) -> FitState:
    """Put a saved state back into `model` and `optimizer`, and return the rest of it.

    Raises:
        InputError: where a file is missing or broken, naming it, or where it is the state of another fit.
    """
    saved: dict[str, Any] = read_json(folder / "state.json")
    if saved["identity"] != identity:
        raise InputError(f"{folder}: holds a fit of other facts or settings; remove it or choose another --out")
    model.load_state_dict(read_tensors(folder / "model.safetensors"))
    restore(optimizer, read_tensors(folder / "optimizer.safetensors"))
    best, average = (read_tensors(folder / f"{name}.safetensors") for name in WEIGHTS)
    own = model.state_dict()
    return FitState(**saved, best=best, average={name: value.to(own[name].device) for name, value in average.items()})


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file; a missing or broken one is an `InputError` that names it."""
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except SafetensorError as error:
        raise InputError(f"{path}: not a safetensors file ({error})") from None
    return tensors


def contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Safetensors takes contiguous tensors on the CPU that share no memory."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def flatten(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimizer's tensors by name, `<parameter>.<what>`."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{name}": value for index, values in state.items() for name, value in values.items()}


def restore(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """The inverse of `flatten`, for an optimizer over the same parameters; what lies in files goes there again."""
    saved = optimizer.state_dict()
    saved["state"] = {}
    for name, value in tensors.items():
        index, what = name.split(".", 1)
        saved["state"].setdefault(int(index), {})[what] = value
    optimizer.load_state_dict(saved)
    if isinstance(optimizer, RowSparse):
        for parameter in optimizer.tables:
            state = optimizer.state[parameter]
            for name in optimizer.moments:
                state[name] = optimizer.moment(name, parameter).copy_(state[name])
