"""A trained model as a scorer of candidates: tokens, entities, and both behind the gate."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from kept.data.batch import Batch
from kept.data.drawings import PixelPictures
from kept.data.noise import Noise
from kept.data.record import Mention, Record
from kept.data.tokenized import Pictures, TokenizedRecords
from kept.data.tokenizer import load_tokenizer
from kept.linking import Linker
from kept.linking.pictures import PictureLinker
from kept.modeling.model import KeptModel
from kept.probing.items import MASK, AnswerSpace, ProbeItem
from kept.probing.names import NameTable
from kept.probing.scorers import ANSWER
from kept.training.encode import encode_pictures
from kept.training.grid import GridNetwork
from kg.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from kg import KnowledgeGraph
    from kg.embedding import Vectors

TOKENS, ENTITIES = "tokens", "entities"
BATCH = 128
FEW = 16
"""Answer spaces with at most so many candidates are scored together, since most questions bring their own."""
TABLES = 16
"""Answer spaces whose tables of names are kept: choices make up new spaces without end."""


@dataclass(slots=True)
class ModelScorer:
    """Asks a model for the names and the entities at [MASK].

    Routes: "tokens", log p(name) piece by piece with its end; "entities", log p(entity) over the whole graph; "answer",
    both mixed by the gate, log(g p(entity) + (1 - g) p(name)). A text model, or one with its knowledge off, has only
    names to give, so its "answer" is that of its tokens. Other entity decoders of the model are routes of their names.

    The text's entities are what the linker finds in the question, a picture's is what the picture linker sees in it;
    the question's own subject is never given.

    Args:
        graph: where names are linked and candidates' keys looked up.
        knowledge: False to ask with the knowledge off.
    """

    model: KeptModel
    tokenizer: PreTrainedTokenizerFast
    graph: KnowledgeGraph
    linker: Linker
    picture_linker: PictureLinker | None = None
    knowledge: bool = True
    _names: dict[str, NameTable] = field(default_factory=dict)
    _places: dict[str, Tensor] = field(default_factory=dict)
    _links: dict[str, tuple[Mention, ...]] = field(default_factory=dict)
    _grid: GridNetwork | None = None

    @classmethod
    def load(
        cls, folder: Path, graph: KnowledgeGraph, *, linker: Linker | None = None, knowledge: bool = True
    ) -> ModelScorer:
        """A saved model, asked with the names of a graph; its `linker` is made anew unless it is at hand."""
        from kept.training.stages import PICTURE_LINKER

        model = KeptModel.load(folder)
        linked = folder / PICTURE_LINKER
        return cls(
            model=model,
            tokenizer=load_tokenizer(folder),
            graph=graph,
            linker=linker or Linker.from_graph(graph),
            picture_linker=PictureLinker.load(linked) if linked.is_file() else None,
            knowledge=knowledge and model.knowledge is not None,
        )

    @property
    def routes(self) -> tuple[str, ...]:
        if not self.knowledge or self.model.knowledge is None:
            return (ANSWER,)
        others = list(self.model.knowledge.decoders)[1:]
        return (ANSWER, ENTITIES, TOKENS, *others)

    @property
    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.contiguous().cpu().numpy().tobytes())
        if self.knowledge and self.model.knowledge is not None:
            digest.update(self.model.knowledge.table.cpu().numpy().tobytes())
        digest.update(self.tokenizer.backend_tokenizer.to_str().encode())
        digest.update(f"{self.graph.hash} {self.knowledge}".encode())
        digest.update(str((self.model.config.grid_features or {}).get("digest", "")).encode())
        return digest.hexdigest()

    def set_vectors(self, vectors: Vectors) -> None:
        """Read other vectors from now on."""
        self.model.set_knowledge(vectors)

    @torch.inference_mode()
    def score(self, items: Sequence[ProbeItem], spaces: Mapping[str, AnswerSpace]) -> dict[str, list[np.ndarray]]:
        found: dict[str, list[np.ndarray]] = {route: [] for route in self.routes}
        for start in range(0, len(items), BATCH):
            chunk = items[start : start + BATCH]
            heard = self.hear([self.record(item) for item in chunk], [item.image for item in chunk])
            for route, scores in self._ask(heard, [item.space(spaces) for item in chunk]).items():
                found[route] += scores
        return found

    def _ask(self, heard: Heard, spaces: Sequence[AnswerSpace]) -> dict[str, list[np.ndarray]]:
        """The scores of all questions that were heard; questions of one space together, and those with few choices."""
        groups: dict[str, list[int]] = {}
        for row, space in enumerate(spaces):
            groups.setdefault(space.digest if len(space.candidates) > FEW else "few", []).append(row)
        found: dict[str, list[np.ndarray]] = {route: [np.empty(0)] * len(spaces) for route in self.routes}
        for group, rows in groups.items():
            space = united([spaces[row] for row in rows]) if group == "few" else spaces[rows[0]]
            place = {candidate: number for number, candidate in enumerate(space.candidates)}
            scores = heard.score_rows(torch.tensor(rows, device=heard.hidden.device), space, self)
            for route, given in scores.items():
                for row, one in zip(rows, given.cpu().numpy(), strict=True):
                    own = spaces[row].candidates
                    found[route][row] = one[[place[candidate] for candidate in own]] if group == "few" else one
        return found

    def record(self, item: ProbeItem) -> Record:
        """A question as a record: its text with the model's own mask, its mentions, its picture."""
        if item.query.count(MASK) != 1:
            raise InputError(f"{item.id}: the question {item.query!r} needs exactly one {MASK}")
        if item.query not in self._links:
            self._links[item.query] = tuple(self.linker.link(item.query))
        return Record(id=item.id, text=item.query, mentions=self._links[item.query], image=item.image)

    @torch.inference_mode()
    def hear(self, records: Sequence[Record], images: Sequence[str | None]) -> Heard:
        """Run the model over questions once; `Heard` then scores any candidates."""
        batch, place = self.collate(records, images)
        return Heard.run(self.model, batch, place, self.knowledge)

    @torch.inference_mode()
    def collate(self, records: Sequence[Record], images: Sequence[str | None]) -> tuple[Batch, Tensor]:
        """Questions as a batch, and where in its text each one's [MASK] stands (B,)."""
        corpus = TokenizedRecords.build(
            self.model.rewritten(records, knowledge=self.knowledge),
            self.tokenizer,
            pictures=self._see(images),
            max_length=self.model.config.max_pieces,
        )
        batch = corpus.batch(np.arange(len(records)), Noise(0, 0)).to(self.model.device)
        masks = batch.text.ids == self.tokenizer.mask_token_id
        if not masks.any(dim=1).all():
            raise InputError(f"the question {records[int((~masks.any(dim=1)).nonzero()[0])].text!r} is too long")
        return batch, masks.int().argmax(dim=1)

    def _see(self, images: Sequence[str | None]) -> Pictures | None:
        """The pictures of the questions, encoded and linked; as maps of a frozen network they are not linked."""
        names = sorted({image for image in images if image is not None})
        if not names:
            return None
        if self.model.config.grid_features is not None:
            self._grid = self._grid or GridNetwork.of_model(self.model)
        if self._grid is not None:
            return self._grid.show([Path(name) for name in names], names)
        if self.picture_linker is None or self.model.config.image is None:
            raise InputError("this model was not trained on pictures, so it cannot look at one")
        from kept.data.pictures import PLAIN, load_pictures

        pixels = load_pictures(names, size=int(self.model.config.image.get("size", 24)))
        shown = PixelPictures(pixels, names, look=PLAIN)
        return encode_pictures(self.model, shown, self.picture_linker, drawings=1)

    def names(self, space: AnswerSpace) -> NameTable:
        """The candidates' names with their ends, as pieces."""
        if space.digest not in self._names:
            end = int(self.tokenizer.sep_token_id)
            ids = self.tokenizer([candidate.name for candidate in space.candidates], add_special_tokens=False)
            names = [[*name, end] for name in ids["input_ids"]]
            if len(self._names) == TABLES:
                del self._names[next(iter(self._names))]
            self._names[space.digest] = NameTable.build(names, self.model.config.slots, self.model)
        return self._names[space.digest]

    def places(self, space: AnswerSpace) -> Tensor:
        """(C,) the graph's ids of candidates, -1 for what the graph does not know."""
        if space.digest not in self._places:
            known = [self.graph.entities.get(candidate.key) for candidate in space.candidates]
            ids = torch.tensor([-1 if entity is None else entity for entity in known])
            self._places[space.digest] = ids.to(self.model.device)
        return self._places[space.digest]


@dataclass(frozen=True, slots=True)
class Heard:
    """What a model made of some questions.

    Args:
        model: which model.
        hidden: (B, D) its states at the answers' places.
        entities: log-probabilities (B, N) by entity decoder, the answering one first; empty without knowledge.
        gate: (B,) log-odds that answers are mixed by, graph against text, or None without knowledge.
    """

    model: KeptModel
    hidden: Tensor
    entities: Mapping[str, Tensor]
    gate: Tensor | None

    @classmethod
    @torch.inference_mode()
    def run(cls, model: KeptModel, batch: Batch, place: Tensor, knowledge: bool) -> Heard:
        """Encode a batch and decode it at `place` (B,)."""
        rows = torch.arange(len(batch), device=place.device)
        read = torch.zeros_like(batch.text.mask).index_put((rows, place), torch.tensor(True, device=place.device))
        encodings = model.encode(batch, knowledge=knowledge, read=read)
        hidden = encodings.streams["text"].states[rows, place]
        if not knowledge or model.knowledge is None:
            return cls(model, hidden, {}, None)
        logits = {name: model.entity_logits(encodings, rows, place, name) for name in model.knowledge.decoders}
        gate = model.knowledge.gate.decide(hidden, logits[model.knowledge.answering])
        return cls(model, hidden, {name: found.log_softmax(dim=1) for name, found in logits.items()}, gate)

    def score(self, row: int, space: AnswerSpace, scorer: ModelScorer) -> dict[str, Tensor]:
        """The scores of one question's candidates by each route."""
        rows = torch.tensor([row], device=self.hidden.device)
        return {route: found[0] for route, found in self.score_rows(rows, space, scorer).items()}

    def score_rows(self, rows: Tensor, space: AnswerSpace, scorer: ModelScorer) -> dict[str, Tensor]:
        """The scores (n, C) of several questions' candidates, all of one space, by each route."""
        tokens = self.name_scores(rows, scorer.names(space))
        if self.gate is None:
            return {ANSWER: tokens}
        places = scorer.places(space)
        entities = {
            name: torch.where(places >= 0, found[rows][:, places.clamp(min=0)], -torch.inf)
            for name, found in self.entities.items()
        }
        first, *others = entities
        gate = self.gate[rows, None]
        mixed = torch.logaddexp(logsigmoid(gate) + entities[first], logsigmoid(-gate) + tokens)
        return {ANSWER: mixed, ENTITIES: entities[first], TOKENS: tokens, **{name: entities[name] for name in others}}

    def name_scores(self, rows: Tensor, names: NameTable) -> Tensor:
        """(n, C): log p of every candidate's name."""
        slots = torch.arange(names.slots, device=rows.device).repeat(len(rows))
        repeated = self.hidden[rows].repeat_interleave(names.slots, dim=0)
        return names.log_probabilities(self.model.name_logits(repeated, slots).view(len(rows), names.slots, -1))


def united(spaces: Sequence[AnswerSpace]) -> AnswerSpace:
    """All candidates of several spaces, each once."""
    unique = {candidate: None for space in spaces for candidate in space.candidates}
    return AnswerSpace("united", tuple(unique))
