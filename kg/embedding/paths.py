"""NBFNet: facts from the paths between two entities; works on entities that it has never seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from kg.embedding.answers import AnswerIndex
from kg.embedding.fit import check_triples
from kg.embedding.seeding import seeded
from kg.embedding.states import Edges, States, with_inverses
from kg.errors import InputError
from kg.progress import progress


class NBFNet(nn.Module):
    """A scorer that holds a graph: f(h, r, t) = MLP([x_t; z_r]), x the result of a learned Bellman-Ford search.

        x_v <- [v = h] z_r,   x_v' = x_v + ReLU(LN(W [x_v; sum over edges (u, q, v) of x_u * w_q(z_r) + [v = h] z_r]))

    repeated `layers` times, with relation vectors w_q that depend on the relation z_r that is asked for. No entity has
    a vector: what is learned holds for any graph with the same relations (`on`). Costs E d a layer for each query.

    Args:
        edges: the graph, both directions.
        num_entities, num_relations: N and R.
        dim: d.
        layers: how long paths may be.

    Source: Zhu et al. 2021, "Neural Bellman-Ford Networks: A General Graph Neural Network Framework for Link
    Prediction", section 3 (multiplied messages, summed).

        >>> edges = Edges.from_triples(np.array([[0, 0, 1], [1, 0, 2]]), 1)
        >>> NBFNet(edges, 3, 1, dim=4).score_tails(torch.tensor([0]), torch.tensor([0])).shape
        torch.Size([1, 3])
    """

    def __init__(self, edges: Edges, num_entities: int, num_relations: int, dim: int = 32, layers: int = 4) -> None:
        super().__init__()
        self.num_entities, self.num_relations, self.dim = num_entities, num_relations, dim
        self.relations = nn.Parameter(torch.randn(2 * num_relations, dim))
        self.steps = nn.ModuleList(BellmanFord(dim, num_relations) for _ in range(layers))
        self.head = nn.Sequential(nn.Linear(2 * dim, dim), nn.ReLU(), nn.Linear(dim, 1))
        self.edges = edges

    def on(self, triples: np.ndarray, num_entities: int) -> NBFNet:
        """The same weights on another graph with the same relations."""
        edges = Edges.from_triples(triples, self.num_relations)
        other = NBFNet(edges, num_entities, self.num_relations, self.dim, len(self.steps))
        other.load_state_dict(self.state_dict())
        return other.to(self.relations.device).train(self.training)

    def states(self) -> States:
        """No vectors of entities, and those of relations."""
        return States(self.relations.new_zeros(self.num_entities, 0), self.relations)

    def inverse(self, relation: Tensor) -> Tensor:
        """r -> r + R, and r + R -> r."""
        return (relation + self.num_relations) % (2 * self.num_relations)

    def score_tails(
        self,
        head: Tensor,
        relation: Tensor,
        states: States | None = None,
        candidates: slice = slice(None),
        edges: Edges | None = None,
    ) -> Tensor:
        """Ids (B,), (B,) -> scores (B, N) of every entity (or of a slice of them) as the tail."""
        asked = self.relations[relation]
        begin = asked.new_zeros(len(head), self.num_entities, self.dim)
        begin[torch.arange(len(head)), head] = asked
        found = begin
        for step in self.steps:
            found = step(found, begin, asked, edges or self.edges)
        found = found[:, candidates]
        both = torch.cat([found, asked[:, None].expand(-1, found.shape[1], -1)], 2)
        scores: Tensor = self.head(both)[..., 0]
        return scores

    def score_heads(self, relation: Tensor, tail: Tensor, states: States | None = None) -> Tensor:
        """Ids (B,), (B,) -> scores (B, N) of every entity as the head, asked as the tail of the inverse relation."""
        return self.score_tails(tail, self.inverse(relation), states)

    def score(self, head: Tensor, relation: Tensor, tail: Tensor, states: States | None = None) -> Tensor:
        """Ids (B,) each -> scores (B,)."""
        return self.score_tails(head, relation, states)[torch.arange(len(head)), tail]


class BellmanFord(nn.Module):
    """One step of the search: (B, N, d) -> the same."""

    def __init__(self, dim: int, num_relations: int) -> None:
        super().__init__()
        self.weights = nn.Linear(dim, 2 * num_relations * dim)
        self.update, self.norm = nn.Linear(2 * dim, dim), nn.LayerNorm(dim)

    def forward(self, found: Tensor, begin: Tensor, asked: Tensor, edges: Edges) -> Tensor:
        weights = self.weights(asked).unflatten(1, (-1, found.shape[2]))
        arriving = begin.index_add(1, edges.target, found[:, edges.source] * weights[:, edges.relations])
        updated: Tensor = found + torch.relu(self.norm(self.update(torch.cat([found, arriving], 2))))
        return updated


@dataclass(frozen=True)
class PathConfig:
    """The settings of `fit_paths`: those of the model, then of Adam over batches of queries."""

    dim: int = 32
    layers: int = 4
    batch: int = 16
    epochs: int = 10
    lr: float = 0.005
    seed: int = 0


def fit_paths(
    triples: np.ndarray,
    num_entities: int,
    num_relations: int,
    config: PathConfig | None = None,
    *,
    on_epoch: Callable[[int, float], None] | None = None,
) -> NBFNet:
    """Fit an NBFNet: softmax over all entities, other answers taken out.

    The facts that a batch asks for are no edges in it, or each would be its own proof.

    >>> facts = np.array([[0, 0, 1], [1, 0, 2], [0, 1, 2]])
    >>> fit_paths(facts, 3, 2, PathConfig(dim=4, epochs=1)).num_relations
    2
    """
    config = config or PathConfig()
    check_triples(triples, num_entities, num_relations)
    facts = with_inverses(torch.as_tensor(np.asarray(triples), dtype=torch.long), num_relations)
    edges = Edges.from_triples(triples, num_relations)
    keys = edge_keys(edges.source, edges.relations, edges.target, num_entities, num_relations)
    index = AnswerIndex.build(facts[:, :2].numpy(), facts[:, 2].numpy())
    with seeded(config.seed, 0), progress() as display:
        model = NBFNet(edges, num_entities, num_relations, config.dim, config.layers)
        optimizer = torch.optim.Adam(model.parameters(), lr=config.lr)
        bar = display.add_task("fit nbfnet", total=config.epochs)
        for epoch in range(config.epochs):
            total = 0.0
            for chosen in torch.randperm(len(facts)).split(config.batch):
                head, relation, tail = facts[chosen].unbind(1)
                asked = edge_keys(head, relation, tail, num_entities, num_relations)
                back = edge_keys(tail, model.inverse(relation), head, num_entities, num_relations)
                kept = edges.only(~torch.isin(keys, torch.cat([asked, back])))
                scores = model.score_tails(head, relation, edges=kept)
                rows, answers = map(torch.from_numpy, index.pairs(facts[chosen, :2].numpy()))
                others = answers != tail[rows]
                scores = scores.index_put((rows[others], answers[others]), scores.new_tensor(-torch.inf))
                loss = nn.functional.cross_entropy(scores, tail)
                if not bool(loss.isfinite()):
                    raise InputError(f"the loss is not finite in epoch {epoch + 1} with learning rate {config.lr:g}")
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.item() * len(chosen) / len(facts)
            display.update(bar, advance=1, description=f"fit nbfnet: loss {total:.4f}")
            if on_epoch is not None:
                on_epoch(epoch + 1, total)
    return model.eval()


def edge_keys(source: Tensor, relation: Tensor, target: Tensor, num_entities: int, num_relations: int) -> Tensor:
    """One number for each edge."""
    return (source * 2 * num_relations + relation) * num_entities + target
