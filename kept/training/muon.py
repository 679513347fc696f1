"""Muon: momentum for matrices, made orthogonal; AdamW for everything else."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor

ROUNDS = 3
"""Enough for what is above a fiftieth of the whole; two more rounds (as published) reach to a five-hundredth, and were
not seen to teach a small model anything faster."""
QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of a x + b x^3 + c x^5, which round by round takes singular values from (0, 1] to about 1."""
RMS = 0.2
"""How large AdamW's changes are, as a root mean square for a rate of 1, so that one rate suits both."""


def orthogonalised(matrices: Tensor, rounds: int = ROUNDS) -> Tensor:
    """(..., m, n) -> about U V^T of each matrix U S V^T: the same directions, all of nearly the same strength.

    A Newton-Schulz iteration; singular values end between 0.7 and 1.2.
    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks".

        >>> orthogonalised(torch.diag(torch.tensor([3.0, 0.5]))).diag().round().tolist()
        [1.0, 1.0]
    """
    a, b, c = QUINTIC
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-12)
    for _ in range(rounds):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.AdamW):
    """Groups with `orthogonal=True` hold matrices, which change by

        M <- mu M + (1 - mu) G,    W <- W - lr (0.2 sqrt(max(m, n)) O((1 - mu) G + mu M) + decay W)

    with O of `orthogonalised`; all other groups change as under AdamW. What few samples ask for, such as a fact that
    is read once an epoch, then moves a matrix as far as what all ask for.
    Source: Jordan et al. 2024; the scale after Liu et al. 2025, "Muon is scalable for LLM training", section 2.2.

        >>> weight = torch.nn.Parameter(torch.eye(2))
        >>> Muon([{"params": [weight], "orthogonal": True}], lr=0.1).param_groups[0]["momentum"]
        0.95
    """

    def __init__(self, params: Any, *, momentum: float = 0.95, **adamw: Any) -> None:
        super().__init__(params, **adamw)
        for group in self.param_groups:
            group.setdefault("orthogonal", False)
            group.setdefault("momentum", momentum)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step; a parameter without gradient stays."""
        orthogonal = [group for group in self.param_groups if group["orthogonal"]]
        gradients = {p: p.grad for group in orthogonal for p in group["params"] if p.grad is not None}
        for parameter in gradients:
            parameter.grad = None
        loss = super().step(closure)
        for parameter, gradient in gradients.items():
            parameter.grad = gradient
        for group in orthogonal:
            self._step_matrices(group)
        return loss

    def _step_matrices(self, group: dict[str, Any]) -> None:
        alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for parameter in group["params"]:
            if parameter.grad is not None:
                alike[parameter.shape].append(parameter)
        for shape, parameters in alike.items():
            changes = orthogonalised(torch.stack([self._ahead(parameter, group) for parameter in parameters]))
            scale = RMS * max(shape) ** 0.5
            for parameter, change in zip(parameters, changes, strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(change, alpha=-group["lr"] * scale)

    def _ahead(self, parameter: Tensor, group: dict[str, Any]) -> Tensor:
        """Nesterov's momentum: the gradient mixed with the mean that already holds it."""
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        if not state:
            # AdamW looks for a count of steps in every state that it loads.
            state["step"], state["mean"] = torch.zeros(()), torch.zeros_like(parameter)
        state["step"] += 1
        state["mean"].lerp_(gradient, 1 - group["momentum"])
        return gradient.lerp(state["mean"], group["momentum"])
