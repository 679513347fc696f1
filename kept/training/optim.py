"""Optimizer and schedule of a stage."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

import torch
from torch import nn

from kept.training.muon import Muon
from kg.errors import InputError, nearest


def named_trainable(modules: Iterable[tuple[str, nn.Module]], freeze: Iterable[str]) -> list[tuple[str, nn.Parameter]]:
    """Parameters by name, without those under a frozen prefix, which also stop asking for gradients."""
    frozen = tuple(freeze)
    trainable: list[tuple[str, nn.Parameter]] = []
    for prefix, module in modules:
        for name, parameter in module.named_parameters(prefix=prefix):
            parameter.requires_grad_(not _under(name, frozen))
            if parameter.requires_grad:
                trainable.append((name, parameter))
    return trainable


def make_optimizer(
    parameters: list[tuple[str, nn.Parameter]],
    rates: Mapping[str, float],
    weight_decay: float,
    matrices: Collection[str] = (),
) -> torch.optim.AdamW:
    """AdamW with a learning rate for each part; Muon for the parameters named in `matrices`, if there are any.

    `rates` maps prefixes of parameter names to rates, "default" to that of the rest; the longest prefix wins. Vectors
    and scalars (biases, norms, temperatures) are not decayed.
    """
    groups: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    for name, parameter in parameters:
        matching = [prefix for prefix in rates if prefix != "default" and _under(name, (prefix,))]
        rate = rates[max(matching, key=len)] if matching else rates["default"]
        decay = weight_decay if parameter.dim() > 1 else 0.0
        groups.setdefault((rate, decay, name in matrices), []).append(parameter)
    given = [
        {"params": group, "lr": rate, "peak": rate, "weight_decay": decay, "orthogonal": orthogonal}
        for (rate, decay, orthogonal), group in groups.items()
    ]
    kind = Muon if matrices else torch.optim.AdamW
    return kind(given, betas=(0.9, 0.98), fused=True)


def hidden_matrices(modules: Iterable[tuple[str, nn.Module]]) -> set[str]:
    """The names of linear layers' weights, which lie between one hidden state and another.

    Not embeddings, of which a step touches a few rows, and not layers of a single output.

    >>> sorted(hidden_matrices([("", nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 3), nn.Linear(3, 1)))]))
    ['1.weight']
    """
    return {
        f"{name}.weight"
        for prefix, module in modules
        for name, part in module.named_modules(prefix=prefix)
        if isinstance(part, nn.Linear) and min(part.weight.shape) > 1
    }


def one_cycle(step: int, steps: int, warm_up: float) -> float:
    """The factor on every learning rate: up linearly over the first share `warm_up`, down along a half cosine.

    >>> one_cycle(0, 10, 0.1), round(one_cycle(6, 12, 0.0), 3)
    (1.0, 0.5)
    """
    rising = max(1, round(steps * warm_up))
    if step < rising:
        return (step + 1) / rising
    progress = (step - rising) / max(1, steps - 1 - rising)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor


def check_prefixes(key: str, prefixes: Iterable[str], modules: Iterable[tuple[str, nn.Module]]) -> None:
    """Refuse prefixes that no parameter has; raises `InputError` naming the nearest part that there is."""
    names = [name for prefix, module in modules for name, _ in module.named_parameters(prefix=prefix)]
    for prefix in prefixes:
        if not any(_under(name, (prefix,)) for name in names):
            parts = {".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2)}
            raise InputError(f"{key}: no part of the model is called {prefix!r}; {_nearest_part(prefix, parts)}")


def _nearest_part(prefix: str, parts: set[str]) -> str:
    """The nearest name of a part, or the greatest parts where none is near."""
    hint = nearest(prefix, parts)
    return hint if hint.startswith("did") else nearest(prefix, {part for part in parts if "." not in part})


def _under(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)
