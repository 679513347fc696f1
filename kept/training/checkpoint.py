"""Everything a run needs to go on, as safetensors and JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kg.errors import InputError
from kg.storage import atomic_directory, read_json, write_json

FORMAT = 1


def save_checkpoint(
    folder: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, progress: Mapping[str, Any]
) -> None:
    """Write modules (parameters and buffers), optimizer moments, torch's random state and where the run stands."""
    tensors: dict[str, Tensor] = {"random": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    for name, module in modules.items():
        tensors |= {f"module.{name}.{key}": value for key, value in module.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": torch.as_tensor(value) for key, value in moments.items()}
    with atomic_directory(folder) as partial:
        save_file({key: value.contiguous().clone() for key, value in tensors.items()}, partial / "state.safetensors")
        write_json(partial / "progress.json", {"format": FORMAT, **progress})


def load_checkpoint(folder: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Restore what `save_checkpoint` wrote and return where the run stood.

    Raises:
        InputError: when the checkpoint is of another format, broken, or of another model.
    """
    progress: dict[str, Any] = read_json(folder / "progress.json")
    version = progress.get("format") if isinstance(progress, dict) else None
    if version != FORMAT:
        raise InputError(f"{folder}: checkpoint format {version}, this version reads {FORMAT}")
    try:
        tensors = load_file(folder / "state.safetensors")
    except (SafetensorError, FileNotFoundError) as error:
        raise InputError(f"{folder / 'state.safetensors'}: cannot be read ({error})") from None
    for name, module in modules.items():
        prefix = f"module.{name}."
        state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
        own = module.state_dict()
        for key in sorted(own.keys() | state.keys()):
            if key not in own or key not in state or own[key].shape != state[key].shape:
                raise InputError(f"{folder}: the checkpoint is of another model ({name}.{key} differs)")
        module.load_state_dict(state)
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, part = key.split(".", 2)
            moments.setdefault(int(index), {})[part] = value
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for number, moment in moments.items():
        if number >= len(parameters) or any(v.dim() and v.shape != parameters[number].shape for v in moment.values()):
            raise InputError(f"{folder}: the checkpoint is of other settings (frozen parts or learning rates differ)")
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    torch.set_rng_state(tensors["random"])
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda"])
    return progress
