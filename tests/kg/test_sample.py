"""Sampled neighbourhoods: true edges, as many as asked, the same whatever the batch."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg import InputError, KnowledgeGraph
from kg.sample import NeighborSampler, Sample

names = st.sampled_from([f"e{n}" for n in range(12)])
graphs = st.lists(st.tuples(names, st.sampled_from("pqr"), names), min_size=1, max_size=40)


def assert_true(graph: KnowledgeGraph, sample: Sample) -> None:
    """Every edge of a sample is a triple of the graph, turned the right way."""
    assert len(set(sample.nodes.tolist())) == len(sample.nodes) == sample.hops[-1]
    sources, targets = sample.nodes[sample.edges]
    turned = sample.types >= graph.num_relations
    heads, tails = np.where(turned, targets, sources), np.where(turned, sources, targets)
    found = np.column_stack((heads, sample.types % graph.num_relations, tails))
    assert (found == graph.triples[sample.rows]).all()


@given(graphs, st.data(), st.sampled_from(["both", "in", "out"]), st.lists(st.integers(1, 4), max_size=3))
@settings(max_examples=80, deadline=None)
def test_as_many_neighbours_as_asked(
    triples: list[tuple[str, str, str]], data: st.DataObject, direction: str, fanouts: list[int]
) -> None:
    graph = KnowledgeGraph.from_triples(triples)
    seeds = np.array(data.draw(st.lists(st.integers(0, graph.num_entities - 1), max_size=5)), np.int64)
    sampler = NeighborSampler(graph, fanouts, direction=direction)
    sample = sampler.sample(seeds)
    assert_true(graph, sample)
    assert (sample.nodes[sample.seeds] == seeds).all() and sample.hops[0] == len(set(seeds.tolist()))
    drawn = Counter(sample.edges[1].tolist())
    adjacency = graph.adjacency
    for place, node in enumerate(sample.nodes.tolist()):
        hop = int(np.searchsorted(sample.hops, place, side="right"))
        outgoing = int(adjacency.out_offsets[node + 1] - adjacency.out_offsets[node])
        degree = {"both": graph.degree(node), "out": outgoing, "in": graph.degree(node) - outgoing}[direction]
        assert drawn[place] == (min(degree, fanouts[hop]) if hop < len(fanouts) else 0)
    pairs = list(zip(sample.edges[1].tolist(), sample.types.tolist(), sample.rows.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs), "without replacement"


@given(graphs, st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_all_neighbours_are_the_subgraph(triples: list[tuple[str, str, str]], hops: int) -> None:
    graph = KnowledgeGraph.from_triples(triples)
    sample = NeighborSampler(graph, [-1] * hops).sample(np.array([0]))
    expected = graph.subgraph([0], hops) if hops else np.empty(0, np.int64)
    assert sorted(set(sample.rows.tolist())) == expected.tolist()


def hub(leaves: int) -> KnowledgeGraph:
    return KnowledgeGraph.from_triples([("hub", "p", f"leaf{n}") for n in range(leaves)])


def test_what_a_node_gets_does_not_depend_on_its_batch() -> None:
    rng = np.random.default_rng(0)
    graph = KnowledgeGraph.from_triples((f"e{a}", f"p{b}", f"e{c}") for a, b, c in rng.integers(0, 60, (900, 3)))
    sampler = NeighborSampler(graph, (3,), seed=5)
    alone = {node: sampler.sample(np.array([node]), epoch=2).rows.tolist() for node in range(graph.num_entities)}
    for threads in (1, 3):
        for sample in sampler.batches(np.arange(graph.num_entities), 7, epoch=2, threads=threads, shuffle=True):
            for place in sample.seeds.tolist():
                chosen = sample.rows[sample.edges[1] == place].tolist()
                assert chosen == alone[int(sample.nodes[place])]
    assert any(sampler.sample(np.array([node]), epoch=3).rows.tolist() != alone[node] for node in alone)


def test_draws_are_uniform() -> None:
    graph = hub(20)
    seen = Counter(
        row for epoch in range(4000) for row in NeighborSampler(graph, (5,)).sample(np.array([0]), epoch).rows.tolist()
    )
    expected = 4000 * 5 / 20
    assert sum((seen[row] - expected) ** 2 / expected for row in range(20)) < 43.8, "chi squared, 19 degrees, p = 0.001"


def test_pyg_gets_tensors() -> None:
    data = NeighborSampler(hub(3), (2,)).sample(np.array([0])).to_pyg()
    assert data.num_nodes == 3 and data.edge_index.shape == (2, 2) and data.n_id[data.seeds].tolist() == [0]
    data.validate()


@pytest.mark.parametrize("options", [{"direction": "up"}, {"fanouts": (0,)}, {"fanouts": (5, -2)}])
def test_refused(options: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        NeighborSampler(hub(3), **options)  # type: ignore[arg-type]
