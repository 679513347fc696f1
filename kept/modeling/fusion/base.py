"""What a way of fusing knowledge may do, and nothing more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from kept.data.batch import Mentions
from kept.modeling.streams import Stream, Streams
from kg.registry import Registry

if TYPE_CHECKING:
    from kept.data.record import Record
    from kept.objectives.base import Objective

FUSIONS: Registry[type[Fusion]] = Registry("fusion")


class Fusion(nn.Module):
    """Five optional hooks around a shared stack; each does nothing unless a subclass says otherwise.

    A fusion is *off* when no hook is called at all: the outputs then equal the backbone's bit for bit.

    Args:
        width: the stack's hidden width D.
        dim: the entity vectors' width.
        layers: how many layers the stack has.
    """

    def __init__(self, width: int, dim: int, layers: int) -> None:
        super().__init__()
        self.width, self.dim, self.layers = width, dim, layers

    def rewrite(self, record: Record) -> Record:
        """Change a record before it is tokenised (K-BERT and CoLAKE put triples into its text)."""
        return record

    def inputs(self, streams: Streams, mentions: Mentions, vectors: Tensor) -> dict[str, Stream]:
        """Add or change streams before the first layer; `vectors` (B, M, dim) are the mentions' entity vectors."""
        return dict(streams)

    @property
    def changes_final_states(self) -> bool:
        """Whether `layer` does anything after the last layer of the stack, and so needs all its states."""
        return True

    def layer(self, index: int, streams: Streams, mentions: Mentions) -> dict[str, Stream]:
        """Change streams after layer `index` of the stack; called with -1 before the first."""
        return dict(streams)

    def visible(self, streams: Streams) -> Tensor | None:
        """Restrict who sees whom, (B or 1, H or 1, L, L) over the streams end to end."""
        return None

    def objective(self) -> Objective | None:
        """What it asks to be trained on beside the recipe's objectives (KEPLER, WKLM), over all sources of a stage."""
        return None
