"""Decoding: the likeliest or a sampled continuation under any function that scores the next piece."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

Step = Callable[[Tensor, Tensor], Tensor]
"""`step(prefixes (n, t) int64, rows (n,) int64) -> (n, V)` log-probabilities of the next piece.

`rows` says which row of `start` a prefix continues, so that the step can look up the picture or text it is about.
"""


class Hypothesis(NamedTuple):
    """One continuation.

    Args:
        ids: the pieces behind the start, the end piece excluded.
        log_probability: the sum over `ids` and, where it ended, the end piece.
        score: what hypotheses are ordered by.
        ended: False where it was cut at the maximal length.
    """

    ids: list[int]
    log_probability: float
    score: float
    ended: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """What a continuation must keep to, whatever the model says.

    Args:
        end_id: the piece that ends a continuation.
        max_length: the most pieces behind the start, the end piece included.
        min_length: the fewest pieces before the end piece.
        no_repeat: no run of so many pieces occurs twice, the start included; 0 for no such rule.

    A continuation that every rule forbids to go on ends, even before `min_length`.
    """

    end_id: int
    max_length: int
    min_length: int = 0
    no_repeat: int = 0

    def __post_init__(self) -> None:
        if self.max_length < 1 or not 0 <= self.min_length < self.max_length or self.no_repeat < 0:
            raise ValueError(f"no continuation can keep to {self}")

    def apply(self, prefixes: Tensor, log_probabilities: Tensor, made: int) -> Tensor:
        """-inf at the pieces that may not follow `prefixes` (n, t), `made` of whose pieces stand behind the start."""
        allowed = log_probabilities.float().clone()
        if made < self.min_length:
            allowed[:, self.end_id] = -torch.inf
        if 0 < self.no_repeat <= prefixes.shape[1]:
            runs = prefixes.unfold(1, self.no_repeat, 1)
            begun = prefixes[:, prefixes.shape[1] - self.no_repeat + 1 :]
            row, at = (runs[..., :-1] == begun[:, None]).all(-1).nonzero(as_tuple=True)
            allowed[row, runs[row, at, -1]] = -torch.inf
        stuck = ~(allowed > -torch.inf).any(1)
        allowed[stuck, self.end_id] = log_probabilities[stuck, self.end_id].float().clamp(min=-1e4)
        return allowed


@torch.no_grad()
def greedy(
    step: Step, start: Tensor, *, end_id: int, max_length: int, min_length: int = 0, no_repeat: int = 0
) -> list[Hypothesis]:
    """The likeliest piece at each step, for each row of `start` (B, t0); see `Limits` for the rules.

    >>> table = torch.tensor([[0.1, 0.9, 0.0], [0.2, 0.1, 0.7], [0.0, 0.0, 1.0]]).log()
    >>> greedy(lambda prefixes, rows: table[prefixes[:, -1]], torch.tensor([[0]]), end_id=2, max_length=5)[0].ids
    [1]
    """
    limits = Limits(end_id, max_length, min_length, no_repeat)
    return _one_each(step, start, limits, lambda allowed, rows, made: allowed.argmax(1))


@torch.no_grad()
def nucleus(
    step: Step,
    start: Tensor,
    *,
    end_id: int,
    draws: Tensor,
    p: float = 0.9,
    temperature: float = 1.0,
    min_length: int = 0,
    no_repeat: int = 0,
) -> list[Hypothesis]:
    """Sample each piece from the fewest likeliest ones that hold `p` of the probability, for each row of `start`.

    Args:
        draws: (B, T) uniform numbers in [0, 1), T the maximal length; keyed noise makes a sample belong to its record.
        p: in (0, 1].
        temperature: what the log-probabilities are divided by, before the nucleus is found.

    `log_probability` is the model's own, at temperature 1.
    Source: Holtzman et al. 2020, "The curious case of neural text degeneration", section 3.1.

        >>> table, draws = torch.tensor([[0.5, 0.4, 0.1]]).log(), torch.tensor([[0.4, 0.6]])
        >>> nucleus(lambda prefixes, rows: table, torch.tensor([[0]]), end_id=2, draws=draws, p=0.8)[0].ids
        [0, 1]
    """
    if not 0 < p <= 1 or temperature <= 0:
        raise ValueError(f"p {p} must be in (0, 1] and the temperature {temperature} positive")
    limits = Limits(end_id, draws.shape[1], min_length, no_repeat)

    def choose(allowed: Tensor, rows: Tensor, made: int) -> Tensor:
        likely, order = (allowed.double() / temperature).softmax(1).sort(dim=1, descending=True, stable=True)
        outside = likely.cumsum(1) - likely >= p
        up_to = likely.masked_fill(outside, 0.0).cumsum(1)
        drawn = torch.searchsorted(up_to, draws[rows, made, None].double() * up_to[:, -1:], right=True)
        return order.gather(1, drawn.clamp(max=order.shape[1] - 1)).squeeze(1)

    return _one_each(step, start, limits, choose)


def _one_each(
    step: Step, start: Tensor, limits: Limits, choose: Callable[[Tensor, Tensor, int], Tensor]
) -> list[Hypothesis]:
    """Continue every row by the piece that `choose(allowed (n, V), rows (n,), pieces made)` names."""
    rows, prefixes, total = (
        torch.arange(len(start), device=start.device),
        start,
        torch.zeros(len(start), device=start.device),
    )
    done: dict[int, Hypothesis] = {}
    for made in range(limits.max_length):
        if not len(rows):
            break
        allowed = limits.apply(prefixes, step(prefixes, rows), made)
        chosen = choose(allowed, rows, made)
        total = total + allowed.gather(1, chosen[:, None]).squeeze(1)
        ends = chosen == limits.end_id
        for row, ids, sum_ in _listed(ends, rows, prefixes, total):
            done[row] = Hypothesis(ids[start.shape[1] :], sum_, sum_, True)
        prefixes = torch.cat([prefixes, chosen[:, None]], dim=1)[~ends]
        rows, total = rows[~ends], total[~ends]
    for row, ids, sum_ in _listed(torch.ones_like(rows, dtype=torch.bool), rows, prefixes, total):
        done[row] = Hypothesis(ids[start.shape[1] :], sum_, sum_, False)
    return [done[row] for row in range(len(start))]


@torch.no_grad()
def beam_search(
    step: Step,
    start: Tensor,
    *,
    end_id: int,
    max_length: int,
    beams: int = 4,
    length_penalty: float = 1.0,
    min_length: int = 0,
    no_repeat: int = 0,
) -> list[list[Hypothesis]]:
    """For each row of `start` (B, t0) the finished hypotheses, best first, at most `beams` and at least one.

        score = log p / length ** length_penalty,  length counting the end piece

    A hypothesis that ends leaves its place in the beam, which is then narrower by one: one beam is greedy decoding, and
    a beam as wide as the language finds the best continuation. What is still open at `max_length` counts as it is.

    Source: Sutskever et al. 2014, "Sequence to sequence learning with neural networks", section 3.2.

        >>> table = torch.tensor([[0.1, 0.9, 0.0], [0.2, 0.1, 0.7], [0.0, 0.0, 1.0]]).log()
        >>> def step(prefixes, rows): return table[prefixes[:, -1]]
        >>> [found.ids for found in beam_search(step, torch.tensor([[0]]), end_id=2, max_length=3, beams=2)[0]]
        [[1], [1, 0, 1]]
    """
    if beams < 1:
        raise ValueError(f"{beams} beams")
    limits, size = Limits(end_id, max_length, min_length, no_repeat), len(start)
    done: list[list[Hypothesis]] = [[] for _ in range(size)]

    def finish(chosen: Tensor, rows: Tensor, prefixes: Tensor, total: Tensor, length: int, ended: bool) -> None:
        for row, ids, sum_ in _listed(chosen, rows, prefixes, total):
            done[row].append(Hypothesis(ids[start.shape[1] :], sum_, sum_ / length**length_penalty, ended))

    rows, prefixes, total = torch.arange(size, device=start.device), start, torch.zeros(size, device=start.device)
    room = torch.full((size,), beams, device=start.device)
    for made in range(max_length):
        if not len(rows):
            break
        allowed = limits.apply(prefixes, step(prefixes, rows), made)
        vocabulary = allowed.shape[1]
        # Hypotheses of one row stand together: give each its slot, so that a row's candidates lie side by side.
        slot = torch.arange(len(rows), device=rows.device) - torch.searchsorted(rows, rows)
        candidates = allowed.new_full((size, int(slot.max()) + 1, vocabulary), -torch.inf)
        candidates[rows, slot] = total[:, None] + allowed
        held = torch.full(candidates.shape[:2], -1, device=rows.device)
        held[rows, slot] = torch.arange(len(rows), device=rows.device)
        best, at = candidates.flatten(1).topk(min(beams, candidates.shape[1] * vocabulary), dim=1)
        keep = (best > -torch.inf) & (torch.arange(best.shape[1], device=rows.device) < room[:, None])
        parent, piece = held.gather(1, at // vocabulary)[keep], (at % vocabulary)[keep]
        rows, prefixes, total = rows[parent], prefixes[parent], best[keep]
        ends = piece == end_id
        finish(ends, rows, prefixes, total, made + 1, ended=True)
        room = room - torch.bincount(rows[ends], minlength=size)
        prefixes = torch.cat([prefixes, piece[:, None]], dim=1)[~ends]
        rows, total = rows[~ends], total[~ends]
    finish(torch.ones_like(rows, dtype=torch.bool), rows, prefixes, total, max_length, ended=False)
    return [sorted(found, key=lambda one: -one.score) for found in done]


def _listed(chosen: Tensor, rows: Tensor, prefixes: Tensor, total: Tensor) -> list[tuple[int, list[int], float]]:
    return list(zip(rows[chosen].tolist(), prefixes[chosen].tolist(), total[chosen].tolist(), strict=True))
