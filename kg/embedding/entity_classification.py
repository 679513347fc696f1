"""Which class is an entity of? A GNN encoder under a softmax."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kg.embedding.build import check_options
from kg.embedding.encoders import ENCODERS
from kg.embedding.seeding import seeded
from kg.embedding.states import Edges
from kg.errors import InputError


@dataclass(frozen=True)
class ClassifierConfig:
    """The settings of `classify_entities`; those of R-GCN on AIFB where nothing else is said.

    Attributes:
        encoder, encoder_options: of the family.
        dim: numbers of an entity's state.
        epochs, lr, l2: of Adam over the whole graph; `l2` is its weight decay.
        dropout: share of the states that is dropped before the softmax.
        init_std: standard deviation of fresh features.
    """

    encoder: str = "rgcn"
    encoder_options: dict[str, Any] = field(default_factory=lambda: {"one_hot": True})
    dim: int = 16
    epochs: int = 50
    lr: float = 0.01
    l2: float = 5e-4
    dropout: float = 0.0
    init_std: float = 0.02
    seed: int = 0


class EntityClassifier(nn.Module):
    """Softmax over classes of an entity's state: p(class | i) = softmax(W h_i + b).

    Source: Schlichtkrull et al. 2018, section 4. Free vectors are the features of entities.
    """

    def __init__(self, edges: Edges, num_entities: int, num_relations: int, classes: int, config: ClassifierConfig):
        super().__init__()
        make = ENCODERS[config.encoder]
        check_options(make, config.encoder_options, "encoder_options")
        widths = {"entity_width": config.dim, "relation_width": config.dim, "num_relations": 2 * num_relations}
        self.edges = edges
        self.encoder = make(**widths, **config.encoder_options)
        self.entities = nn.Parameter(torch.randn(num_entities, self.encoder.entity_features) * config.init_std)
        self.relations = nn.Parameter(torch.randn(2 * num_relations, self.encoder.relation_features) * config.init_std)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.dim, classes)

    def forward(self) -> Tensor:
        """(N, classes) logits of all entities."""
        states = self.encoder(self.edges, self.entities, self.relations).entities
        logits: Tensor = self.head(self.dropout(torch.relu(states)))
        return logits


def classify_entities(
    triples: np.ndarray,
    num_entities: int,
    num_relations: int,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    config: ClassifierConfig | None = None,
) -> float:
    """Fit on some entities' classes and return the accuracy on others.

    The relation that tells the class, and its inverse, must not be among the triples.

    Args:
        triples: (T, 3) facts.
        train, test: entity ids (n,) and their classes (n,).
        config: the settings.

    Raises:
        InputError: for an empty part, or an entity in both.

        >>> facts = np.array([[0, 0, 4], [1, 0, 4], [2, 0, 5], [3, 0, 5]])
        >>> known, asked = (np.array([0, 2]), np.array([0, 1])), (np.array([1, 3]), np.array([0, 1]))
        >>> classify_entities(facts, 6, 1, known, asked)
        1.0
    """
    config = config or ClassifierConfig()
    for name, part in (("train", train), ("test", test)):
        if not len(part[0]):
            raise InputError(f"{name}: there are no entities with a class")
    if len(shared := np.intersect1d(train[0], test[0])):
        raise InputError(f"test: the entity with id {shared[0]} is in train too")
    classes = int(max(train[1].max(), test[1].max())) + 1
    edges = Edges.from_triples(triples, num_relations)
    with seeded(config.seed, 0):
        model = EntityClassifier(edges, num_entities, num_relations, classes, config)
        optimizer = torch.optim.Adam(model.parameters(), lr=config.lr, weight_decay=config.l2)
        known, labels = (torch.as_tensor(column, dtype=torch.long) for column in train)
        for _ in range(config.epochs):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model()[known], labels).backward()
            optimizer.step()
    with torch.no_grad():
        predicted = model.eval()()[torch.as_tensor(test[0], dtype=torch.long)].argmax(1)
    return float((predicted.numpy() == test[1]).mean())
