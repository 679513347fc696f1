"""The shape of a model, kept beside its weights."""

from __future__ import annotations

from typing import Any

from transformers import AutoConfig, PretrainedConfig


class KeptConfig(PretrainedConfig):
    """What `KeptModel` is made of.

    Args:
        width, layers, heads, hidden: the shared stack.
        block: how streams meet, a name of `BLOCKS`.
        block_options: its keyword arguments.
        vocabulary, max_pieces: word pieces and the most of them in a text.
        slots: the most pieces of a name that are read from one [MASK], its end included.
        text: {"tower": name of `TOWERS`, and its keyword arguments}, or None for plain piece embeddings.
        image: keyword arguments of the picture tower, with "tower" unless it is that of patches, or None for a model
            without pictures.
        regions: keyword arguments of the region tower, or None for a model that reads no regions.
        region_features: where the features of its regions come from, as a recipe says it.
        grid_features: the frozen network whose maps of pictures its tower "grid" reads, as
            {"weights": folder, "size": pixels of a side, "digest": hash of the weights}, or None.
        head_options: heads by name of `HEADS`, and their keyword arguments.
        classes: names of "answers", "objects", "attributes" and "predicates", in the order of the heads' logits.
        knowledge: None for a text model, else {"fusion": name of `FUSIONS`, "options": its keyword arguments,
            "scorer": name of `SCORERS`, "dim": width of the entity vectors, "decoders": names of `ENTITY_DECODERS`}.
        seed: what the weights are drawn from.
    """

    model_type = "kept"

    def __init__(
        self,
        width: int = 128,
        layers: int = 2,
        heads: int = 4,
        hidden: int = 352,
        dropout: float = 0.1,
        block: str = "merge",
        block_options: dict[str, Any] | None = None,
        vocabulary: int = 4000,
        max_pieces: int = 64,
        slots: int = 9,
        text: dict[str, Any] | None = None,
        image: dict[str, Any] | None = None,
        regions: dict[str, Any] | None = None,
        region_features: dict[str, Any] | None = None,
        grid_features: dict[str, Any] | None = None,
        head_options: dict[str, dict[str, Any]] | None = None,
        classes: dict[str, list[str]] | None = None,
        knowledge: dict[str, Any] | None = None,
        seed: int = 0,
        **others: Any,
    ) -> None:
        self.width, self.layers, self.heads, self.hidden = width, layers, heads, hidden
        self.dropout, self.block, self.block_options = dropout, block, block_options
        self.vocabulary, self.max_pieces, self.slots = vocabulary, max_pieces, slots
        self.text, self.image, self.regions, self.region_features = text, image, regions, region_features
        self.grid_features = grid_features
        self.head_options, self.classes = head_options, classes
        self.knowledge, self.seed = knowledge, seed
        super().__init__(**others)


AutoConfig.register(KeptConfig.model_type, KeptConfig)
