"""Neighbourhoods drawn from a graph: what mini-batches of a graph neural network are made of."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import local
from typing import TYPE_CHECKING, Protocol

import numpy as np

from kg.errors import InputError

if TYPE_CHECKING:
    import torch_geometric.data

    from kg.arrays import Adjacency

DIRECTIONS = ("both", "in", "out")


class HasTriples(Protocol):
    """What is sampled from: a `KnowledgeGraph`, or triples sorted by head with an index of both ends."""

    @property
    def triples(self) -> np.ndarray: ...

    @property
    def adjacency(self) -> Adjacency: ...

    @property
    def num_entities(self) -> int: ...

    @property
    def num_relations(self) -> int: ...


@dataclass(frozen=True)
class Sample:
    """A sampled neighbourhood.

    Attributes:
        nodes: (n,) entity ids, each once; those of the seeds come first.
        seeds: (s,) places of the seeds in `nodes`.
        edges: (2, e) places in `nodes`: from a neighbour to the node that it was drawn for.
        types: (e,) the relation of each edge; plus the number of relations where the triple leads the other way.
        rows: (e,) rows of the graph's `triples`.
        hops: (h + 1,) how many of `nodes` are within 0, 1, ... hops.
    """

    nodes: np.ndarray
    seeds: np.ndarray
    edges: np.ndarray
    types: np.ndarray
    rows: np.ndarray
    hops: np.ndarray

    def to_pyg(self) -> torch_geometric.data.Data:
        """As PyG's own loaders give it: `n_id`, `edge_index`, `edge_type`, `e_id`, and `seeds`."""
        import torch
        from torch_geometric.data import Data

        return Data(
            n_id=torch.from_numpy(self.nodes),
            edge_index=torch.from_numpy(self.edges),
            edge_type=torch.from_numpy(self.types),
            e_id=torch.from_numpy(self.rows),
            seeds=torch.from_numpy(self.seeds),
            num_nodes=len(self.nodes),
        )


class NeighborSampler:
    """Draws up to k neighbours of every node, uniformly and without replacement, hop by hop.

    Which neighbours a node gets depends on the seed, the epoch and the node alone, not on the batch that it is in, on
    the order or on threads. Nodes that were met before are not expanded again.
    Source: Hamilton et al. 2017, "Inductive representation learning on large graphs" (GraphSAGE), algorithm 2.

    Args:
        graph: whose triples; nothing is copied.
        fanouts: k of each hop; -1 takes all.
        direction: "in" follows triples from tails to heads, "out" from heads to tails, "both" either way.

    >>> from kg import KnowledgeGraph
    >>> graph = KnowledgeGraph.from_triples([("Paris", "capital of", "France"), ("Lyon", "in", "France")])
    >>> NeighborSampler(graph, (5,)).sample(graph.entities.ids(["France"])).nodes.tolist()
    [0, 1, 2]
    """

    def __init__(
        self, graph: HasTriples, fanouts: Sequence[int] = (15, 10), *, direction: str = "both", seed: int = 0
    ) -> None:
        if direction not in DIRECTIONS:
            raise InputError(f"direction: {direction!r} is none of {', '.join(DIRECTIONS)}")
        if any(fanout < -1 or fanout == 0 for fanout in fanouts):
            raise InputError(f"fanouts: {list(fanouts)}: each is a positive number, or -1 for all neighbours")
        self.graph, self.seed = graph, seed
        self.fanouts = np.array([np.iinfo(np.int64).max if fanout < 0 else fanout for fanout in fanouts], np.int64)
        self._ways = (direction != "out", direction != "in")
        self._own = local()

    def sample(self, seeds: np.ndarray, epoch: int = 0) -> Sample:
        """The neighbourhood of some entities, (s,) ids."""
        from kg.sampling import draw

        adjacency = self.graph.adjacency
        if not hasattr(self._own, "places"):
            # Where each entity stands in the sample at hand; a thread has its own, and leaves it as it was.
            self._own.places = np.full(self.graph.num_entities, -1, np.int32)
        nodes, places, edges, types, rows, hops = draw(
            np.asarray(seeds, np.int64),
            self.fanouts,
            self.graph.triples,
            adjacency.out_offsets,
            adjacency.in_offsets,
            adjacency.in_order,
            self.graph.num_relations,
            *self._ways,
            self._own.places,
            (self.seed * 1_000_003 + epoch) & 0x7FFFFFFFFFFFFFFF,
        )
        return Sample(nodes, places, edges, types, rows, hops)

    def batches(
        self, seeds: np.ndarray, size: int = 1024, *, epoch: int = 0, shuffle: bool = False, threads: int = 1
    ) -> Iterator[Sample]:
        """Samples of all seeds, `size` seeds each, in order; `threads` of them are drawn ahead at a time."""
        seeds = np.asarray(seeds, np.int64)
        if shuffle:
            seeds = np.random.default_rng((self.seed, epoch)).permutation(seeds)
        parts = [seeds[start : start + size] for start in range(0, len(seeds), size)]
        if threads < 2:
            yield from (self.sample(part, epoch) for part in parts)
            return
        waiting: deque[Future[Sample]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            for part in parts:
                waiting.append(pool.submit(self.sample, part, epoch))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
