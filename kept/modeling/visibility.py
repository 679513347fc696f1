"""Who may see whom: boolean tensors (B or 1, H or 1, Lq, Lk) beside the streams, True where a query sees a key."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from kept.modeling.streams import Streams


def padding(mask: Tensor) -> Tensor:
    """Every query sees every real key; (B, L) -> (B, 1, 1, L).

    A row without any real key sees all of them instead, since a softmax over nothing is no number.

        >>> padding(torch.tensor([[True, False]])).squeeze().tolist()
        [True, False]
    """
    return never_empty(mask[:, None, None, :])


def never_empty(visible: Tensor) -> Tensor:
    """The same, but a query that sees nothing sees everything: for a softmax whose result is then left out."""
    return visible | ~visible.any(dim=-1, keepdim=True)


def between(streams: Streams, visible: Tensor | None, query: str, keys: Sequence[str]) -> Tensor:
    """Which real states of the streams `keys`, end to end, the states of `query` see; (B, H or 1, Lq or 1, Lk).

    `visible` broadcasts to (B, H, L, L) over all streams end to end.
    """
    mask = torch.cat([streams[name].mask for name in keys], dim=1)[:, None, None, :]
    if visible is None:
        return mask
    starts = dict(zip(streams, itertools.accumulate((s.length for s in streams.values()), initial=0), strict=False))
    total = sum(stream.length for stream in streams.values())
    whole = visible.expand(-1, -1, total, total)
    rows = whole.narrow(2, starts[query], streams[query].length)
    return mask & torch.cat([rows.narrow(3, starts[name], streams[name].length) for name in keys], dim=-1)


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
