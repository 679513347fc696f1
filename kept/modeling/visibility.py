"""Who may see whom: boolean tensors (B or 1, H or 1, Lq, Lk) beside the streams, True where a query sees a key."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def padding(mask: Tensor) -> Tensor:
    """Every query sees every real key; (B, L) -> (B, 1, 1, L).

    A row without any real key sees all of them instead, since a softmax over nothing is no number.

        >>> padding(torch.tensor([[True, False]])).squeeze().tolist()
        [True, False]
    """
    visible = mask | ~mask.any(dim=1, keepdim=True)
    return visible[:, None, None, :]


def causal(length: int, device: torch.device | None = None) -> Tensor:
    """Query q sees keys k <= q; (1, 1, L, L)."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()[None, None]


def prefix(prefix_length: Tensor, length: int) -> Tensor:
    """Both directions inside the prefix, causal after it: k < P or k <= q; (B,) -> (B, 1, L, L).

    Source: Wang et al. 2022, SimVLM, section 3.1.
    """
    inside = torch.arange(length, device=prefix_length.device)[None, :] < prefix_length[:, None]
    return inside[:, None, None, :] | causal(length, prefix_length.device)


def both(*visible: Tensor | None) -> Tensor | None:
    """The conjunction of several visibilities; None stands for no restriction."""
    given: Sequence[Tensor] = [one for one in visible if one is not None]
    if not given:
        return None
    result = given[0]
    for other in given[1:]:
        result = result & other
    return result
