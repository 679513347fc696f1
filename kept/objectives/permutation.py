"""Permutation language modelling: a random order in which pieces are predicted, and who may see whom under it."""

from __future__ import annotations

import torch
from torch import Tensor


def permutation_order(draws: Tensor, mask: Tensor, special: Tensor) -> Tensor:
    """(B, L) ranks 0, 1, 2, ... of each text's own pieces in a random order; -1 at specials and padding.

    Args:
        draws: (B, L) uniform numbers in [0, 1), one for each place; the piece with the least comes first.
        mask: (B, L) bool, True where a piece is real.
        special: (B, L) bool, True at pieces that are never predicted.

    Source: Yang et al. 2019, XLNet, section 2.2.

        >>> draws, all_real = torch.tensor([[0.1, 0.9, 0.3]]), torch.ones(1, 3, dtype=torch.bool)
        >>> permutation_order(draws, all_real, ~all_real).tolist()
        [[0, 2, 1]]
    """
    able = mask & ~special
    order = draws.masked_fill(~able, 2.0).argsort(dim=1, stable=True)
    return order.argsort(dim=1).masked_fill(~able, -1)


def last_in_order(rank: Tensor, share: float = 1 / 6) -> Tensor:
    """(B, L) bool, the pieces to predict: the last `share` of each text's order, at least one where there is any.

    Those before them are seen by all and predicted by none, since the first of an order are guessed from too little.

    Source: Yang et al. 2019, XLNet, section 2.3, "partial prediction" (a share of 1/K with K = 6).

        >>> last_in_order(torch.tensor([[-1, 3, 0, 1, 2]]), share=0.5).tolist()
        [[False, True, False, False, True]]
    """
    count = (rank >= 0).sum(1, keepdim=True)
    predicted = (count * share).floor().to(count.dtype).clamp(min=1)
    return (rank >= 0) & (rank >= count - predicted)


def two_stream_visibility(rank: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Who may see whom in the content stream and in the query stream: two (B, 1, L, L) bool, True = may see.

    A key j that is no target is seen by all. A target j is seen by the targets behind it in the order: the content of
    i, which is the piece itself, sees rank_j <= rank_i; the query of i, which knows the place but not the piece, sees
    rank_j < rank_i. Both streams take their keys and values from the content. Without any piece that is no target, the
    query of the first sees nothing, so specials should stay outside the order.

    Args:
        rank: (B, L) int64, the order of prediction; read at targets only.
        targets: (B, L) bool, the pieces to predict.
        mask: (B, L) bool, True where a piece is real; no one sees padding.

    Source: Yang et al. 2019, XLNet, section 2.3, equations of the two streams.

        >>> rank, real = torch.tensor([[-1, 1, 0]]), torch.ones(1, 3, dtype=torch.bool)
        >>> content, query = two_stream_visibility(rank, rank >= 0, real)
        >>> content.int().tolist(), query.int().tolist()
        ([[[[1, 0, 0], [1, 1, 1], [1, 0, 1]]]], [[[[1, 0, 0], [1, 0, 1], [1, 0, 0]]]])
    """
    rank = torch.where(targets, rank, -1)
    behind, ahead = rank[:, None, :, None], rank[:, None, None, :]
    shown, real = ~targets[:, None, None, :], mask[:, None, None, :]
    return (shown | (ahead <= behind)) & real, (shown | (ahead < behind)) & real
