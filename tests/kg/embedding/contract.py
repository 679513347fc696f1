"""What every scorer, encoder, training mode and source of negatives promises."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from kg.embedding import ENCODERS, MODES, SCORERS, Edges, Encoder, FitConfig, Scorer, fit, rank
from kg.embedding.build import build_mode, build_scorer
from kg.embedding.negatives import NEGATIVES
from kg.embedding.neighborhoods import Neighborhoods
from kg.embedding.seeding import seeded
from kg.embedding.states import with_inverses
from tests.contracts import Contract
from tests.kg.embedding.planted import STRUCTURES

ENTITIES, RELATIONS, DIM = 9, 3, 8


def random_facts(count: int = 30, seed: int = 0) -> np.ndarray:
    """Distinct random facts over all entities and relations."""
    generator = np.random.default_rng(seed)
    draws = generator.integers(0, [ENTITIES, RELATIONS, ENTITIES], (count, 3))
    return np.unique(draws, axis=0)


class ScorerContract(Contract):
    """Every scorer: three views of one score, right gradients, and the structures that theory grants it."""

    family = SCORERS
    options: ClassVar[Mapping[str, Any]] = {}
    fit_settings: ClassVar[Mapping[str, Any]] = {}
    recovers: ClassVar[frozenset[str]]
    cannot: ClassVar[frozenset[str]]

    def make(self, **shared: Any) -> Scorer:
        with seeded(0, 0):
            scorer = SCORERS[self.member](ENTITIES, RELATIONS, dim=DIM, init_std=0.5, **self.options, **shared)
        return scorer.double().eval()

    def test_score_score_tails_and_score_heads_agree(self) -> None:
        scorer = self.make()
        head, relation, tail = torch.cartesian_prod(*map(torch.arange, (ENTITIES, RELATIONS, ENTITIES))).unbind(1)
        with torch.no_grad():
            forward = scorer.score_tails(head, relation)[torch.arange(len(head)), tail]
            torch.testing.assert_close(scorer.score(head, relation, tail), forward, rtol=1e-6, atol=1e-12)
            backward = scorer.score_heads(relation, tail)[torch.arange(len(head)), head]
            asked = scorer.score(tail, scorer.inverse(relation), head)
            torch.testing.assert_close(asked, backward, rtol=1e-6, atol=1e-12)

    def test_scores_distinguish_facts(self) -> None:
        with torch.no_grad():
            scores = self.make().score_tails(torch.arange(ENTITIES), torch.zeros(ENTITIES, dtype=torch.long))
        assert scores.shape == (ENTITIES, ENTITIES)
        assert scores.std() > 1e-3

    def test_a_slice_of_candidates_scores_as_in_the_whole(self) -> None:
        scorer = self.make()
        head, relation = torch.tensor([0, 4]), torch.tensor([1, 5])
        with torch.no_grad():
            whole = scorer.score_tails(head, relation)
            part = scorer.score_tails(head, relation, candidates=slice(3, 7))
        torch.testing.assert_close(part, whole[:, 3:7], rtol=1e-9, atol=1e-12)

    def test_the_product_is_the_score(self) -> None:
        scorer = self.make()
        states = scorer.states()
        query = scorer.queries(torch.tensor([0, 1]), torch.tensor([0, 4]))
        factors = scorer.as_product(query, states.entities)
        if factors is not None:
            left, right = factors
            torch.testing.assert_close(left @ right.T, scorer.compare(query, states.entities), rtol=1e-9, atol=1e-12)

    def test_gradients_are_right(self) -> None:
        scorer = self.make()
        states = scorer.states()
        heads, relations, tails = states.entities[:2], states.relations[[0, 4]], states.entities[3:6]

        def pairs(head: Tensor, relation: Tensor, tail: Tensor) -> Tensor:
            return scorer.match(scorer.query(head, relation)[:, None, :], tail)

        def compared(head: Tensor, relation: Tensor, tail: Tensor) -> Tensor:
            return scorer.compare(scorer.query(head, relation), tail)

        inputs = tuple(tensor.detach().clone().requires_grad_() for tensor in (heads, relations, tails))
        for scores in (pairs, compared):
            assert torch.autograd.gradcheck(scores, inputs)

    def test_inverse_relations_come_in_pairs(self) -> None:
        scorer = self.make()
        relation = torch.arange(2 * RELATIONS)
        assert torch.equal(scorer.inverse(scorer.inverse(relation)), relation)
        assert torch.equal(scorer.inverse(relation[:RELATIONS]), relation[RELATIONS:])

    @pytest.mark.parametrize("encoder", sorted(ENCODERS))
    def test_it_decodes_every_encoder(self, encoder: str) -> None:
        scorer = self.make(encoder=ENCODERS[encoder], edges=Edges.from_triples(random_facts(), RELATIONS)).train()
        states = scorer.states()
        assert states.entities.shape == (ENTITIES, scorer.entity_width)
        assert states.relations.shape == (2 * RELATIONS, scorer.relation_width)
        scorer.score_tails(torch.tensor([0]), torch.tensor([1]), states).logsumexp(1).sum().backward()
        for name, parameter in scorer.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name

    def test_moduli_are_magnitudes(self) -> None:
        states = self.make().states().entities
        assert (self.make().moduli(states) >= 0).all()

    def recovered(self, structure: str) -> float:
        planted = STRUCTURES[structure]()
        settings = {
            "dim": 16,
            "mode": "1vsall",
            "epochs": 150,
            "batch": 64,
            "n3": 0.0,
            "dropout": 0.0,
            "optimizer": "adagrad",
            "lr": 0.1,
        }
        config = FitConfig(scorer=self.member, scorer_options=dict(self.options), **{**settings, **self.fit_settings})
        return planted.recovered(fit(planted.train, planted.num_entities, planted.num_relations, config).model)

    def test_it_recovers_the_structures_that_theory_grants_it(self) -> None:
        found = {structure: self.recovered(structure) for structure in sorted(self.recovers)}
        assert all(share >= 0.9 for share in found.values()), found

    def test_it_fails_at_the_structures_that_theory_denies_it(self) -> None:
        found = {structure: self.recovered(structure) for structure in sorted(self.cannot)}
        assert all(share <= 0.8 for share in found.values()), found


class EncoderContract(Contract):
    """Every encoder: indifferent to how entities are numbered, right gradients, at home under any scorer."""

    family = ENCODERS
    options: ClassVar[Mapping[str, Any]] = {}

    def make(self, entity_width: int = DIM, relation_width: int = DIM, **options: Any) -> Encoder:
        with seeded(0, 0):
            encoder = ENCODERS[self.member](
                entity_width=entity_width,
                relation_width=relation_width,
                num_relations=2 * RELATIONS,
                **{**self.options, **options},
            )
        return encoder.double().eval()

    def inputs(self, encoder: Encoder) -> tuple[Edges, Tensor, Tensor]:
        generator = torch.Generator().manual_seed(1)
        entities = torch.randn(ENTITIES, encoder.entity_features, generator=generator, dtype=torch.float64)
        relations = torch.randn(2 * RELATIONS, encoder.relation_features, generator=generator, dtype=torch.float64)
        return Edges.from_triples(random_facts(), RELATIONS), entities, relations

    def test_widths_are_what_a_scorer_asks_for(self) -> None:
        encoder = self.make(entity_width=8, relation_width=5)
        states = encoder(*self.inputs(encoder))
        assert states.entities.shape == (ENTITIES, 8)
        assert states.relations.shape == (2 * RELATIONS, 5)

    def test_renumbering_entities_renumbers_their_states(self) -> None:
        encoder = self.make()
        edges, entities, relations = self.inputs(encoder)
        states = encoder(edges, entities, relations)
        place = torch.randperm(ENTITIES, generator=torch.Generator().manual_seed(2))
        renamed = place[torch.as_tensor(random_facts())[:, [0, 2]]]
        facts = torch.stack([renamed[:, 0], torch.as_tensor(random_facts())[:, 1], renamed[:, 1]], 1).numpy()
        moved = torch.empty_like(entities)
        moved[place] = entities
        again = encoder(Edges.from_triples(facts, RELATIONS), moved, relations)
        torch.testing.assert_close(again.entities[place], states.entities, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(again.relations, states.relations, rtol=1e-9, atol=1e-12)

    def test_gradients_are_right(self) -> None:
        encoder = self.make()
        edges, entities, relations = self.inputs(encoder)
        names = [name for name, _ in encoder.named_parameters()]

        def states(entities: Tensor, relations: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
            values = dict(zip(names, parameters, strict=True))
            encoded = torch.func.functional_call(encoder, values, (edges, entities, relations))
            return encoded.entities, encoded.relations

        parameters = [parameter.detach().clone().requires_grad_() for parameter in encoder.parameters()]
        inputs = (entities.requires_grad_(), relations.requires_grad_(), *parameters)
        assert torch.autograd.gradcheck(states, inputs, fast_mode=True)

    def test_entities_without_facts_get_states(self) -> None:
        encoder = self.make()
        edges, entities, relations = self.inputs(encoder)
        lonely = torch.cat([entities, entities[:2]])
        states = encoder(edges, lonely, relations)
        assert states.entities.isfinite().all()
        assert len(states.entities) == ENTITIES + 2

    def test_no_facts_at_all_are_no_error(self) -> None:
        encoder = self.make()
        _, entities, relations = self.inputs(encoder)
        empty = Edges.from_triples(np.empty((0, 3), int), RELATIONS)
        assert encoder(empty, entities, relations).entities.isfinite().all()

    def test_complete_neighborhoods_give_the_states_of_the_whole_graph(self) -> None:
        encoder = self.make()
        facts = random_facts(14, seed=3)
        generator = torch.Generator().manual_seed(1)
        entities = torch.randn(ENTITIES, encoder.entity_features, generator=generator, dtype=torch.float64)
        relations = torch.randn(2 * RELATIONS, encoder.relation_features, generator=generator, dtype=torch.float64)
        whole = encoder(Edges.from_triples(facts, RELATIONS), entities, relations)
        around = Neighborhoods(facts, ENTITIES, RELATIONS, (-1,) * encoder.hops)
        for ids in ([0], [3, 1], list(range(ENTITIES))):
            nodes, seeds, edges = around.around(np.array(ids))
            part = encoder(edges, entities[nodes], relations)
            torch.testing.assert_close(part.entities[seeds], whole.entities[ids], rtol=1e-9, atol=1e-12)
            torch.testing.assert_close(part.relations, whole.relations, rtol=1e-9, atol=1e-12)

    def test_it_learns_under_a_scorer(self) -> None:
        row = STRUCTURES["composition"]()
        config = FitConfig(
            scorer="distmult", encoder=self.member, encoder_options=dict(self.options), dim=16, epochs=60, batch=16,
            optimizer="adam", lr=0.02, n3=0.0,
        )  # fmt: skip
        result = fit(row.train, row.num_entities, row.num_relations, config)
        assert result.history[-1]["loss"] < 0.6 * result.history[0]["loss"]


class ModeContract(Contract):
    """Every training mode: all facts in each epoch, repeatable, a loss that can be followed down to the facts."""

    family = MODES
    settings: ClassVar[Mapping[str, Any]] = {}

    def config(self, **more: Any) -> FitConfig:
        return FitConfig(scorer="complex", mode=self.member, dim=16, batch=8, **{"n3": 0.0, **self.settings, **more})

    def losses(self, seed: int = 0, **more: Any) -> list[float]:
        config, facts = self.config(**more), random_facts()
        with seeded(0, 0):
            scorer = build_scorer(config, ENTITIES, RELATIONS, facts)
        mode = build_mode(config, facts, ENTITIES, RELATIONS)
        batches = list(mode.batches(torch.Generator().manual_seed(seed)))
        assert len(batches) == mode.steps
        return [mode.loss(scorer, scorer.states(), batch).item() for batch in batches]

    def test_an_epoch_repeats_under_its_seed(self) -> None:
        assert self.losses(seed=3) == self.losses(seed=3)
        assert self.losses(seed=3) != self.losses(seed=4)

    def test_the_penalties_are_added(self) -> None:
        plain = self.losses()
        for penalty in ("n3", "l2"):
            assert all(more > less for more, less in zip(self.losses(**{penalty: 0.5}), plain, strict=True))

    def test_the_loss_reaches_entities_and_relations(self) -> None:
        config, facts = self.config(), random_facts()
        scorer = build_scorer(config, ENTITIES, RELATIONS, facts)
        mode = build_mode(config, facts, ENTITIES, RELATIONS)
        for batch in mode.batches(torch.Generator().manual_seed(0)):
            mode.loss(scorer, scorer.states(), batch).backward()
        for table in (scorer.entities, scorer.relations):
            assert table.grad is not None
            rows = table.grad.to_dense().abs().sum(1)
            assert (rows > 0).all()

    def test_followed_down_it_finds_the_facts(self) -> None:
        facts = random_facts()
        model = fit(facts, ENTITIES, RELATIONS, self.config(epochs=100)).model
        assert rank(model, facts, facts).mrr() > 0.95


class NegativesContract(Contract):
    """Every source of negatives: the shape that is asked for, valid ids, repeatable."""

    family = NEGATIVES

    def test_draws_are_entities_and_repeat_under_a_seed(self) -> None:
        triples = with_inverses(torch.as_tensor(random_facts()), RELATIONS)
        source = NEGATIVES[self.member](triples, ENTITIES)
        draw = functools.partial(source.draw, triples, 50)
        first = draw(torch.Generator().manual_seed(0))
        assert first.shape == (len(triples), 50)
        assert first.min() >= 0
        assert first.max() < ENTITIES
        assert torch.equal(first, draw(torch.Generator().manual_seed(0)))
        assert not torch.equal(first, draw(torch.Generator().manual_seed(1)))
        assert set(first.unique().tolist()) == set(triples[:, 2].unique().tolist())
