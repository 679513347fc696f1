"""The members of the encoder family, against other implementations and loops."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from kg.embedding import ENCODERS, Edges, FitConfig, fit
from kg.embedding.encoders.compgcn import CompGCN, CompGCNLayer
from kg.embedding.encoders.kbgat import KBGATLayer
from kg.embedding.encoders.rgcn import OneHotLayer, RGCNLayer
from kg.embedding.messages import attended_sum, composed_sum, mean_norm, relational_sum, symmetric_norm
from kg.errors import InputError
from tests.kg.embedding.contract import ENTITIES, RELATIONS, EncoderContract, random_facts
from tests.kg.embedding.planted import STRUCTURES


class TestFreeTable(EncoderContract):
    member = "none"


class TestRGCN(EncoderContract):
    member = "rgcn"
    options: ClassVar[dict[str, Any]] = {"bases": 3}


class TestRGCNInBlocks(TestRGCN):
    options: ClassVar[dict[str, Any]] = {"blocks": 2}


class TestRGCNOfOneHotEntities(TestRGCN):
    options: ClassVar[dict[str, Any]] = {"bases": 3, "one_hot": True}


class TestCompGCN(EncoderContract):
    member = "compgcn"
    options: ClassVar[dict[str, Any]] = {"layers": 2}


class TestCompGCNBySubtraction(TestCompGCN):
    options: ClassVar[dict[str, Any]] = {"composition": "sub"}


class TestCompGCNByCorrelation(TestCompGCN):
    options: ClassVar[dict[str, Any]] = {"composition": "corr"}


class TestGCN(EncoderContract):
    member = "gcn"


class TestChebNet(EncoderContract):
    member = "chebnet"
    options: ClassVar[dict[str, Any]] = {"layers": 2}


class TestGraphSAGE(EncoderContract):
    member = "sage"


class TestGAT(EncoderContract):
    member = "gat"
    options: ClassVar[dict[str, Any]] = {"heads": 2}


class TestVGAE(EncoderContract):
    member = "vgae"


class TestSACN(EncoderContract):
    member = "sacn"
    options: ClassVar[dict[str, Any]] = {"dropout": 0.0}


class TestKBGAT(EncoderContract):
    member = "kbgat"


@pytest.fixture
def edges() -> Edges:
    return Edges.from_triples(random_facts(), RELATIONS)


def doubles(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_layer_equals_that_of_pytorch_geometric(edges: Edges) -> None:
    from torch_geometric.nn import RGCNConv

    layer = RGCNLayer(6, 5, 2 * RELATIONS, bases=4).double()
    other = RGCNConv(6, 5, 2 * RELATIONS, num_bases=4, aggr="mean").double()
    with torch.no_grad():
        other.weight.copy_(layer.bases)
        other.comp.copy_(layer.coefficients)
        other.root.copy_(layer.root)
        other.bias.copy_(layer.bias.normal_())
    states = doubles(ENTITIES, 6)
    expected = other(states, torch.stack([edges.source, edges.target]), edges.relations)
    actual = layer(states, edges, mean_norm(edges, ENTITIES).double())
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-6)


def test_blocks_equal_those_of_pytorch_geometric(edges: Edges) -> None:
    from torch_geometric.nn import RGCNConv

    layer = RGCNLayer(6, 4, 2 * RELATIONS, bases=1, blocks=2).double()
    other = RGCNConv(6, 4, 2 * RELATIONS, num_blocks=2, aggr="mean").double()
    with torch.no_grad():
        other.weight.copy_(layer.blocks)
        other.root.copy_(layer.root)
        other.bias.copy_(layer.bias.normal_())
    states = doubles(ENTITIES, 6)
    expected = other(states, torch.stack([edges.source, edges.target]), edges.relations)
    actual = layer(states, edges, mean_norm(edges, ENTITIES).double())
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-6)


def test_one_hot_entities_are_read_as_by_pytorch_geometric(edges: Edges) -> None:
    from torch_geometric.nn import RGCNConv

    layer = OneHotLayer(5, 2 * RELATIONS, bases=4).double()
    other = RGCNConv(ENTITIES, 5, 2 * RELATIONS, num_bases=4, aggr="mean").double()
    with torch.no_grad():
        other.comp.copy_(layer.coefficients)
        rows = torch.cat([*other.weight.unbind(), other.root], 1)
        other.bias.copy_(layer.bias.normal_())
    expected = other(None, torch.stack([edges.source, edges.target]), edges.relations)
    actual = layer(rows, edges, mean_norm(edges, ENTITIES).double())
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_messages_do_not_depend_on_the_chunk(edges: Edges, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    states, weights, norm = doubles(ENTITIES, 4), doubles(2 * RELATIONS, 4, 3), doubles(len(edges.source))
    relations = doubles(2 * RELATIONS, 4)
    expected = torch.zeros(ENTITIES, 3, dtype=torch.float64)
    multiplied = torch.zeros(ENTITIES, 4, dtype=torch.float64)
    for edge, (source, target, relation) in enumerate(zip(edges.source, edges.target, edges.relations, strict=True)):
        expected[target] += norm[edge] * states[source] @ weights[relation]
        multiplied[target] += norm[edge] * states[source] * relations[relation]
    monkeypatch.setattr("kg.embedding.messages.CHUNK", chunk)
    torch.testing.assert_close(relational_sum(states, weights, edges, norm), expected)
    torch.testing.assert_close(composed_sum(states, relations, edges, norm, "mult"), multiplied)


def test_gradients_of_messages_are_right(edges: Edges, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kg.embedding.messages.CHUNK", 5)
    norm = doubles(len(edges.source))
    inputs = doubles(ENTITIES, 3).requires_grad_(), doubles(2 * RELATIONS, 3, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w: relational_sum(x, w, edges, norm), inputs)
    blocks = doubles(ENTITIES, 4).requires_grad_(), doubles(2 * RELATIONS, 2, 2, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, w: relational_sum(x, w, edges, norm), blocks)


@pytest.mark.parametrize("width", [4, 5])
def test_correlation_is_the_sum_over_shifts(edges: Edges, width: int) -> None:
    states, relations = doubles(ENTITIES, width), doubles(2 * RELATIONS, width, seed=1)
    norm = torch.ones(len(edges.source), dtype=torch.float64)
    expected = np.zeros((ENTITIES, width))
    for source, target, relation in zip(edges.source, edges.target, edges.relations, strict=True):
        a, b = states[source].numpy(), relations[relation].numpy()
        expected[target] += [sum(a[i] * b[(i + k) % width] for i in range(width)) for k in range(width)]
    np.testing.assert_allclose(composed_sum(states, relations, edges, norm, "corr").numpy(), expected, atol=1e-12)


def test_compgcn_equals_its_formula_edge_by_edge(edges: Edges) -> None:
    layer = CompGCNLayer(4, "sub", dropout=0.0).double().eval()
    states, relations = doubles(ENTITIES, 4), doubles(2 * RELATIONS, 4, seed=1)
    halves = [(half, symmetric_norm(half, ENTITIES).double()) for half in edges.halves()]
    actual, related = layer(states, relations, halves)
    update = (states - layer.loop_relation) @ layer.loop
    for matrix, low in ((layer.directions[0], 0), (layer.directions[1], RELATIONS)):
        chosen = (edges.relations >= low) & (edges.relations < low + RELATIONS)
        source, target, relation = edges.source[chosen], edges.target[chosen], edges.relations[chosen]
        for s, t, r in zip(source, target, relation, strict=True):
            degree = float((source == s).sum() * (target == t).sum())
            update[t] = update[t] + ((states[s] - relations[r]) @ matrix) / degree**0.5
    torch.testing.assert_close(actual, torch.tanh(layer.norm(update / 3)), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(related, relations @ layer.relation_map)


def undirected(edges: Edges) -> tuple[Edges, Tensor]:
    """Without facts between an entity and itself, which PyTorch Geometric leaves out or counts once."""
    edges = edges.only(edges.source != edges.target)
    return edges, torch.stack([edges.source, edges.target])


def test_gcn_normalises_as_pytorch_geometric_does(edges: Edges) -> None:
    from torch_geometric.nn import GCNConv

    encoder = ENCODERS["gcn"](entity_width=4, relation_width=4, num_relations=2 * RELATIONS, layers=1).double()
    other = GCNConv(4, 4).double()
    other.load_state_dict(encoder.layers[0].state_dict())
    states = doubles(ENTITIES, 4)
    edges, index = undirected(edges)
    expected = other(states, index)
    torch.testing.assert_close(encoder(edges, states, states).entities, expected, rtol=1e-6, atol=1e-6)


def test_chebnet_scales_the_laplacian_as_pytorch_geometric_does(edges: Edges) -> None:
    from torch_geometric.nn import ChebConv

    encoder = ENCODERS["chebnet"](entity_width=4, relation_width=4, num_relations=2 * RELATIONS, order=4).double()
    other = ChebConv(4, 4, K=4).double()
    other.load_state_dict(encoder.layers[0].state_dict())
    lonely = torch.cat([doubles(ENTITIES, 4), doubles(1, 4)])
    edges, index = undirected(edges)
    expected = other(lonely, index)
    torch.testing.assert_close(encoder(edges, lonely, lonely).entities, expected, rtol=1e-6, atol=1e-6)


def test_vgae_draws_states_while_training_and_adds_their_divergence(edges: Edges) -> None:
    encoder = ENCODERS["vgae"](entity_width=4, relation_width=4, num_relations=2 * RELATIONS, kl=0.5).double()
    states = doubles(ENTITIES, 4)
    drawn, again = encoder(edges, states, states), encoder(edges, states, states)
    assert not torch.equal(drawn.entities, again.entities)
    index, weights = encoder.weighted(edges, ENTITIES)
    weights = weights.double()
    hidden = torch.relu(encoder.layers[0](states, index, weights))
    deviation = encoder.log_deviation(hidden, index, weights).exp()
    mean = encoder.layers[1](hidden, index, weights)
    own = torch.distributions.Independent(torch.distributions.Normal(mean, deviation), 1)
    unit = torch.distributions.Independent(torch.distributions.Normal(torch.zeros_like(mean), 1.0), 1)
    expected = 0.5 * torch.distributions.kl_divergence(own, unit).mean()
    torch.testing.assert_close(drawn.terms[0], expected)
    encoder.eval()
    torch.testing.assert_close(encoder(edges, states, states).entities, mean)
    assert encoder(edges, states, states).terms == ()


def test_sacn_weighs_neighbours_by_relation(edges: Edges) -> None:
    encoder = ENCODERS["sacn"](entity_width=4, relation_width=4, num_relations=2 * RELATIONS).double().eval()
    with torch.no_grad():
        encoder.weights.normal_()
    states = doubles(ENTITIES, 4)
    mapped = states @ encoder.maps[0].weight.T
    summed = mapped.clone()
    for source, target, relation in zip(edges.source, edges.target, edges.relations, strict=True):
        summed[target] += encoder.weights[0, relation] * mapped[source]
    expected = torch.tanh(encoder.norms[0](summed))
    torch.testing.assert_close(encoder(edges, states, states).entities, expected)


def test_kbgat_attends_to_facts_as_its_formula_says(edges: Edges) -> None:
    layer = KBGATLayer(4, 3, heads=2).double()
    states, relations = doubles(ENTITIES, 4), doubles(2 * RELATIONS, 4, seed=1)
    actual = layer(states, relations, edges)
    types = edges.relations
    for entity in range(ENTITIES):
        into = (edges.target == entity).nonzero()[:, 0]
        facts = (
            layer.at_target(states[entity])
            + layer.at_source(states[edges.source[into]])
            + layer.at_relation(relations[types[into]])
        ).unflatten(1, (2, 3))
        scores = torch.nn.functional.leaky_relu((facts * layer.attention).sum(2), 0.2)
        expected = (torch.softmax(scores, 0)[..., None] * facts).sum(0)
        torch.testing.assert_close(actual[entity], expected)


def test_gradients_of_attended_sums_are_right(edges: Edges, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kg.embedding.messages.CHUNK", 5)
    weights = doubles(len(edges.source)).requires_grad_()
    inputs = doubles(ENTITIES, 3).requires_grad_(), doubles(2 * RELATIONS, 3).requires_grad_(), weights
    assert torch.autograd.gradcheck(lambda x, z, w: attended_sum(x, z, edges, w), inputs)


@pytest.mark.parametrize("mode", ["sampled", "negatives"])
def test_sampled_neighborhoods_train_as_the_whole_graph_does(mode: str) -> None:
    row = STRUCTURES["composition"]()
    settings = {"scorer": "distmult", "encoder": "sage", "mode": mode, "dim": 16, "epochs": 3, "batch": 16}
    whole, complete, drawn = (
        fit(row.train, row.num_entities, row.num_relations, FitConfig(**settings, **more))
        for more in ({}, {"fanouts": (-1, -1)}, {"fanouts": (2, 2)})
    )
    for one, other in zip(whole.history, complete.history, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-3)
    assert drawn.history[-1]["loss"] < drawn.history[0]["loss"]


def test_sampled_neighborhoods_need_a_mode_that_asks_and_hops_enough() -> None:
    facts = random_facts()
    for settings, reason in (
        ({"mode": "1vsall", "fanouts": (2, 2)}, "fanouts: 1vsall needs the states of all entities"),
        ({"mode": "sampled", "fanouts": (2,)}, "the encoder looks 2 hops far, only 1 are drawn"),
    ):
        with pytest.raises(InputError, match=reason):
            fit(facts, ENTITIES, RELATIONS, FitConfig(encoder="sage", dim=8, **settings))


def test_each_relation_counts_as_its_mean(edges: Edges) -> None:
    norm = mean_norm(edges, ENTITIES)
    totals = torch.zeros(2 * RELATIONS * ENTITIES).index_add(0, edges.relations * ENTITIES + edges.target, norm)
    assert ((totals - 1).abs() < 1e-6).logical_or(totals == 0).all()


def test_edges_hold_every_fact_in_both_directions(edges: Edges) -> None:
    found = sorted(zip(edges.source.tolist(), edges.relations.tolist(), edges.target.tolist(), strict=True))
    facts = [(h, r, t) for h, r, t in random_facts().tolist()]
    assert found == sorted(facts + [(t, r + RELATIONS, h) for h, r, t in facts])


def test_dropped_edges_stay_sorted_and_whole(edges: Edges) -> None:
    torch.manual_seed(0)
    kept = edges.dropped(0.5)
    whole = set(zip(edges.source.tolist(), edges.relations.tolist(), edges.target.tolist(), strict=True))
    part = set(zip(kept.source.tolist(), kept.relations.tolist(), kept.target.tolist(), strict=True))
    assert part < whole
    assert 0.25 < len(part) / len(whole) < 0.75


def test_edges_are_dropped_in_training_only(edges: Edges) -> None:
    encoder = ENCODERS["rgcn"](entity_width=4, relation_width=4, num_relations=2 * RELATIONS, bases=2, edge_dropout=0.5)
    inputs = edges, torch.ones(ENTITIES, 4), torch.ones(2 * RELATIONS, 4)
    assert not torch.equal(encoder(*inputs).entities, encoder(*inputs).entities)
    encoder.eval()
    assert torch.equal(encoder(*inputs).entities, encoder(*inputs).entities)


def test_compgcn_names_the_nearest_composition() -> None:
    with pytest.raises(InputError, match="did you mean 'mult'"):
        CompGCN(entity_width=4, relation_width=4, num_relations=2, composition="multi")
