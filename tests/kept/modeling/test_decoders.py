"""Every entity decoder keeps the contract, and the operator is the graph's own scorer."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import normalize

from kept.modeling.decoders import AnswerGate, ContrastHeads, OperatorDecoder
from kg.embedding.scorers import SCORERS
from kg.errors import InputError
from tests.kept import tiny
from tests.kept.modeling.contract import READABLE, WIDTH, EntityDecoderContract, fresh, random


class TestLinearDecoder(EntityDecoderContract):
    member = "linear"


class TestOperatorDecoder(EntityDecoderContract):
    member = "operator"

    @pytest.mark.parametrize("name", READABLE)
    def test_with_the_relation_known_it_scores_as_the_graph_does(self, name: str) -> None:
        """A decoder that says the relation's vector at every state, and adds nothing, is the scorer itself."""
        torch.manual_seed(0)
        scorer = SCORERS[name](num_entities=7, num_relations=2, dim=tiny.DIM).eval()
        decoder = fresh(OperatorDecoder(WIDTH, scorer))
        states = scorer.states()
        for relation in range(4):
            with torch.no_grad():
                decoder.relation.weight.zero_()
                decoder.relation.bias.copy_(states.relations[relation])
                decoder.log_scale.zero_()
                heads = torch.arange(7)
                vectors = states.entities[heads][:, None]
                mask = torch.ones(7, 1, dtype=torch.bool)
                found = decoder(random(7, WIDTH), random(7, 1, WIDTH, seed=1), vectors, mask, states.entities)
                expected = scorer.score_tails(heads, torch.full((7,), relation)) / math.sqrt(decoder.dim)
            torch.testing.assert_close(found, expected)

    def test_attention_is_shared_among_what_is_shown(self) -> None:
        decoder, inputs = self.make(), self.inputs()
        assert isinstance(decoder, OperatorDecoder)
        weights = decoder.attend(inputs["hidden"], inputs["states"], inputs["mask"])
        torch.testing.assert_close(weights.sum(1), torch.tensor([1.0, 1.0, 0.0, 1.0]))
        assert not weights[~inputs["mask"]].any()
        assert weights[0, 0] != weights[0, 1]


def test_the_gate_sees_how_sure_the_graph_is_but_does_not_train_it() -> None:
    gate, hidden, logits = fresh(AnswerGate(WIDTH)), random(3, WIDTH), random(3, 5, seed=1).requires_grad_()
    odds = gate(hidden, logits)
    assert not torch.allclose(odds, gate(hidden, 10 * logits), atol=1e-4)
    torch.testing.assert_close(odds, gate(hidden, logits.flip(1) + 4.0))
    odds.sum().backward()
    assert logits.grad is None


def test_contrast_heads_give_unit_vectors_and_a_bounded_scale() -> None:
    heads = fresh(ContrastHeads(WIDTH, dim=4))
    for embed in (heads.embed_image, heads.embed_text):
        vectors = embed(random(3, WIDTH))
        torch.testing.assert_close(vectors, normalize(vectors, dim=1))
    assert ContrastHeads(WIDTH).scale().item() == pytest.approx(1 / 0.07)
    for given, expected in ((-3.0, 1.0), (9.0, 100.0)):
        heads.log_scale.data.fill_(given)
        assert heads.scale().item() == pytest.approx(expected)


def test_the_gate_bends_no_state_and_decides_more_sharply_than_its_odds() -> None:
    gate, hidden, logits = fresh(AnswerGate(WIDTH)), random(3, WIDTH).requires_grad_(), random(3, 5, seed=1)
    odds = gate(hidden, logits)
    odds.sum().backward()
    assert hidden.grad is None
    torch.testing.assert_close(gate.decide(hidden, logits), 3 * odds)


def test_a_scorer_with_weights_of_its_own_is_refused() -> None:
    with pytest.raises(InputError, match="TuckER has core besides"):
        OperatorDecoder(WIDTH, SCORERS["tucker"](1, 1, dim=tiny.DIM))
