"""Asking a scorer: what is not in the store is scored and kept, then every answer is ranked from the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np

from kept.probing.items import AnswerSpace, ProbeItem, ProbeSet
from kept.probing.metrics import metric, rank_of
from kept.probing.scorers import CandidateScorer
from kept.probing.scores import Scores, ScoreStore, request_key
from kg.progress import progress

Element = TypeVar("Element")


@dataclass(frozen=True)
class Outcome:
    """How the items of one task came out under one route of one scorer: the raw material of figures.

    Attributes:
        ids, splits, slices, relations: (N,) str; a slice (`meta["slice"]`) or a relation is "" where an item has none.
        better, ties, candidates: (N,) int, the parts of `metrics.Rank`.
    """

    task: str
    route: str
    ids: np.ndarray
    splits: np.ndarray
    slices: np.ndarray
    relations: np.ndarray
    better: np.ndarray
    ties: np.ndarray
    candidates: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def values(self, name: str) -> np.ndarray:
        """A metric of every item, (N,) float."""
        return metric(name)(self.better, self.ties)

    def of(self, keep: np.ndarray) -> Outcome:
        """The items at which a (N,) bool is true."""
        arrays = (self.ids, self.splits, self.slices, self.relations, self.better, self.ties, self.candidates)
        return Outcome(self.task, self.route, *(array[keep] for array in arrays))


def evaluate(
    scorer: CandidateScorer, probe: ProbeSet, store: ScoreStore, *, batch: int = 256, label: str | None = None
) -> dict[str, Outcome]:
    """Score what the store lacks, `batch` items at a time, and rank everything; returns an outcome for each route.

    Raises:
        ValueError: when a scorer gives a NaN, or not one score per candidate.
    """
    fingerprint = scorer.fingerprint
    keys = [request_key(item, probe.spaces, fingerprint, probe.version) for item in probe.items]
    todo = {key: item for key, item in zip(keys, probe.items, strict=True) if key not in store}
    # Questions with the same candidates follow each other, so that a batch scores few spaces.
    todo = dict(sorted(todo.items(), key=lambda pair: pair[1].answer_space or ""))
    with progress() as display:
        bar = display.add_task(label or f"probing {probe.task}", total=len(todo))
        for chunk in chunks(todo.items(), batch):
            items = [item.blind() for _, item in chunk]
            scores = scorer.score(items, probe.spaces)
            check_scores(scores, items, probe.spaces, scorer.routes)
            store.append([key for key, _ in chunk], [item.id for item in items], scores)
            display.advance(bar, len(chunk))
    return outcomes(probe, [store[key] for key in keys], scorer.routes)


def outcomes(probe: ProbeSet, scores: Sequence[Scores], routes: Sequence[str]) -> dict[str, Outcome]:
    """Rank the gold answers; `scores` holds every item's, in order."""
    spaces = [item.space(probe.spaces) for item in probe.items]
    gold = [space.positions(item.gold) for space, item in zip(spaces, probe.items, strict=True)]
    also_true = [space.positions(item.also_true) for space, item in zip(spaces, probe.items, strict=True)]
    about = [(item.id, item.split, str(item.meta.get("slice", "")), item.relation or "") for item in probe.items]
    names = np.array(about, dtype=str).reshape(-1, 4).T
    found = {}
    for route in routes:
        ranks = [rank_of(given[route], *truth) for given, *truth in zip(scores, gold, also_true, strict=True)]
        columns = np.array(ranks, dtype=np.int64).reshape(-1, 3).T
        found[route] = Outcome(probe.task, route, *names, *columns)
    return found


def check_scores(
    scores: Mapping[str, Sequence[np.ndarray]],
    items: Sequence[ProbeItem],
    spaces: Mapping[str, AnswerSpace],
    routes: Sequence[str],
) -> None:
    """Refuse what a scorer must not give, naming route and item."""
    if set(scores) != set(routes):
        raise ValueError(f"the scorer promised the routes {sorted(routes)} and gave {sorted(scores)}")
    for route, arrays in scores.items():
        for item, array in zip(items, arrays, strict=True):
            if np.shape(array) != (len(item.space(spaces).candidates),):
                raise ValueError(f"route {route!r}: {item.id} has {np.shape(array)} scores for its candidates")
            if np.isnan(array).any():
                raise ValueError(f"route {route!r}: a score of {item.id} is NaN")


def chunks(elements: Iterable[Element], size: int) -> Iterator[list[Element]]:
    """Lists of at most `size` elements."""
    stream = iter(elements)
    while chunk := list(islice(stream, size)):
        yield chunk
