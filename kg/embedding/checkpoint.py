"""The state of a fit on disk: safetensors and JSON, whole or absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kg.errors import InputError
from kg.storage import atomic_directory, read_json, write_json


def save_checkpoint(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, best: dict[str, Tensor], state: dict[str, Any]
) -> None:
    """Write model, optimizer, the best weights so far and `state` (plain JSON) to `folder`, replacing an older one."""
    with atomic_directory(folder) as partial:
        save_file(contiguous(model.state_dict()), partial / "model.safetensors")
        save_file(contiguous(flatten(optimizer)), partial / "optimizer.safetensors")
        if best:
            save_file(contiguous(best), partial / "best.safetensors")
        write_json(partial / "state.json", state)


def load_checkpoint(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Put a saved state back into `model` and `optimizer`; returns the best weights so far and the JSON state.

    Raises:
        InputError: where a file is missing or broken, naming it.
    """
    state: dict[str, Any] = read_json(folder / "state.json")
    model.load_state_dict(read_tensors(folder / "model.safetensors"))
    restore(optimizer, read_tensors(folder / "optimizer.safetensors"))
    best = folder / "best.safetensors"
    return (read_tensors(best) if best.exists() else {}), state


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
    """The inverse of `flatten`, for an optimizer over the same parameters."""
    saved = optimizer.state_dict()
    saved["state"] = {}
    for name, value in tensors.items():
        index, what = name.split(".", 1)
        saved["state"].setdefault(int(index), {})[what] = value
    optimizer.load_state_dict(saved)
