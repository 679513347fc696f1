"""Who answers: anything that gives every candidate of an item a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from kept.probing.items import AnswerSpace, ProbeItem

ANSWER = "answer"
"""The route of scorers that know only one."""


@runtime_checkable
class CandidateScorer(Protocol):
    """Scores the candidates of items, by one or several routes (tokens, entity head, both behind a gate).

    Attributes:
        fingerprint: a sha256 over all that decides its answers: weights, tokenizer, vectors, switches. Never a name,
            for scores are kept under it and two models may share a name.
        routes: the names of its routes, the main one first.
    """

    @property
    def fingerprint(self) -> str: ...

    @property
    def routes(self) -> tuple[str, ...]: ...

    def score(self, items: Sequence[ProbeItem], spaces: Mapping[str, AnswerSpace]) -> Mapping[str, list[np.ndarray]]:
        """For each route one float array per item, aligned with `item.space(spaces).candidates`; higher is better.

        Items come blinded (`ProbeItem.blind`). Scores are compared within an item only, so they need no scale; a
        candidate that cannot be scored is -inf, none may be NaN.
        """
        ...
