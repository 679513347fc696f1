"""A model's knowledge: entity vectors, how they are fused, and how answers are read from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from kept.data.batch import Mentions
from kept.modeling.decoders import ENTITY_DECODERS, AnswerGate
from kept.modeling.fusion import FUSIONS
from kg.errors import InputError

if TYPE_CHECKING:
    from kg.embedding.vectors import Vectors


class Knowledge(nn.Module):
    """Fusion, decoders and gate over frozen entity vectors.

    The vectors are divided by one number, their standard deviation when they were first set; it is kept when they
    are replaced, so that a replaced graph is read in the same units.

    Args:
        width, layers: of the stack.
        fusion, options: the way of fusing and its keyword arguments.
        scorer, dim: the scorer that made the vectors, and their width.
        decoders: entity decoders by name; the first one answers.
    """

    def __init__(
        self,
        width: int,
        layers: int,
        *,
        fusion: str = "mentions",
        options: dict[str, Any] | None = None,
        scorer: str = "complex",
        dim: int = 128,
        decoders: tuple[str, ...] = ("operator",),
    ) -> None:
        from kg.embedding.scorers import SCORERS

        super().__init__()
        self.dim = dim
        self.scorer_name = scorer
        self.fusion = FUSIONS[fusion](width, dim, layers, **(options or {}))
        rules = SCORERS[scorer](num_entities=1, num_relations=1, dim=dim)
        self.decoders = nn.ModuleDict({name: ENTITY_DECODERS[name](width, rules) for name in decoders})
        self.gate = AnswerGate(width)
        self.scale: Tensor
        self.register_buffer("scale", torch.zeros(()))
        self.table: Tensor
        self.register_buffer("table", torch.zeros(0, dim), persistent=False)
        self.vectors: Vectors | None = None

    @property
    def answering(self) -> str:
        """The decoder whose scores count as the entity route."""
        return next(iter(self.decoders))

    def set_vectors(self, vectors: Vectors) -> None:
        """Use these vectors from now on; no weight changes."""
        entities = torch.as_tensor(vectors.entities, dtype=torch.float32)
        if entities.shape[1] != self.dim:
            raise InputError(f"the model reads vectors of width {self.dim}, these have {entities.shape[1]}")
        if self.scale == 0:
            self.scale.copy_(entities.std())
        self.table = (entities / self.scale.cpu()).to(self.scale.device)
        self.vectors = vectors

    def look_up(self, mentions: Mentions) -> Tensor:
        """(B, M, dim): each mention's vector; zeros where there is none or where it is hidden."""
        if not len(self.table):
            raise InputError("this model has no entity vectors yet; give it some with set_knowledge(vectors)")
        shown = (mentions.mask & mentions.visible)[..., None]
        return self.table[mentions.entity.clamp(max=len(self.table) - 1)] * shown
