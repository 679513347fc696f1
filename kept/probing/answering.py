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
from kept.data.drawings import EncodedPictures, PixelPictures
from kept.data.noise import Noise
from kept.data.record import Mention, Record
from kept.data.tokenized import TokenizedRecords
from kept.data.tokenizer import load_tokenizer
from kept.linking import Linker
from kept.linking.pictures import PictureLinker
from kept.modeling.model import KeptModel
from kept.probing.items import MASK, AnswerSpace, ProbeItem
from kept.probing.scorers import ANSWER
from kept.training.encode import encode_pictures
from kg.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from kg import KnowledgeGraph
    from kg.embedding import Vectors

TOKENS, ENTITIES = "tokens", "entities"
BATCH = 128


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
    _pieces: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)
    _places: dict[str, Tensor] = field(default_factory=dict)
    _links: dict[str, tuple[Mention, ...]] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path, graph: KnowledgeGraph, *, knowledge: bool = True) -> ModelScorer:
        """A saved model, asked with the names of a graph."""
        from kept.training.stages import PICTURE_LINKER

        model = KeptModel.load(folder)
        linked = folder / PICTURE_LINKER
        return cls(
            model=model,
            tokenizer=load_tokenizer(folder),
            graph=graph,
            linker=Linker.from_graph(graph),
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
        """The scores of all questions that were heard, questions of one space together."""
        groups: dict[str, list[int]] = {}
        for row, space in enumerate(spaces):
            groups.setdefault(space.digest, []).append(row)
        found: dict[str, list[np.ndarray]] = {route: [np.empty(0)] * len(spaces) for route in self.routes}
        for rows in groups.values():
            scores = heard.score_rows(torch.tensor(rows, device=heard.names.device), spaces[rows[0]], self)
            for route, given in scores.items():
                for row, one in zip(rows, given.cpu().numpy(), strict=True):
                    found[route][row] = one
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
            records,
            self.tokenizer,
            pictures=self._see(images),
            max_length=self.model.config.max_pieces,
        )
        batch = corpus.batch(np.arange(len(records)), Noise(0, 0)).to(self.model.device)
        masks = batch.text.ids == self.tokenizer.mask_token_id
        if not masks.any(dim=1).all():
            raise InputError(f"the question {records[int((~masks.any(dim=1)).nonzero()[0])].text!r} is too long")
        return batch, masks.int().argmax(dim=1)

    def _see(self, images: Sequence[str | None]) -> EncodedPictures | None:
        """The pictures of the questions, encoded and linked."""
        names = sorted({image for image in images if image is not None})
        if not names:
            return None
        if self.picture_linker is None or self.model.config.image is None:
            raise InputError("this model was not trained on pictures, so it cannot look at one")
        from kept.data.pictures import PLAIN, load_pictures

        pixels = load_pictures(names, size=int(self.model.config.image.get("size", 24)))
        shown = PixelPictures(pixels, names, look=PLAIN)
        return encode_pictures(self.model, shown, self.picture_linker, drawings=1)

    def pieces(self, space: AnswerSpace) -> tuple[Tensor, Tensor]:
        """(C, slots) piece ids of each candidate's name with its end, and where they are real."""
        if space.digest not in self._pieces:
            slots, end = self.model.config.slots, int(self.tokenizer.sep_token_id)
            names = [candidate.name for candidate in space.candidates]
            ids = self.tokenizer(names, add_special_tokens=False)["input_ids"]
            rows = torch.zeros(len(names), slots, dtype=torch.int64)
            real = torch.zeros(len(names), slots, dtype=torch.bool)
            for row, name in enumerate(ids):
                cut = [*name, end][:slots]
                rows[row, : len(cut)] = torch.tensor(cut)
                real[row, : len(cut)] = True
            self._pieces[space.digest] = (rows.to(self.model.device), real.to(self.model.device))
        return self._pieces[space.digest]

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
        names: (B, slots, V) logits of the pieces of the answer's name, the piece before left out of account.
        entities: log-probabilities (B, N) by entity decoder, the answering one first; empty without knowledge.
        gate: (B,) log-odds that the answer lies in the graph, or None without knowledge.
    """

    names: Tensor
    entities: Mapping[str, Tensor]
    gate: Tensor | None

    @classmethod
    @torch.inference_mode()
    def run(cls, model: KeptModel, batch: Batch, place: Tensor, knowledge: bool) -> Heard:
        """Encode a batch and decode it at `place` (B,)."""
        encodings = model.encode(batch, knowledge=knowledge)
        rows = torch.arange(len(batch), device=place.device)
        hidden = encodings.streams["text"].states[rows, place]
        slots = model.config.slots
        repeated = hidden.repeat_interleave(slots, dim=0)
        slot = torch.arange(slots, device=place.device).repeat(len(batch))
        names = model.name_logits(repeated, slot).view(len(batch), slots, -1)
        if not knowledge or model.knowledge is None:
            return cls(names, {}, None)
        logits = {name: model.entity_logits(encodings, rows, place, name) for name in model.knowledge.decoders}
        gate = model.knowledge.gate(hidden, logits[model.knowledge.answering])
        return cls(names, {name: found.log_softmax(dim=1) for name, found in logits.items()}, gate)

    def score(self, row: int, space: AnswerSpace, scorer: ModelScorer) -> dict[str, Tensor]:
        """The scores of one question's candidates by each route."""
        rows = torch.tensor([row], device=self.names.device)
        return {route: found[0] for route, found in self.score_rows(rows, space, scorer).items()}

    def score_rows(self, rows: Tensor, space: AnswerSpace, scorer: ModelScorer) -> dict[str, Tensor]:
        """The scores (n, C) of several questions' candidates, all of one space, by each route."""
        tokens = self.name_scores(rows, scorer.pieces(space), scorer.model)
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

    def name_scores(self, rows: Tensor, names: tuple[Tensor, Tensor], model: KeptModel) -> Tensor:
        """(n, C): log p of every candidate's name, sum_j log p(w_j | [MASK], w_before).

        The logits of a piece are a part that knows the question and a part that knows the piece before, so all
        normalisers come from one product of their exponentials: log sum_v exp(a_v + b_v) = log(exp(a) exp(b)^T).
        """
        pieces, real = names
        logits = self.names[rows]
        total = logits[:, 0].log_softmax(dim=1)[:, pieces[:, 0]]
        for slot in range(1, int(real.sum(dim=1).max())):
            there = real[:, slot].nonzero().squeeze(1)
            before, which = pieces[there, slot - 1].unique(return_inverse=True)
            question, following = logits[:, slot].double(), model.continuation_logits(before).double()
            highest, steepest = question.amax(1, keepdim=True), following.amax(1, keepdim=True)
            sums = (question - highest).exp() @ (following - steepest).exp().T
            normaliser = sums.clamp(min=torch.finfo(sums.dtype).tiny).log() + highest + steepest.T
            piece = pieces[there, slot]
            found = question[:, piece] + following[which, piece] - normaliser[:, which]
            total = total.index_add(1, there, found.to(total.dtype))
        return total
