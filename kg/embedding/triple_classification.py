"""Is a triple true? Thresholds on scores, chosen on validation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from kg.embedding.scorers import Scorer
from kg.errors import InputError

BATCH = 4096


@dataclass(frozen=True)
class TripleClassifier:
    """Says which triples are true: those that score at least the threshold of their relation.

    Source: Socher et al. 2013, section 4.2; Safavi & Koutra 2020 (CoDEx), section 6.

    Attributes:
        model: a scorer.
        thresholds: (R,) chosen for the best accuracy on each relation's validation triples; a relation without any has
            the one that is best over all.
    """

    model: Scorer
    thresholds: np.ndarray

    @classmethod
    def fit(cls, model: Scorer, true: np.ndarray, false: np.ndarray) -> TripleClassifier:
        """Choose thresholds on (T, 3) true and (F, 3) false validation triples.

        >>> from kg.embedding.scorers import DistMult
        >>> facts = np.array([[0, 0, 1], [1, 0, 2]])
        >>> TripleClassifier.fit(DistMult(4, 2, dim=4), facts, facts[:, ::-1]).thresholds.shape
        (2,)
        """
        if not len(true) or not len(false):
            raise InputError("valid: thresholds need true and false triples")
        triples = np.concatenate([true, false])
        labels = np.arange(len(triples)) < len(true)
        scores = plausibility(model, triples)
        thresholds = np.full(model.num_relations, best_threshold(scores, labels))
        for relation in np.unique(triples[:, 1]):
            rows = triples[:, 1] == relation
            thresholds[relation] = best_threshold(scores[rows], labels[rows])
        return cls(model, thresholds)

    def predict(self, triples: np.ndarray) -> np.ndarray:
        """(T, 3) -> (T,) true or false."""
        predicted: np.ndarray = plausibility(self.model, triples) >= self.thresholds[triples[:, 1]]
        return predicted

    def evaluate(self, true: np.ndarray, false: np.ndarray) -> dict[str, float]:
        """`accuracy`, and `f1` of the true ones, on (T, 3) true and (F, 3) false triples."""
        hits, alarms = self.predict(true), self.predict(false)
        right = hits.sum() + (~alarms).sum()
        f1 = 2 * hits.sum() / max(1, 2 * hits.sum() + (~hits).sum() + alarms.sum())
        return {"accuracy": float(right / (len(true) + len(false))), "f1": float(f1)}


@torch.no_grad()
def plausibility(model: Scorer, triples: np.ndarray) -> np.ndarray:
    """(T, 3) -> (T,) the mean of a triple's score and that of its inverse."""
    model.eval()
    states = model.states()
    parts = []
    for start in range(0, len(triples), BATCH):
        some = torch.as_tensor(triples[start : start + BATCH].astype(np.int64), device=states.entities.device)
        head, relation, tail = some.unbind(1)
        both = model.score(head, relation, tail, states) + model.score(tail, model.inverse(relation), head, states)
        parts.append(both / 2)
    return torch.cat(parts).cpu().numpy()


def best_threshold(scores: np.ndarray, labels: np.ndarray) -> float:
    """The threshold with the most labels right, in the middle between two scores.

    >>> best_threshold(np.array([1.0, 2.0, 4.0, 0.0]), np.array([False, True, True, False]))
    1.5
    """
    order = np.argsort(scores, kind="stable")
    ordered, truth = scores[order], labels[order]
    # With the lowest k called false: the true ones above and the false ones below are right.
    right = np.concatenate([[0], np.cumsum(~truth)]) + truth.sum() - np.concatenate([[0], np.cumsum(truth)])
    possible = np.concatenate([[True], ordered[1:] != ordered[:-1], [True]])
    cut = int(np.argmax(np.where(possible, right, -1)))
    if cut == 0:
        return float(ordered[0])
    if cut == len(ordered):
        return float(np.nextafter(ordered[-1], np.inf))
    return float((ordered[cut - 1] + ordered[cut]) / 2)
