"""SME: head and tail are combined with the relation apart, then matched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kg.embedding.scorers.base import SCORERS, Scorer
from kg.errors import InputError, nearest

FORMS = ("linear", "bilinear")


@SCORERS.register("sme")
class SME(Scorer):
    """SME, semantic matching energy: f(h, r, t) = <g_u(h, r), g_v(t, r)>.

        linear:    g(x, r) = W x + W' r + b
        bilinear:  g(x, r) = (W x) * (W' r) + b

    The linear form has one interaction of h and t for all relations: it cannot tell a relation from its inverse by the
    pair alone. The bilinear one expresses symmetric, antisymmetric and inverse relations. All candidates cost one
    product, for the tail is only ever mapped linearly.

    Args:
        form: linear or bilinear.

    Source: Bordes et al. 2014, "A Semantic Matching Energy Function for Learning with Multi-relational Data",
    section 3.

        >>> scorer = SME(num_entities=5, num_relations=2, dim=8, form="linear")
        >>> scorer.score_tails(torch.tensor([0]), torch.tensor([1])).shape
        torch.Size([1, 5])
    """

    defaults: ClassVar[Mapping[str, Any]] = {"optimizer": "adam", "lr": 0.003}

    def __init__(
        self, num_entities: int, num_relations: int, dim: int = 200, *, form: str = "bilinear", **shared: Any
    ) -> None:
        if form not in FORMS:
            raise InputError(f"scorer_options.form: no form is called {form!r}; {nearest(form, FORMS)}")
        super().__init__(num_entities, num_relations, dim, **shared)
        self.form = form
        self.head_map, self.tail_map = (nn.Linear(dim, dim, bias=False) for _ in range(2))
        self.head_relation_map, self.tail_relation_map = (nn.Linear(dim, dim, bias=False) for _ in range(2))
        self.head_bias, self.tail_bias = (nn.Parameter(torch.zeros(dim)) for _ in range(2))

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        first, second = self.head_relation_map(relation), self.tail_relation_map(relation)
        if self.form == "linear":
            left = self.head_map(head) + first + self.head_bias
            direction, constant = left, second + self.tail_bias
        else:
            left = self.head_map(head) * first + self.head_bias
            direction, constant = left * second, self.tail_bias.expand_as(left)
        return torch.cat([direction @ self.tail_map.weight, (left * constant).sum(-1, keepdim=True)], -1)

    def match(self, query: Tensor, tail: Tensor) -> Tensor:
        return (query[..., :-1] * tail).sum(-1) + query[..., -1]

    def compare(self, query: Tensor, entities: Tensor) -> Tensor:
        left, right = self.as_product(query, entities)
        return left @ right.T

    def as_product(self, query: Tensor, entities: Tensor) -> tuple[Tensor, Tensor]:
        return query, torch.cat([entities, torch.ones_like(entities[:, :1])], 1)
