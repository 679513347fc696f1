"""States of a few entities from their sampled neighbourhoods, for graphs too large to encode as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from kg.arrays import Adjacency
from kg.embedding.modes import MODES
from kg.embedding.scorers import Scorer
from kg.embedding.states import Edges
from kg.errors import InputError
from kg.sample import NeighborSampler


class FactGraph:
    """Facts in the form that a `NeighborSampler` reads: sorted by head, indexed both ways."""

    def __init__(self, triples: np.ndarray, num_entities: int, num_relations: int) -> None:
        self.triples = np.ascontiguousarray(triples[np.lexsort(triples.T[[2, 1, 0]])])
        self.num_entities, self.num_relations = num_entities, num_relations
        self.adjacency = Adjacency.of(self.triples, num_entities)
        ends = (np.bincount(self.triples[:, column], minlength=num_entities) for column in (0, 2))
        self.degrees = torch.from_numpy(np.stack(list(ends), 1))


class Neighborhoods:
    """Draws neighbourhoods of a batch's entities for an encoder.

    With all neighbours, and as many hops as the encoder has layers, states equal those of the whole graph.

    Args:
        triples: (T, 3) facts.
        num_entities, num_relations: N and R.
        fanouts: how many neighbours are drawn at each hop; -1 takes all.
        seed: of the draws.
    """

    def __init__(
        self, triples: np.ndarray, num_entities: int, num_relations: int, fanouts: Sequence[int], seed: int = 0
    ) -> None:
        self.graph = FactGraph(triples, num_entities, num_relations)
        self.sampler = NeighborSampler(self.graph, fanouts, seed=seed)

    def around(self, ids: np.ndarray, epoch: int = 0) -> tuple[Tensor, Tensor, Edges]:
        """Entity ids (n,) met, the places (len(ids),) of `ids` among them, and the edges between them."""
        sample = self.sampler.sample(ids, epoch)
        types = torch.from_numpy(sample.types)
        order = torch.argsort(types, stable=True)
        source, target = torch.from_numpy(sample.edges)[:, order]
        counts = torch.bincount(types, minlength=2 * self.graph.num_relations)
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        nodes = torch.from_numpy(sample.nodes)
        return nodes, torch.from_numpy(sample.seeds), Edges(source, target, offsets, self.graph.degrees[nodes])


@dataclass
class SampledStates:
    """What a training mode reads instead of `States`: the states of the ids that it asks for, and of no others."""

    model: Scorer
    neighborhoods: Neighborhoods
    epoch: int
    terms: tuple[Tensor, ...] = field(default=())

    def at(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Entity states (len(ids), width), and the states of all relations."""
        distinct, places = torch.unique(ids, return_inverse=True)
        nodes, seeds, edges = self.neighborhoods.around(distinct.cpu().numpy(), self.epoch)
        device = ids.device
        moved = Edges(*(part.to(device) for part in edges if part is not None))
        states = self.model.encode(moved, self.model.inputs(nodes.to(device)))
        self.terms = states.terms
        return states.entities[seeds.to(device)[places]], states.relations


@dataclass
class AskedStates:
    """The same for entities with features and no encoder: only those that are asked for are mapped."""

    model: Scorer
    terms: tuple[Tensor, ...] = ()

    def at(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Entity states (len(ids), width), and the states of all relations."""
        distinct, places = torch.unique(ids, return_inverse=True)
        edges = Edges(self.model.source, self.model.target, self.model.offsets)
        states = self.model.encode(edges, self.model.inputs(distinct))
        return states.entities[places], states.relations


def asks(mode: str) -> bool:
    """Whether a training mode asks for the states of some entities, and not of all."""
    return MODES[mode].asks


def check_fanouts(fanouts: Sequence[int], mode: str, hops: int) -> None:
    """Sampled neighbourhoods need a mode that asks for some entities, and all the hops that an encoder looks."""
    if not asks(mode):
        raise InputError(
            f"fanouts: {mode} needs the states of all entities; choose the mode sampled, negatives or in-batch"
        )
    if len(fanouts) < hops:
        raise InputError(f"fanouts: the encoder looks {hops} hops far, only {len(fanouts)} are drawn")
