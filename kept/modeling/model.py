"""KeptModel: streams of several modalities through one shared stack, with knowledge as one more stream."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint
from transformers import AutoModel, PreTrainedModel
from transformers.utils import logging as transformers_logging

from kept.data.batch import Batch, Image, Mentions, Regions, Text
from kept.modeling import image_tower, text_tower  # noqa: F401
from kept.modeling.blocks import BLOCKS, Place
from kept.modeling.config import KeptConfig
from kept.modeling.decoders import ContrastHeads, MatchHead, PieceDecoder
from kept.modeling.heads import make_heads
from kept.modeling.knowledge import Knowledge
from kept.modeling.layers import initialise
from kept.modeling.rules import Rule, laid_out, within
from kept.modeling.streams import Stream
from kept.modeling.towers import TOWERS
from kept.modeling.visibility import both
from kg.errors import InputError
from kg.storage import read_json

if TYPE_CHECKING:
    from kept.data.record import Record
    from kg.embedding.vectors import Vectors

KNOWLEDGE_FOLDER = "knowledge"


@dataclass(frozen=True, slots=True)
class Encodings:
    """What the stack made of a batch.

    Args:
        streams: final hidden states by stream name.
        mentions: the mentions the batch came with.
        vectors: (B, M, dim) the vectors that were shown, or None when knowledge was off.
    """

    streams: Mapping[str, Stream]
    mentions: Mentions
    vectors: Tensor | None

    @property
    def summary(self) -> Tensor:
        """(B, D): the state of the text's first piece, [CLS]."""
        return self.streams["text"].states[:, 0]


class KeptModel(PreTrainedModel):
    """A multimodal transformer whose knowledge can be switched off, or replaced, without touching a weight.

    Text, pictures and linked entities are streams of one stack. `encode(batch, knowledge=False)` calls no hook of the
    fusion and equals the same backbone without knowledge bit for bit.

        >>> model = KeptModel(KeptConfig(width=8, heads=2, hidden=16, vocabulary=20))
        >>> model.knowledge is None
        True
    """

    config_class = KeptConfig
    main_input_name = "batch"
    _tied_weights_keys: dict[str, str] = {}  # noqa: RUF012
    checkpointing = False
    """Whether blocks keep no activations and compute them again on the way back."""

    def __init__(self, config: KeptConfig) -> None:
        super().__init__(config)
        width = config.width
        self.towers = nn.ModuleDict({"text": self._tower("text", config)})
        for name in ("image", "regions"):
            if getattr(config, name) is not None:
                self.towers[name] = self._tower(name, config)
        if config.image is not None or config.regions is not None:
            self.contrast = ContrastHeads(width)
            self.match = MatchHead(width)
        self.kinds = nn.ParameterDict({name: torch.zeros(width) for name in self.towers})
        block, options = BLOCKS[config.block], config.block_options or {}
        met = (*self.towers, *(("entity",) if config.knowledge is not None else ()))
        self.blocks = nn.ModuleList(
            block(width, config.heads, config.hidden, config.dropout, Place(index, config.layers, met), **options)
            for index in range(config.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.pieces = PieceDecoder(width, config.vocabulary)
        self.slots = nn.Embedding(config.slots, width)
        self.heads = make_heads(config)
        self.knowledge = Knowledge(width, config.layers, **config.knowledge) if config.knowledge is not None else None
        self.post_init()

    @staticmethod
    def _tower(name: str, config: KeptConfig) -> nn.Module:
        """The tower of a stream, by its options in the config."""
        options = dict(getattr(config, name) or {})
        tower = TOWERS[options.pop("tower", {"text": "pieces", "image": "patches", "regions": "regions"}[name])]
        if name == "text":
            options = {"vocabulary": config.vocabulary, "max_length": config.max_pieces, **options}
        return tower(config.width, dropout=config.dropout, **options)

    def _init_weights(self, module: nn.Module) -> None:
        """Weights are drawn by `reset`, part by part."""

    def reset(self, seed: int) -> KeptModel:
        """Draw all weights anew; each part from its own generator, so that no part changes another's draws."""
        for name, part in self.named_children():
            initialise(part, torch.Generator().manual_seed(seed * 1_000_003 + zlib.crc32(name.encode())))
        return self

    def rewritten(self, records: Iterable[Record], *, knowledge: bool = True) -> Iterator[Record]:
        """Records as the fusion wants them tokenised; plain ones without knowledge."""
        if self.knowledge is None or not knowledge:
            return iter(records)
        return map(self.knowledge.fusion.rewrite, records)

    def encode(
        self,
        batch: Batch,
        *,
        knowledge: bool = True,
        pictures: bool = True,
        read: Tensor | None = None,
        rule: Rule | None = None,
    ) -> Encodings:
        """Run the stack over a batch; without `knowledge` or `pictures` as if it had none.

        `read` (B, L) bool says which final states of the text will be looked at. The last block then computes those,
        the entities', the regions' and those of the text that is written; all others are NaN, and a small stack saves
        about a third. `rule` restricts who sees whom.
        """
        streams = self._streams(batch, pictures, rule)
        fused = self.knowledge if knowledge else None
        vectors = None
        mentions = batch.mentions
        if fused is not None:
            vectors = fused.look_up(mentions)
            streams = fused.fusion.inputs(streams, mentions, vectors)
            streams = fused.fusion.layer(-1, streams, mentions)
        visible = both(laid_out(rule, streams), fused.fusion.visible(streams) if fused is not None else None)
        wanted = None
        if read is not None and not (fused is not None and fused.fusion.changes_final_states):
            wanted = {name: torch.full_like(stream.mask, name != "image") for name, stream in streams.items()}
            wanted["text"] = read
        for index, block in enumerate(self.blocks):
            asked = wanted if index == len(self.blocks) - 1 else None
            if self.checkpointing and self.training:
                streams = checkpoint(block, streams, visible, asked, use_reentrant=False)
            else:
                streams = block(streams, visible, asked)
            if fused is not None:
                streams = fused.fusion.layer(index, streams, mentions)
        final = {name: stream.with_states(self.norm(stream.states)) for name, stream in streams.items()}
        if wanted is not None and len(self.blocks):
            # Loud, so that a state which nobody asked for is never mistaken for one.
            final = {
                name: stream.with_states(torch.where(wanted[name][..., None], stream.states, torch.nan))
                for name, stream in final.items()
            }
        return Encodings(final, mentions, vectors)

    def _streams(self, batch: Batch, pictures: bool, rule: Rule | None) -> dict[str, Stream]:
        """What the towers make of the batch's fields, before anything meets."""
        streams = {"text": self._embed("text", batch.text, rule)}
        for name, field in (("image", batch.image), ("regions", batch.regions)):
            if pictures and field is not None and name in self.towers:
                streams[name] = self._embed(name, field)
        if batch.target is not None:
            streams["target"] = self._embed("text", batch.target, rule, "target")
        return streams

    def _embed(self, name: str, field: Text | Image | Regions, rule: Rule | None = None, role: str = "") -> Stream:
        tower, role = self.towers[name], role or name
        if rule is not None and isinstance(field, Text) and getattr(tower, "mixes", False):
            stream = tower(field, visible=within(rule, role, role, {role: field.ids.shape[1]}))
        else:
            stream = tower(field)
        return stream.with_states(stream.states + self.kinds[name])

    def embed_text(self, text: Text) -> Stream:
        """A text through its tower alone, before anything meets."""
        return self._embed("text", text)

    @property
    def piece_table(self) -> Tensor:
        """(V, D): the input embeddings of word pieces, which the output is tied to."""
        return self.get_parameter("towers.text.pieces.weight")

    def piece_logits(self, hidden: Tensor) -> Tensor:
        """(n, D) states -> (n, V) logits of word pieces."""
        return self.pieces(hidden, self.piece_table)

    def name_logits(self, hidden: Tensor, slots: Tensor, before: Tensor | None = None) -> Tensor:
        """(n, D) states at a masked name and (n,) slots -> (n, V) logits of the name's piece in that slot.

        `before` (n,) are the pieces before them, of no meaning in slot 0; without it they are left out of account.
        """
        table = self.piece_table
        state = self.pieces.state(hidden + self.slots(slots))
        if before is not None:
            state = state + self.pieces.continuation(before, table) * (slots > 0)[:, None]
        return linear(state, table, self.pieces.bias)

    def continuation_logits(self, pieces: Tensor) -> Tensor:
        """(n, V): what each of these pieces adds to the logits of the piece behind it."""
        table = self.piece_table
        return self.pieces.continuation(pieces, table) @ table.T

    def entity_logits(self, encodings: Encodings, rows: Tensor, places: Tensor, decoder: str | None = None) -> Tensor:
        """(n, N) logits of all entities as the answers at text places `places` (n,) of the records `rows` (n,)."""
        if self.knowledge is None or encodings.vectors is None:
            raise InputError("this model answers without a graph; give it knowledge to ask for entities")
        head = self.knowledge.decoders[decoder or self.knowledge.answering]
        hidden = encodings.streams["text"].states[rows, places]
        entity = encodings.streams["entity"]
        return head(hidden, entity.states[rows], encodings.vectors[rows], entity.mask[rows], self.knowledge.table)

    def set_knowledge(self, vectors: Vectors) -> None:
        """Replace graph and vectors without touching a weight."""
        if self.knowledge is None:
            raise InputError("this model was trained without knowledge, so it cannot read vectors")
        self.knowledge.set_vectors(vectors)

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:  # type: ignore[override]
        """Write config and safetensors, and the vectors with their graph's hash beside them."""
        with _quietly():
            super().save_pretrained(str(save_directory), **kwargs)
        if self.knowledge is not None and self.knowledge.vectors is not None:
            self.knowledge.vectors.save(Path(save_directory) / KNOWLEDGE_FOLDER)

    @classmethod
    def load(cls, folder: Path) -> KeptModel:
        """A saved model in eval mode, its knowledge included.

        Raises:
            InputError: when the folder holds no model, or a broken one, with its path.
        """
        if not (folder / "config.json").is_file():
            raise InputError(f"{folder}: no model here (no config.json)")
        config = read_json(folder / "config.json")
        kind = config.get("model_type") if isinstance(config, dict) else None
        if kind != KeptConfig.model_type:
            raise InputError(f"{folder / 'config.json'}: a model of type {kind!r}, not {KeptConfig.model_type!r}")
        try:
            with _quietly():
                loaded: Any = cls.from_pretrained(str(folder), local_files_only=True, output_loading_info=True)
        except (OSError, SafetensorError, RuntimeError) as error:
            raise InputError(f"{folder}: the model cannot be read ({' '.join(str(error).split())})") from None
        model, loading = loaded
        for problem in ("missing_keys", "unexpected_keys"):
            if loading[problem]:
                named = problem.replace("_keys", "")
                raise InputError(f"{folder}: the weights do not fit config.json ({named}: {min(loading[problem])})")
        for tensor in itertools.chain(model.parameters(), model.buffers()):
            # Mapped from the file they lie unaligned, and products of matrices then round in another way.
            tensor.data = tensor.data.clone()
        if model.knowledge is not None and (folder / KNOWLEDGE_FOLDER).is_dir():
            from kg.embedding.vectors import Vectors

            model.knowledge.set_vectors(Vectors.load(folder / KNOWLEDGE_FOLDER))
        return model.eval()


AutoModel.register(KeptConfig, KeptModel)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without transformers' bars for a file of a few megabytes, and its own table of what did not fit."""
    shown, verbosity = transformers_logging.is_progress_bar_enabled(), transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if shown:
            transformers_logging.enable_progress_bar()
