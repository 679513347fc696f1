"""Records turned into flat arrays once, so that a batch is a gather and not a loop over sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from kept.data.batch import Batch, Host, Image, Mentions, Text
from kept.data.noise import Noise, key_of
from kg.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from kept.data.record import Record

Integers = NDArray[np.int64]


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
    """

    keys: Integers
    offsets: Integers
    ids: Integers
    words: Integers
    mention_offsets: Integers
    mentions: Integers
    answer: Integers
    picture: Integers
    pad: int
    pictures: Pictures | None = None
    known: KnownPairs | None = None
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
    ) -> TokenizedRecords:
        """Tokenise records; mentions that the cut at `max_length` pieces removes or shortens are dropped.

        Raises:
            InputError: when there is no record at all, or one names a picture that is not there.
        """
        records = list(records)
        if not records:
            raise InputError("there are no records to tokenise")
        encoded = tokenizer(
            [record.text or "" for record in records],
            truncation=True,
            max_length=max_length,
            return_offsets_mapping=True,
            return_attention_mask=False,
        )
        ids = [np.asarray(row, dtype=np.int64) for row in encoded["input_ids"]]
        words = [
            np.asarray([-1 if word is None else word for word in encoded.word_ids(row)], dtype=np.int64)
            for row in range(len(records))
        ]
        found = [
            _pieces_of(record, offsets) for record, offsets in zip(records, encoded["offset_mapping"], strict=True)
        ]
        mentions = [list(pieces.values()) for pieces in found]
        answer = [
            list(pieces).index(record.tail) if record.tail in pieces else -1
            for record, pieces in zip(records, found, strict=True)
        ]
        picture = [-1 if pictures is None or not record.image else pictures.index(record.image) for record in records]
        return cls(
            keys=np.asarray([key_of(record.id) for record in records], dtype=np.int64),
            offsets=_offsets(ids),
            ids=_flat(ids),
            words=_flat(words),
            mention_offsets=_offsets(mentions),
            mentions=np.asarray([row for rows in mentions for row in rows], dtype=np.int64).reshape(-1, 3),
            answer=np.asarray(answer, dtype=np.int64),
            picture=np.asarray(picture, dtype=np.int64),
            pad=int(tokenizer.pad_token_id),
            pictures=pictures,
            known=known,
        )

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def lengths(self) -> Integers:
        return np.diff(self.offsets)

    def batch(self, rows: Integers, noise: Noise) -> Batch:
        """Collate the given records: pad, draw their pictures, mark what the graph knows."""
        keys = torch.from_numpy(self.keys[rows])
        ids, mask = _padded(self.ids, self.offsets, rows, self.pad)
        words, _ = _padded(self.words, self.offsets, rows, -1)
        text = Text(
            ids=torch.from_numpy(ids),
            mask=torch.from_numpy(mask),
            special=torch.from_numpy(words < 0),
            words=torch.from_numpy(words),
        )
        found, there = _padded(self.mentions, self.mention_offsets, rows, 0)
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
        return Batch(torch.from_numpy(self.keys[rows]), torch.from_numpy(rows), text, mentions, image, identity)

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
        words = [_padded(self.ids, self.offsets, rows, self.pad, width)[0] for rows in (left, right)]
        same |= (words[0] == words[1]).all(axis=1)
        found = [_padded(self.mentions, self.mention_offsets, rows, -1) for rows in (left, right)]
        equal = found[0][0][:, :, None, 0] == found[1][0][:, None, :, 0]
        same |= (equal & found[0][1][:, :, None] & found[1][1][:, None, :]).any(axis=(1, 2))
        return np.logical_not(same)

    def _known(self, entity: Integers, there: NDArray[np.bool_]) -> NDArray[np.bool_]:
        if self.known is None:
            return np.zeros_like(there)
        left, right = entity[:, :, None], entity[:, None, :]
        joined = self.known.contains(left, right) & (left != right)
        return np.asarray((joined & there[:, :, None] & there[:, None, :]).any(axis=2))


def _pieces_of(record: Record, offsets: Sequence[tuple[int, int]]) -> dict[int, tuple[int, int, int]]:
    """A record's mentions in pieces instead of characters, by their place in the record."""
    found = {}
    for place, mention in enumerate(record.mentions):
        covered = [
            piece
            for piece, (start, end) in enumerate(offsets)
            if end > start and start < mention.end and end > mention.start
        ]
        if covered and not (record.text or "")[offsets[covered[-1]][1] : mention.end].strip():
            found[place] = (mention.entity, covered[0], covered[-1] + 1)
    return found


def _flat(rows: Sequence[Integers]) -> Integers:
    return np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)


def _offsets(rows: Sequence[Sequence[object] | Integers]) -> Integers:
    return np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)


def _padded(
    flat: Integers, offsets: Integers, rows: Integers, fill: int, width: int | None = None
) -> tuple[Integers, NDArray[np.bool_]]:
    """Rows of a flat array as (B, width or the longest, ...), and where they are real."""
    starts, lengths = offsets[rows], offsets[rows + 1] - offsets[rows]
    places = np.arange(int(lengths.max(initial=0)) if width is None else width)
    mask = places[None, :] < lengths[:, None]
    index = np.where(mask, starts[:, None] + places[None, :], 0)
    if not len(flat):
        return np.full((*mask.shape, *flat.shape[1:]), fill, dtype=np.int64), mask
    values = flat[index]
    values[~mask] = fill
    return values, mask
