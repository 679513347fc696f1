"""Training modes and sources of negatives."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

import torch

from kg.embedding import FitConfig
from kg.embedding.build import build_mode, build_scorer
from kg.embedding.modes import NegativeSampling, OneVsAll
from kg.embedding.negatives import NEGATIVES, KnownFacts
from kg.embedding.states import with_inverses
from tests.kg.embedding.contract import ENTITIES, RELATIONS, ModeContract, NegativesContract, random_facts


class TestOneVsAll(ModeContract):
    member = "1vsall"


class TestNegativeSampling(ModeContract):
    member = "negatives"
    settings: ClassVar[dict[str, Any]] = {"negatives": 16, "margin": 0.0}


class TestUniform(NegativesContract):
    member = "uniform"


class TestDegree(NegativesContract):
    member = "degree"


def both_directions() -> torch.Tensor:
    return with_inverses(torch.as_tensor(random_facts()), RELATIONS)


def test_grouped_queries_hold_every_fact_once() -> None:
    facts = both_directions()
    mode = OneVsAll(facts, ENTITIES, FitConfig(batch=5))
    seen = Counter(
        (batch.heads[row].item(), batch.relations[row].item(), tail.item())
        for batch in mode.batches(torch.Generator().manual_seed(0))
        for row, tail in zip(batch.rows, batch.tails, strict=True)
    )
    assert seen == Counter(map(tuple, facts.tolist()))


def test_grouping_leaves_the_objective_as_it_is() -> None:
    facts = both_directions()
    config = FitConfig(batch=len(facts), n3=0.1, dim=8)
    scorer = build_scorer(config, ENTITIES, RELATIONS, random_facts())
    mode = OneVsAll(facts, ENTITIES, config)
    (batch,) = mode.batches(torch.Generator().manual_seed(0))
    head, relation, tail = facts.unbind(1)
    cross_entropy = torch.nn.functional.cross_entropy(scorer.score_tails(head, relation), tail)
    factors = scorer.entities[head], scorer.relations[relation], scorer.entities[tail]
    penalty = sum((scorer.moduli(factor) ** 3).sum() for factor in factors) / len(facts)
    torch.testing.assert_close(mode.loss(scorer, scorer.states(), batch), cross_entropy + 0.1 * penalty)


def test_each_fact_is_sampled_once_and_false_negatives_are_marked() -> None:
    facts = both_directions()
    mode = NegativeSampling(facts, ENTITIES, FitConfig(batch=7, negatives=20))
    known = set(map(tuple, facts.tolist()))
    seen: list[tuple[int, ...]] = []
    for batch in mode.batches(torch.Generator().manual_seed(0)):
        seen += map(tuple, batch.facts.tolist())
        for (head, relation, _), tails, marks in zip(
            batch.facts.tolist(), batch.tails.tolist(), batch.is_known.tolist(), strict=True
        ):
            assert marks == [(head, relation, tail) in known for tail in tails]
    assert Counter(seen) == Counter(known)


def test_marked_negatives_do_not_matter() -> None:
    facts = both_directions()
    config = FitConfig(scorer="transe", batch=len(facts), negatives=4, dim=8)
    scorer = build_scorer(config, ENTITIES, RELATIONS, random_facts())
    mode = build_mode(config, random_facts(), ENTITIES, RELATIONS)
    (batch,) = mode.batches(torch.Generator().manual_seed(0))
    marked = batch._replace(is_known=torch.ones_like(batch.is_known))
    other = marked._replace(tails=torch.zeros_like(batch.tails))
    assert mode.loss(scorer, scorer.states(), marked) == mode.loss(scorer, scorer.states(), other)


def test_the_gradient_of_negative_sampling_is_sparse() -> None:
    config = FitConfig(scorer="transe", batch=2, negatives=3, dim=8)
    scorer = build_scorer(config, ENTITIES, RELATIONS, random_facts())
    mode = build_mode(config, random_facts(), ENTITIES, RELATIONS)
    mode.loss(scorer, scorer.states(), next(iter(mode.batches(torch.Generator().manual_seed(0))))).backward()
    assert scorer.entities.grad is not None
    assert scorer.entities.grad.is_sparse


def test_degree_negatives_follow_the_degree() -> None:
    facts = torch.tensor([[0, 0, 1]] * 16 + [[0, 0, 2]])
    draws = NEGATIVES["degree"](facts, 4).draw(facts[:1], 20_000, torch.Generator().manual_seed(0))
    counts = torch.bincount(draws[0], minlength=4)
    assert counts[0] == counts[3] == 0
    assert abs(counts[1] / counts[2] - 16**0.75) < 0.5


def test_known_facts_are_found_and_others_are_not() -> None:
    facts = both_directions()
    known = KnownFacts(facts, ENTITIES)
    truth = set(map(tuple, facts.tolist()))
    tails = torch.arange(ENTITIES).expand(len(facts), -1)
    expected = [[(h, r, t) in truth for t in range(ENTITIES)] for h, r, _ in facts.tolist()]
    assert known.contains(facts, tails).tolist() == expected
