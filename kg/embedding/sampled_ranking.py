"""Ranking against a few sampled entities, which flatters: figures from here are never those of `rank`."""

from __future__ import annotations

import numpy as np
import torch

from kg.embedding.answers import AnswerIndex
from kg.embedding.ranking import HEAD, TAIL, Ranks, as_queries
from kg.embedding.scorers import Scorer
from kg.errors import InputError


@torch.no_grad()
def rank_against_sample(
    model: Scorer, test: np.ndarray, known: np.ndarray, *, negatives: int = 50, seed: int = 0
) -> Ranks:
    """Rank each true answer among `negatives` random entities that are no known answers, both sides.

    What inductive link prediction is often reported with (Teru et al. 2020, GraIL: 50 negatives). Hits@10 of 51
    candidates says little of a rank among thousands, so say "sampled" beside such a figure.

    Args:
        model, test, known: as for `rank`.
        negatives: entities drawn for each side of each fact, with replacement.
        seed: of the draws.

        >>> from kg.embedding.scorers import ComplEx
        >>> facts = np.array([[0, 0, 1], [1, 0, 2]])
        >>> rank_against_sample(ComplEx(9, 1, dim=4), facts, facts, negatives=5).candidates.tolist()
        [[6, 6], [6, 6]]
    """
    if not len(test):
        raise InputError("test: there are no facts to rank")
    model.eval()
    states = model.states()
    generator = np.random.default_rng(seed)
    known = np.concatenate([known, test])
    ranks = np.empty((2, len(test), 2), np.int64)
    for side in (HEAD, TAIL):
        asked, answers = as_queries(test, side, model.num_relations)
        index = AnswerIndex.build(*as_queries(known, side, model.num_relations))
        drawn = draw_others(asked, index, model.num_entities, negatives, generator)
        device = states.entities.device
        candidates = torch.as_tensor(np.concatenate([answers[:, None], drawn], 1), device=device)
        head, relation = torch.as_tensor(asked, device=device).unbind(1)
        queries = model.queries(head, relation, states)
        scores = model.match(queries[:, None, :], states.entities[candidates])
        own, others = scores[:, :1], scores[:, 1:]
        ranks[0, :, side] = 1 + (others > own).sum(1).cpu().numpy()
        ranks[1, :, side] = 1 + (others >= own).sum(1).cpu().numpy()
    return Ranks(test, ranks[0], ranks[1], np.full((len(test), 2), negatives + 1))


def draw_others(
    asked: np.ndarray, index: AnswerIndex, num_entities: int, count: int, generator: np.random.Generator
) -> np.ndarray:
    """(Q, count) entities that answer none of (Q, 2) queries; where all entities do, whatever was drawn."""
    drawn = generator.integers(0, num_entities, (len(asked), count))
    rows, answers = index.pairs(asked)
    keys = np.unique(rows * num_entities + answers)
    for _ in range(100):
        again = np.isin(np.arange(len(asked))[:, None] * num_entities + drawn, keys)
        if not again.any():
            break
        drawn[again] = generator.integers(0, num_entities, int(again.sum()))
    return drawn
