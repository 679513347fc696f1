"""Spans of words: chosen at random up to a share of a text, and each replaced by one [MASK]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from kept.data.batch import Text

NO_SPAN = -1


def geometric_lengths(p: float = 0.2, longest: int = 10) -> Tensor:
    """(longest,) probabilities of 1, 2, ... words: p (1 - p)^(n - 1), cut at `longest` and normalised.

    Source: Joshi et al. 2020, SpanBERT, section 3.1 (a mean of 3.8 words).

        >>> lengths = geometric_lengths()
        >>> round(float((lengths * torch.arange(1, 11)).sum()), 1)
        3.8
    """
    return _normalised((1 - p) ** torch.arange(longest, dtype=torch.float64))


def poisson_lengths(mean: float = 3.0, longest: int = 12) -> Tensor:
    """(longest,) probabilities of 1, 2, ... words: mean^n / n!, cut at `longest` and normalised.

    A span of no word, where BART inserts a [MASK], is left out.
    Source: Lewis et al. 2020, BART, section 2.2 (text infilling, mean 3).

        >>> [round(float(p), 2) for p in poisson_lengths()[:3]]
        [0.16, 0.24, 0.24]
    """
    n = torch.arange(1, longest + 1, dtype=torch.float64)
    return _normalised((n * torch.tensor(mean, dtype=torch.float64).log() - torch.lgamma(n + 1)).exp())


def span_words(text: Text, able: Tensor, draws: Tensor, lengths: Tensor, ratio: float, *, at_least: int = 0) -> Tensor:
    """Choose spans of whole words until `ratio` of them are taken: (B, L) int64 span numbers, NO_SPAN outside.

    Each span draws its length, cut to what is left of the budget, and then its start among all places where that many
    words stand side by side and free; where there is none it is skipped. Spans never overlap but may touch, and none
    crosses a special. The budget is `ratio` of the able words, rounded.

    Args:
        text: the word pieces.
        able: (B, L) bool, True at pieces that may be taken; a word needs all its pieces.
        draws: (B, K) uniform numbers in [0, 1), two for each span to try; K bounds the number of spans.
        lengths: probabilities of 1, 2, ... words, from `geometric_lengths` or `poisson_lengths`.
        ratio: the share of words to take.
        at_least: take so many words of every text that has as many.

    Source: Joshi et al. 2020, SpanBERT, section 3.1.

        >>> words = torch.tensor([[-1, 0, 1, 1, 2, -1]])
        >>> text = Text(words, words >= -1, words < 0, words)
        >>> span_words(text, words >= 0, torch.tensor([[0.0, 0.5]]), torch.tensor([1.0]), 0.3).tolist()
        [[-1, -1, 0, 0, -1, -1]]
    """
    real = text.mask & ~text.special
    width = max(int(text.words.max()), 0) + 1 if text.words.numel() else 1
    pieces, allowed = _per_word(text, real, width), _per_word(text, real & able, width)
    first, last = _ends(text, real, width)
    before = _running(pieces)
    free = (pieces > 0) & (pieces == allowed)
    words = free.sum(1)
    budget = torch.minimum((words * ratio).round().to(words.dtype).clamp(min=at_least), words)
    longer = lengths.to(draws.device, torch.float64).cumsum(0)[:-1]
    word = torch.arange(width, device=able.device).expand_as(free)
    span = torch.full_like(word, NO_SPAN)
    for number in range(draws.shape[1] // 2):
        if not budget.any():
            break
        how_long, where = draws[:, 2 * number : 2 * number + 2].double().unbind(1)
        length = torch.minimum(torch.searchsorted(longer, how_long.contiguous(), right=True) + 1, budget)[:, None]
        end = (word + length - 1).clamp(min=0, max=width - 1)
        blocked = _running(~free)
        starts = (length > 0) & (word + length <= width) & (blocked.gather(1, end + 1) == blocked[:, :-1])
        # Words side by side: as many pieces as places from the first to the last.
        starts &= before.gather(1, end + 1) - before[:, :-1] == last.gather(1, end) - first + 1
        nth = (where * starts.sum(1)).long()[:, None]
        start = (starts.cumsum(1) <= nth).sum(1, keepdim=True)
        taken = starts.any(1, keepdim=True) & (word >= start) & (word < start + length)
        span = torch.where(taken, number, span)
        free &= ~taken
        budget = budget - taken.sum(1)
    return torch.where(text.words >= 0, span.gather(1, text.words.clamp(min=0)), NO_SPAN)


def infill(text: Text, spans: Tensor, mask_id: int) -> tuple[Text, Tensor]:
    """Put one [MASK] for each span, whatever its length, and close the gaps: the text and (B, L') where it came from.

    The [MASK] keeps the place and the word of the span's first piece. The second result holds the original place of
    every piece, -1 in the padding.

    Args:
        text: the word pieces.
        spans: (B, L) int64, equal along a span, NO_SPAN outside, as from `span_words`.
        mask_id: the id of [MASK].

    Raises:
        ValueError: if a span covers a special or padding.

    Source: Lewis et al. 2020, BART, section 2.2 (text infilling); Xia et al. 2021, XGPT (image-conditioned denoising).

        >>> ids = torch.tensor([[2, 7, 8, 9, 3]])
        >>> text = Text(ids, ids > 0, ids < 5, torch.tensor([[-1, 0, 1, 2, -1]]))
        >>> infill(text, torch.tensor([[-1, 0, 0, -1, -1]]), 4)[0].ids.tolist()
        [[2, 4, 9, 3]]
    """
    within = spans != NO_SPAN
    if bool((within & (text.special | ~text.mask)).any()):
        raise ValueError("a span covers a special or padding")
    begins = within.clone()
    begins[:, 1:] &= spans[:, 1:] != spans[:, :-1]
    keep = text.mask & (~within | begins)
    order = torch.argsort((~keep).to(torch.uint8), dim=1, stable=True)
    order = order[:, : int(keep.sum(1).max()) if len(keep) else 0]
    mask = keep.gather(1, order)
    shorter = Text(
        ids=torch.where(within, mask_id, text.ids).gather(1, order).masked_fill(~mask, 0),
        mask=mask,
        special=text.special.gather(1, order) | ~mask,
        words=text.words.gather(1, order).masked_fill(~mask, -1),
    )
    return shorter, order.masked_fill(~mask, -1)


def _normalised(weights: Tensor) -> Tensor:
    return weights / weights.sum()


def _per_word(text: Text, chosen: Tensor, width: int) -> Tensor:
    """(B, width): how many chosen pieces each word has."""
    counts = torch.zeros(len(chosen), width, dtype=torch.int64, device=chosen.device)
    return counts.scatter_add(1, text.words.clamp(min=0), chosen.long())


def _ends(text: Text, real: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """(B, width) twice: the places of each word's first and last piece."""
    place = torch.arange(real.shape[1], device=real.device).expand_as(real)
    words, out = text.words.clamp(min=0), torch.zeros(len(real), width, dtype=torch.int64, device=real.device)
    first = (out + real.shape[1]).scatter_reduce(1, words, torch.where(real, place, real.shape[1]), "amin")
    return first, (out - 1).scatter_reduce(1, words, torch.where(real, place, -1), "amax")


def _running(values: Tensor) -> Tensor:
    """(B, L) -> (B, L + 1), the sums of what stands before each place."""
    return F.pad(values.long().cumsum(1), (1, 0))
