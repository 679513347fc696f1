"""Records turned into flat arrays once, so that a batch is a gather and not a loop over sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from kept.data.batch import IGNORE, Batch, Host, Image, Mentions, Text
from kept.data.columns import Classes, Integers, Pieces, RegionColumns, RegionFeatures, TextColumn, padded, ragged
from kept.data.naming import namings
from kept.data.noise import Noise, key_of
from kg.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from kept.data.record import Record


class Pictures(Protocol):
    """Where a corpus gets its pictures from."""

    def index(self, image: str) -> int:
        """The number of a picture; raises `InputError` when it is not there."""

    def draw(self, pictures: Integers, keys: torch.Tensor, noise: Noise) -> tuple[Image, Integers | None]:
        """One drawing of each picture (-1 for none), and the entity that a linker saw in it (-1 for none)."""


class KnownPairs:
    """The pairs of entities that some edge of the graph joins, in either direction.

    >>> KnownPairs(np.array([[0, 0, 2]]), 3).contains(np.array([2, 1]), np.array([0, 2])).tolist()
    [True, False]
    """

    def __init__(self, triples: NDArray[np.integer], num_entities: int) -> None:
        self.num_entities = num_entities
        heads, tails = triples[:, 0].astype(np.int64), triples[:, 2].astype(np.int64)
        self._codes = np.unique(np.concatenate([heads * num_entities + tails, tails * num_entities + heads]))

    def contains(self, left: Integers, right: Integers) -> NDArray[np.bool_]:
        if not len(self._codes):
            return np.zeros(np.broadcast_shapes(left.shape, right.shape), dtype=bool)
        codes = left * self.num_entities + right
        place = np.searchsorted(self._codes, codes).clip(max=len(self._codes) - 1)
        return np.equal(self._codes[place], codes)


@dataclass(frozen=True, slots=True)
class TokenizedRecords:
    """Tokenised records: flat arrays with offsets.

    Args:
        keys: (N,) a hash of each record's id.
        offsets: (N + 1,) where each record's pieces begin in `ids` and `words`.
        ids, words: word pieces with their specials, and the word each belongs to (-1 at specials).
        mention_offsets: (N + 1,) where each record's mentions begin in `mentions`.
        mentions: (all, 3) entity, first piece, piece after the last.
        answer: (N,) which of its mentions a record is about, -1 for none.
        picture: (N,) the number of each record's picture, -1 for none.
        pictures: the pictures themselves.
        known: the pairs that the graph joins; without it no mention is known.
        reply: the answers in pieces, or None where no record has one.
        answer_class: (N,) the class of each answer, IGNORE for none or one that has no class.
        regions: the parts of the pictures, or None where no record has any.
    """

    keys: Integers
    offsets: Integers
    ids: Pieces
    words: Pieces
    mention_offsets: Integers
    mentions: Integers
    answer: Integers
    picture: Integers
    pad: int
    pictures: Pictures | None = None
    known: KnownPairs | None = None
    reply: TextColumn | None = None
    answer_class: Integers | None = None
    regions: RegionColumns | None = None
    _negatives: dict[tuple[int, float], Integers] = field(default_factory=dict)

    @classmethod
    def build(
        cls,
        records: Iterable[Record],
        tokenizer: PreTrainedTokenizerFast,
        *,
        pictures: Pictures | None = None,
        known: KnownPairs | None = None,
        max_length: int = 128,
        classes: Classes = MappingProxyType({}),
        features: RegionFeatures | None = None,
        with_regions: bool = True,
    ) -> TokenizedRecords:
        """Tokenise records; mentions that the cut at `max_length` pieces removes or shortens are dropped.

        The text of a record that asks is its question, behind its text if it has one.

        Args:
            classes: the names that answers, labels, attributes and predicates are looked up in.
            features: gives regions their features; without it they bring their own.
            with_regions: False to leave the regions out, for models that have no use for them.

        Raises:
            InputError: when there is no record at all, one names a picture that is not there, or a region has no
                feature.
        """
        records = list(records)
        if not records:
            raise InputError("there are no records to tokenise")
        encoded = tokenizer(
            [read_text(record) for record in records],
            truncation=True,
            max_length=max_length,
            return_offsets_mapping=True,
            return_attention_mask=False,
        )
        words = [[-1 if word is None else word for word in encoded.word_ids(row)] for row in range(len(records))]
        spans = encoded["offset_mapping"]
        found = [_mentions_in(record, offsets) for record, offsets in zip(records, spans, strict=True)]
        mentions, mention_offsets = ragged([list(pieces.values()) for pieces in found], 3)
        ids, offsets = ragged(encoded["input_ids"], kind=np.int32)
        answer = [
            list(pieces).index(record.tail) if record.tail in pieces else -1
            for record, pieces in zip(records, found, strict=True)
        ]
        picture = [-1 if pictures is None or not record.image else pictures.index(record.image) for record in records]
        replies = [record.answer or "" for record in records]
        numbers = {name: number for number, name in enumerate(classes.get("answers", ()))}
        return cls(
            keys=np.asarray([key_of(record.id) for record in records], dtype=np.int64),
            offsets=offsets,
            ids=ids,
            words=ragged(words, kind=np.int32)[0],
            mention_offsets=mention_offsets,
            mentions=mentions,
            answer=np.asarray(answer, dtype=np.int64),
            picture=np.asarray(picture, dtype=np.int64),
            pad=int(tokenizer.pad_token_id),
            pictures=pictures,
            known=known,
            reply=TextColumn.build(replies, tokenizer, max_length) if any(replies) else None,
            answer_class=np.asarray([numbers.get(reply, IGNORE) for reply in replies], dtype=np.int64),
            regions=(
                RegionColumns.build(records, classes, *_places(records, spans), features) if with_regions else None
            ),
        )

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def lengths(self) -> Integers:
        return np.diff(self.offsets)

    def batch(self, rows: Integers, noise: Noise) -> Batch:
        """Collate the given records: pad, draw their pictures, mark what the graph knows."""
        keys = torch.from_numpy(self.keys[rows])
        ids, mask = padded(self.ids, self.offsets, rows, self.pad)
        words, _ = padded(self.words, self.offsets, rows, -1)
        text = Text(
            ids=torch.from_numpy(ids),
            mask=torch.from_numpy(mask),
            special=torch.from_numpy(words < 0),
            words=torch.from_numpy(words),
        )
        found, there = padded(self.mentions, self.mention_offsets, rows, 0)
        host = np.full(there.shape, int(Host.TEXT), dtype=np.int64)
        image, identity = None, None
        pictures = self.picture[rows]
        if self.pictures is not None and (pictures >= 0).any():
            image, links = self.pictures.draw(pictures, keys, noise)
            identity = torch.from_numpy(np.where(pictures >= 0, pictures, -1 - np.arange(len(rows))))
            if links is not None:
                seen = np.stack([links.clip(min=0), np.zeros_like(links), np.ones_like(links)], axis=1)
                found = np.concatenate([found, seen[:, None]], axis=1)
                there = np.concatenate([there, (links >= 0)[:, None]], axis=1)
                host = np.concatenate([host, np.full((len(rows), 1), int(Host.IMAGE))], axis=1)
        entity = found[..., 0]
        mentions = Mentions(
            entity=torch.from_numpy(entity),
            host=torch.from_numpy(host),
            start=torch.from_numpy(found[..., 1]),
            end=torch.from_numpy(found[..., 2]),
            mask=torch.from_numpy(there),
            visible=torch.from_numpy(there),
            known=torch.from_numpy(self._known(entity, there)),
            answer=torch.from_numpy(self.answer[rows]),
        )
        if identity is None and self.regions is not None:
            identity = torch.from_numpy(np.where(pictures >= 0, pictures, -1 - np.arange(len(rows))))
        return Batch(
            keys=keys,
            rows=torch.from_numpy(rows),
            text=text,
            mentions=mentions,
            image=image,
            identity=identity,
            regions=None if self.regions is None else self.regions.batch(rows),
            reply=None if self.reply is None else self.reply.batch(rows),
            answer=None if self.answer_class is None else torch.from_numpy(self.answer_class[rows]),
        )

    def hard_negatives(self, top_k: int, sim_max: float) -> Integers:
        """`kept.data.tfidf.hard_negatives` of this corpus, computed once for each setting."""
        from kept.data.tfidf import hard_negatives

        if (top_k, sim_max) not in self._negatives:
            self._negatives[top_k, sim_max] = hard_negatives(self, top_k=top_k, sim_max=sim_max)
        return self._negatives[top_k, sim_max]

    def differs(self, left: Integers, right: Integers) -> NDArray[np.bool_]:
        """Whether two records differ in picture and words and share no entity, pair by pair."""
        same = (self.picture[left] == self.picture[right]) & (self.picture[left] >= 0)
        width = max(int(self.lengths[left].max(initial=0)), int(self.lengths[right].max(initial=0)))
        words = [padded(self.ids, self.offsets, rows, self.pad, width)[0] for rows in (left, right)]
        same |= (words[0] == words[1]).all(axis=1)
        found = [padded(self.mentions, self.mention_offsets, rows, -1) for rows in (left, right)]
        equal = found[0][0][:, :, None, 0] == found[1][0][:, None, :, 0]
        same |= (equal & found[0][1][:, :, None] & found[1][1][:, None, :]).any(axis=(1, 2))
        return np.logical_not(same)

    def _known(self, entity: Integers, there: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if self.known is None:
            return np.zeros_like(there)
        left, right = entity[:, :, None], entity[:, None, :]
        joined = self.known.contains(left, right) & (left != right)
        return np.asarray((joined & there[:, :, None] & there[:, None, :]).any(axis=2))


def read_text(record: Record) -> str:
    """What a model reads of a record: its text, then its question."""
    return " ".join(part for part in (record.text, record.question) if part)


def _pieces_within(start: int, end: int, offsets: Sequence[tuple[int, int]], text: str) -> tuple[int, int] | None:
    """Characters [start, end) as pieces [first, last), None where the cut of a long text removed a part of them."""
    covered = [
        place for place, piece in enumerate(offsets) if piece[1] > piece[0] and piece[1] > start and piece[0] < end
    ]
    if not covered or text[offsets[covered[-1]][1] : end].strip():
        return None
    return covered[0], covered[-1] + 1


def _mentions_in(record: Record, offsets: Sequence[tuple[int, int]]) -> dict[int, tuple[int, int, int]]:
    """A record's mentions in pieces instead of characters, by their place in the record."""
    found = {}
    for place, mention in enumerate(record.mentions):
        pieces = _pieces_within(mention.start, mention.end, offsets, read_text(record))
        if pieces is not None:
            found[place] = (mention.entity, *pieces)
    return found


Places = list[list[tuple[int, ...]]]


def _places(records: Sequence[Record], spans: Sequence[Sequence[tuple[int, int]]]) -> tuple[Places, Places]:
    """Each record's grounding, and where its text names what its scene graph holds, in pieces."""
    grounded: Places = []
    named: Places = []
    for record, offsets in zip(records, spans, strict=True):
        text = read_text(record)
        for found, each in ((grounded, record.grounding), (named, namings(record, text) if record.regions else ())):
            pieces = [(_pieces_within(start, end, offsets, text), about) for start, end, *about in each]
            found.append([(*place, *about) for place, about in pieces if place is not None])
    return grounded, named
