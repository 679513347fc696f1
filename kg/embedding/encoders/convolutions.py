"""Graph convolutions that do not look at relations, from PyTorch Geometric: ChebNet, GCN, GraphSAGE, GAT, VGAE."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kg.embedding.encoders.base import ENCODERS, GRAPH_DEFAULTS, Encoder
from kg.embedding.messages import undirected_norm
from kg.embedding.states import Edges, States


class Convolutional(Encoder):
    """Layers of one convolution with ReLU between them; relations keep free states of their own.

    Every fact carries messages both ways, whatever its relation.

    Args:
        entity_width, relation_width: what the scorer reads.
        num_relations: 2R.
        layers: how far a message travels.
        dropout: share of hidden numbers that are dropped between layers.
        edge_dropout: share of edges that are dropped at each step of training.
    """

    defaults: ClassVar[Mapping[str, Any]] = GRAPH_DEFAULTS

    def __init__(
        self,
        *,
        entity_width: int,
        relation_width: int,
        num_relations: int,
        layers: int = 2,
        dropout: float = 0.0,
        edge_dropout: float = 0.0,
    ) -> None:
        super().__init__(hops=layers, edge_dropout=edge_dropout)
        self.entity_features, self.relation_features = entity_width, relation_width
        widths = [entity_width, *[self.hidden_width(entity_width)] * (layers - 1), entity_width]
        pairs = enumerate(itertools.pairwise(widths), 1)
        self.layers = nn.ModuleList(self.layer(*pair, last=depth == layers) for depth, pair in pairs)
        self.dropout = nn.Dropout(dropout)

    def hidden_width(self, width: int) -> int:
        """The width between two layers."""
        return width

    @abstractmethod
    def layer(self, inputs: int, outputs: int, *, last: bool) -> nn.Module:
        """One convolution, called with states (N, inputs), edges (2, E) and what `weighted` gives; -> (N, outputs)."""

    def weighted(self, edges: Edges, num_entities: int) -> tuple[Tensor, Tensor | None]:
        """Edges (2, E) as sources and targets, and their weights (E,) where the convolution takes any."""
        return torch.stack([edges.source, edges.target]), None

    def hidden(self, edges: Edges, entities: Tensor) -> Tensor:
        index, weights = self.weighted(edges, len(entities))
        weights = weights if weights is None else weights.to(entities.dtype)
        for depth, layer in enumerate(self.layers):
            if depth:
                entities = self.dropout(torch.relu(entities))
            entities = layer(entities, index) if weights is None else layer(entities, index, weights)
        return entities

    def encode(self, edges: Edges, entities: Tensor, relations: Tensor) -> States:
        return States(self.hidden(edges, entities), relations)


@ENCODERS.register("gcn")
class GCN(Convolutional):
    """GCN: h' = ReLU(D^-1/2 (A + I) D^-1/2 h W + b), first-order spectral filters.

    Source: Kipf & Welling 2017, "Semi-Supervised Classification with Graph Convolutional Networks", equation 2.
    """

    def layer(self, inputs: int, outputs: int, *, last: bool) -> nn.Module:
        from torch_geometric.nn import GCNConv

        return GCNConv(inputs, outputs, normalize=False)

    def weighted(self, edges: Edges, num_entities: int) -> tuple[Tensor, Tensor]:
        loops = Edges.loops(num_entities, edges.source.device).source
        index = torch.stack([torch.cat([edges.source, loops]), torch.cat([edges.target, loops])])
        return index, undirected_norm(edges, index, num_entities, loops=1)


@ENCODERS.register("chebnet")
class ChebNet(Convolutional):
    """ChebNet: h' = ReLU(sum_k T_k(L') h W_k + b), Chebyshev polynomials of the scaled Laplacian L' = L - I.

    The spectral family: filters of the graph's spectrum up to the order `order`, which look `order` - 1 hops far each.

    Args:
        order: K, the number of polynomials.

    Source: Defferrard et al. 2016, "Convolutional Neural Networks on Graphs with Fast Localized Spectral Filtering".
    """

    def __init__(self, *, order: int = 3, layers: int = 1, **options: Any) -> None:
        self.order = order
        super().__init__(layers=layers, **options)
        self.hops = layers * (order - 1)

    def layer(self, inputs: int, outputs: int, *, last: bool) -> nn.Module:
        from torch_geometric.nn import ChebConv

        class Scaled(ChebConv):
            """With the Laplacian given as weights, so that a part of a graph is scaled by the degrees in the whole."""

            def __norm__(self, index: Tensor, *given: Any, edge_weight: Any = None, **others: Any) -> Any:
                return index, -next(weight for weight in (*given, edge_weight) if isinstance(weight, Tensor))

        return Scaled(inputs, outputs, K=self.order)

    def weighted(self, edges: Edges, num_entities: int) -> tuple[Tensor, Tensor]:
        index = torch.stack([edges.source, edges.target])
        return index, undirected_norm(edges, index, num_entities, loops=0)


@ENCODERS.register("sage")
class GraphSAGE(Convolutional):
    """GraphSAGE: h_i' = ReLU(W_1 h_i + W_2 mean_(j in N(i)) h_j + b).

    Source: Hamilton et al. 2017, "Inductive Representation Learning on Large Graphs", algorithm 1 (mean aggregator).
    """

    def layer(self, inputs: int, outputs: int, *, last: bool) -> nn.Module:
        from torch_geometric.nn import SAGEConv

        return SAGEConv(inputs, outputs)


@ENCODERS.register("gat")
class GAT(Convolutional):
    """GAT: h_i' = ReLU(sum_j a_ij W h_j), a_ij = softmax_j LeakyReLU(<a, [W h_i; W h_j]>), several heads.

    Args:
        heads: their number; they share the width between layers, and are averaged in the last one.

    Source: Velickovic et al. 2018, "Graph Attention Networks", equations 1-6.
    """

    def __init__(self, *, heads: int = 4, **options: Any) -> None:
        self.heads = heads
        super().__init__(**options)

    def layer(self, inputs: int, outputs: int, *, last: bool) -> nn.Module:
        from torch_geometric.nn import GATConv

        return GATConv(inputs, outputs if last else outputs // self.heads, heads=self.heads, concat=not last)

    def hidden_width(self, width: int) -> int:
        return -(-width // self.heads) * self.heads


@ENCODERS.register("vgae")
class VGAE(GCN):
    """VGAE: states are drawn from Gaussians whose means and variances a GCN gives; the mean is used after training.

    Adds KL(q(z | graph) || N(0, 1)) of all entities, divided by their number and weighted by `kl`, to the loss.

    Args:
        kl: the weight of the divergence.

    Source: Kipf & Welling 2016, "Variational Graph Auto-Encoders", section 2.
    """

    def __init__(self, *, kl: float = 0.001, **options: Any) -> None:
        super().__init__(**options)
        self.kl = kl
        self.log_deviation = self.layer(*[options["entity_width"]] * 2, last=True)

    def encode(self, edges: Edges, entities: Tensor, relations: Tensor) -> States:
        index, weights = self.weighted(edges, len(entities))
        weights = weights.to(entities.dtype)
        for layer in self.layers[:-1]:
            entities = self.dropout(torch.relu(layer(entities, index, weights)))
        mean = self.layers[-1](entities, index, weights)
        log_deviation = self.log_deviation(entities, index, weights).clamp_max(10)
        if not self.training:
            return States(mean + 0 * log_deviation, relations)
        divergence = ((2 * log_deviation).exp() + mean**2 - 1 - 2 * log_deviation).sum(1).mean() / 2
        drawn = mean + torch.randn_like(mean) * log_deviation.exp()
        return States(drawn, relations, (self.kl * divergence,))
