"""Training modes and sources of negatives."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any, ClassVar

import pytest
import torch

from kg.embedding import FitConfig
from kg.embedding.build import build_mode, build_scorer
from kg.embedding.modes import NegativeSampling, OneVsAll
from kg.embedding.negatives import NEGATIVES, KnownFacts
from kg.embedding.states import with_inverses
from kg.errors import InputError
from tests.kg.embedding.contract import ENTITIES, RELATIONS, ModeContract, NegativesContract, random_facts


class TestOneVsAll(ModeContract):
    member = "1vsall"


class TestNegativeSampling(ModeContract):
    member = "negatives"
    settings: ClassVar[dict[str, Any]] = {"negatives": 16, "margin": 0.0}


class TestNegativeSamplingByMargin(TestNegativeSampling):
    settings: ClassVar[dict[str, Any]] = {"negatives": 16, "margin": 2.0, "loss": "margin"}


class TestNegativeSamplingBySoftmax(TestNegativeSampling):
    settings: ClassVar[dict[str, Any]] = {"negatives": 16, "loss": "softmax"}


class TestKVsAll(ModeContract):
    member = "kvsall"


class TestKVsAllBySoftmax(TestKVsAll):
    settings: ClassVar[dict[str, Any]] = {"loss": "softmax"}


class TestSampledSoftmax(ModeContract):
    member = "sampled"
    settings: ClassVar[dict[str, Any]] = {"shared": 32, "sampler": "degree"}


class TestInBatch(ModeContract):
    member = "in-batch"
    settings: ClassVar[dict[str, Any]] = {"temperature": 0.1, "margin": 0.0, "earlier": 2}


class TestUniform(NegativesContract):
    member = "uniform"


class TestDegree(NegativesContract):
    member = "degree"


class TestBernoulli(NegativesContract):
    member = "bernoulli"


class TestTyped(NegativesContract):
    member = "typed"


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


def test_each_query_counts_once_in_kvsall() -> None:
    facts = both_directions()
    config = FitConfig(mode="kvsall", loss="softmax", batch=len(facts), dim=8, n3=0.0)
    scorer = build_scorer(config, ENTITIES, RELATIONS, random_facts())
    mode = build_mode(config, random_facts(), ENTITIES, RELATIONS)
    (batch,) = mode.batches(torch.Generator().manual_seed(0))
    queries = torch.unique(facts[:, :2], dim=0)
    target = torch.zeros(len(queries), ENTITIES)
    for row, query in enumerate(queries):
        answers = facts[(facts[:, :2] == query).all(1), 2]
        target[row, answers] = 1 / len(answers)
    scores = scorer.score_tails(queries[:, 0], queries[:, 1])
    expected = torch.nn.functional.cross_entropy(scores, target, reduction="sum") / len(facts)
    torch.testing.assert_close(mode.loss(scorer, scorer.states(), batch), expected)


def test_a_sampled_softmax_estimates_the_full_one() -> None:
    facts = random_facts()
    config = FitConfig(mode="sampled", sampler="degree", shared=4000, batch=1000, dim=8, n3=0.0)
    scorer = build_scorer(config, ENTITIES, RELATIONS, facts)
    both = both_directions()
    answers = (both[:, None, :2] == both[None, :, :2]).all(2)
    scores = scorer.score_tails(both[:, 0], both[:, 1]).detach()
    losses = []
    for row, fact in enumerate(both):  # other answers are taken out of the full softmax too
        others = both[answers[row], 2]
        kept = torch.ones(ENTITIES, dtype=torch.bool)
        kept[others] = False
        kept[fact[2]] = True
        kept &= torch.bincount(both[:, 2], minlength=ENTITIES) > 0
        losses.append(scores[row][kept].logsumexp(0) - scores[row, fact[2]])
    mode = build_mode(config, facts, ENTITIES, RELATIONS)
    (batch,) = mode.batches(torch.Generator().manual_seed(0))
    loss = mode.loss(scorer, scorer.states(), batch)
    torch.testing.assert_close(loss, torch.stack(losses).mean(), rtol=0.02, atol=0.0)


def test_the_gradient_of_a_sampled_softmax_is_sparse() -> None:
    config = FitConfig(mode="sampled", batch=2, shared=2, dim=8)
    scorer = build_scorer(config, ENTITIES, RELATIONS, random_facts())
    mode = build_mode(config, random_facts(), ENTITIES, RELATIONS)
    mode.loss(scorer, scorer.states(), next(iter(mode.batches(torch.Generator().manual_seed(0))))).backward()
    assert scorer.entities.grad is not None
    assert scorer.entities.grad.is_sparse


def test_drawn_entities_that_are_true_are_marked() -> None:
    facts = both_directions()
    config = FitConfig(mode="sampled", batch=7, shared=20)
    mode = build_mode(config, random_facts(), ENTITIES, RELATIONS)
    known = set(map(tuple, facts.tolist()))
    for batch in mode.batches(torch.Generator().manual_seed(0)):
        marked = set(zip(batch.rows.tolist(), batch.columns.tolist(), strict=True))
        for row, (head, relation, _) in enumerate(batch.facts.tolist()):
            for column, candidate in enumerate(batch.candidates.tolist()):
                assert ((row, column) in marked) == ((head, relation, candidate) in known)


def test_a_shared_sample_cannot_look_at_each_fact() -> None:
    with pytest.raises(InputError, match="sampler: typed looks at each fact"):
        build_mode(FitConfig(mode="sampled", sampler="typed"), random_facts(), ENTITIES, RELATIONS)


def test_candidates_in_the_batch_that_are_true_are_marked() -> None:
    facts = both_directions()
    known = set(map(tuple, facts.tolist()))
    mode = build_mode(FitConfig(mode="in-batch", batch=7, earlier=2), random_facts(), ENTITIES, RELATIONS)
    before: list[list[int]] = []
    for batch in mode.batches(torch.Generator().manual_seed(0)):
        tails = batch.facts[:, 2].tolist()
        assert batch.earlier.tolist() == [tail for part in before[-2:] for tail in part]
        candidates = [*tails, *batch.earlier.tolist()]
        marked = set(zip(batch.rows.tolist(), batch.columns.tolist(), strict=True))
        expected = {
            (row, column)
            for row, (head, relation, _) in enumerate(batch.facts.tolist())
            for column, candidate in enumerate([*candidates, head])
            if (head, relation, candidate) in known and row != column
        }
        # A fact's own head is one candidate, behind all others.
        expected = {(row, min(column, len(candidates))) for row, column in expected}
        assert marked == expected
        before.append(tails)


def test_in_batch_is_infonce_of_cosines() -> None:
    facts = both_directions()
    config = FitConfig(mode="in-batch", batch=5, earlier=1, dim=8, n3=0.0, temperature=0.2, margin=0.1)
    scorer = build_scorer(config, ENTITIES, RELATIONS, random_facts())
    mode = build_mode(config, random_facts(), ENTITIES, RELATIONS)
    _, batch = itertools.islice(mode.batches(torch.Generator().manual_seed(0)), 2)
    states = scorer.states()
    known = set(map(tuple, facts.tolist()))
    losses = []
    for row, (head, relation, _) in enumerate(batch.facts.tolist()):
        query = scorer.query(states.entities[head], states.relations[relation])
        candidates = [*batch.facts[:, 2].tolist(), *batch.earlier.tolist(), head]
        kept = [place for place, other in enumerate(candidates) if place == row or (head, relation, other) not in known]
        cosines = torch.cosine_similarity(query[None], states.entities[[candidates[place] for place in kept]])
        cosines[kept.index(row)] -= 0.1
        losses.append(torch.nn.functional.cross_entropy(cosines / 0.2, torch.tensor(kept.index(row))))
    torch.testing.assert_close(mode.loss(scorer, states, batch), torch.stack(losses).mean())


def test_in_batch_needs_products() -> None:
    config = FitConfig(mode="in-batch", scorer="rotate", dim=8, batch=4)
    scorer = build_scorer(config, ENTITIES, RELATIONS, random_facts())
    mode = build_mode(config, random_facts(), ENTITIES, RELATIONS)
    with pytest.raises(InputError, match="in-batch needs scores that are products; those of RotatE are not"):
        mode.loss(scorer, scorer.states(), next(iter(mode.batches(torch.Generator().manual_seed(0)))))


def test_a_mode_names_its_losses() -> None:
    with pytest.raises(InputError, match="loss: kvsall has no loss 'softmx'; did you mean 'softmax'"):
        build_mode(FitConfig(mode="kvsall", loss="softmx"), random_facts(), ENTITIES, RELATIONS)


def test_bernoulli_spares_the_side_with_many_answers() -> None:
    facts = torch.tensor([[0, 0, tail] for tail in range(1, 7)] + [[7, 0, 8], [7, 0, 9]])
    source = NEGATIVES["bernoulli"](with_inverses(facts, 1), 10)
    tails_per_head, heads_per_tail = 8 / 2, 8 / 8
    of_heads = 2 * tails_per_head / (tails_per_head + heads_per_tail)
    assert source.weigh(torch.tensor([[1, 1, 0], [0, 0, 1]])).tolist() == pytest.approx([of_heads, 2 - of_heads])


def test_typed_negatives_have_the_range_of_their_relation() -> None:
    facts = torch.tensor([[0, 0, 1], [0, 0, 2], [3, 1, 4]])
    draws = NEGATIVES["typed"](facts, 5).draw(facts, 200, torch.Generator().manual_seed(0))
    assert set(draws[0].tolist()) == {1, 2}
    assert set(draws[2].tolist()) == set(range(5))


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
