"""Columns of tokenised records beside their text: flat arrays with offsets, one row a record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from kept.data.batch import IGNORE, Regions, Text
from kg.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from kept.data.record import Record

Integers = NDArray[np.int64]
Pieces = NDArray[np.int32]
"""Word pieces and words: most of what tokenised records take."""
Floats = NDArray[np.float32]

Classes = Mapping[str, Sequence[str]]
"""Names of classes by what they are of: "answers", "objects", "attributes", "predicates"."""

RegionFeatures = Callable[["Record"], NDArray[np.floating]]
"""What gives a record's regions their features: record -> (R, F)."""


def ragged(rows: Sequence[Sequence[Any]], width: int = 0, kind: type = np.int64) -> tuple[NDArray[Any], Integers]:
    """Rows of unequal lengths end to end, and where each begins; with `width` every entry is a tuple of so many.

    >>> ragged([[1, 2], [], [3]])[1].tolist()
    [0, 2, 2, 3]
    """
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    flat: NDArray[Any] = np.asarray([entry for row in rows for entry in row], dtype=kind)
    return (flat.reshape(-1, width) if width else flat), offsets


def padded(
    flat: NDArray[Any], offsets: Integers, rows: Integers, fill: float, width: int | None = None
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Rows of a flat array as (B, width or the longest, ...), and where they are real; integers become int64."""
    starts, lengths = offsets[rows], offsets[rows + 1] - offsets[rows]
    places = np.arange(int(lengths.max(initial=0)) if width is None else width)
    mask = places[None, :] < lengths[:, None]
    index = np.where(mask, starts[:, None] + places[None, :], 0)
    dtype = np.dtype(np.int64) if flat.dtype.kind == "i" else flat.dtype
    if not len(flat):
        return np.full((*mask.shape, *flat.shape[1:]), fill, dtype=dtype), mask
    values = flat[index].astype(dtype, copy=False)
    values[~mask] = fill
    return values, mask


@dataclass(frozen=True, slots=True)
class TextColumn:
    """Word pieces with their specials, and the word each belongs to (-1 at specials)."""

    ids: Pieces
    words: Pieces
    offsets: Integers
    pad: int

    @classmethod
    def build(cls, texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, max_length: int) -> TextColumn:
        encoded = tokenizer(list(texts), truncation=True, max_length=max_length, return_attention_mask=False)
        words = [[-1 if word is None else word for word in encoded.word_ids(row)] for row in range(len(texts))]
        ids, offsets = ragged(encoded["input_ids"], kind=np.int32)
        return cls(ids, ragged(words, kind=np.int32)[0], offsets, int(tokenizer.pad_token_id))

    def batch(self, rows: Integers) -> Text:
        ids, mask = padded(self.ids, self.offsets, rows, self.pad)
        words, _ = padded(self.words, self.offsets, rows, -1)
        return Text(*(torch.from_numpy(each) for each in (ids, mask, words < 0, words)))


@dataclass(frozen=True, slots=True)
class RegionColumns:
    """The regions of all records.

    Args:
        offsets: (N + 1,) where each record's regions begin in `boxes`, `labels`, `attributes` and `features`.
        boxes: (all, 4); labels: (all,) classes, IGNORE for none; attributes: (all, A) classes, IGNORE behind the last.
        features: (all, F) float16.
        scores: (all, C) float16 distributions over the classes, or None.
        relations, relation_offsets: (all, 3) subject, predicate, object.
        grounding, grounding_offsets: (all, 3) first piece, piece after the last, region.
        naming, naming_offsets: (all, 4) first piece, piece after the last, a `Named`, region.
    """

    offsets: Integers
    boxes: Floats
    labels: Integers
    attributes: Integers
    features: NDArray[np.float16]
    scores: NDArray[np.float16] | None
    relations: Integers
    relation_offsets: Integers
    grounding: Integers
    grounding_offsets: Integers
    naming: Integers
    naming_offsets: Integers

    @classmethod
    def build(
        cls,
        records: Sequence[Record],
        classes: Classes,
        grounded: Sequence[Sequence[tuple[int, ...]]],
        named: Sequence[Sequence[tuple[int, ...]]],
        features: RegionFeatures | None = None,
    ) -> RegionColumns | None:
        """Regions as arrays; None where no record has any.

        Args:
            classes: the names that labels, attributes and predicates are looked up in; others count as none.
            grounded: each record's grounding in pieces.
            named: where each record's text names something, in pieces.
            features: gives regions their features; without it they bring their own.

        Raises:
            InputError: when a region brings no feature, or one of another width than the others.
        """
        if not any(record.regions for record in records):
            return None
        objects, attributes, predicates = (_numbers(classes, of) for of in ("objects", "attributes", "predicates"))
        regions = [record.regions for record in records]
        boxes, offsets = ragged([[region.box for region in row] for row in regions], 4, np.float32)
        labels, _ = ragged([[objects.get(region.label or "", IGNORE) for region in row] for row in regions])
        described = [
            [attributes[name] for name in region.attributes if name in attributes] for row in regions for region in row
        ]
        attribute_values, attribute_offsets = ragged(described)
        relations, relation_offsets = ragged(
            [
                [(r.subject, predicates.get(r.predicate, IGNORE), r.object) for r in record.relations]
                for record in records
            ],
            3,
        )
        grounding, grounding_offsets = ragged(grounded, 3)
        naming, naming_offsets = ragged(named, 4)
        return cls(
            offsets=offsets,
            boxes=boxes,
            labels=labels,
            attributes=padded(attribute_values, attribute_offsets, np.arange(len(described)), IGNORE)[0],
            features=_features(records, features),
            scores=_scores(records, len(objects)),
            relations=relations,
            relation_offsets=relation_offsets,
            grounding=grounding,
            grounding_offsets=grounding_offsets,
            naming=naming,
            naming_offsets=naming_offsets,
        )

    def batch(self, rows: Integers) -> Regions:
        def of_regions(values: NDArray[Any], fill: float) -> torch.Tensor:
            return torch.from_numpy(padded(values, self.offsets, rows, fill)[0])

        boxes, mask = padded(self.boxes, self.offsets, rows, 0.0)
        return Regions(
            boxes=torch.from_numpy(boxes),
            mask=torch.from_numpy(mask),
            features=of_regions(self.features, 0.0).float(),
            hidden=torch.zeros(mask.shape, dtype=torch.bool),
            label=of_regions(self.labels, IGNORE),
            attributes=of_regions(self.attributes, IGNORE),
            scores=None if self.scores is None else of_regions(self.scores, 0.0).float(),
            relations=torch.from_numpy(padded(self.relations, self.relation_offsets, rows, IGNORE)[0]),
            grounding=torch.from_numpy(padded(self.grounding, self.grounding_offsets, rows, IGNORE)[0]),
            naming=torch.from_numpy(padded(self.naming, self.naming_offsets, rows, IGNORE)[0]),
        )


def _numbers(classes: Classes, of: str) -> dict[str, int]:
    return {name: number for number, name in enumerate(classes.get(of, ()))}


def _features(records: Sequence[Record], given: RegionFeatures | None) -> NDArray[np.float16]:
    found: list[NDArray[np.float16]] = []
    for record in records:
        if not record.regions:
            continue
        if given is not None:
            values = np.asarray(given(record), dtype=np.float16)
        else:
            bare = next((place for place, region in enumerate(record.regions) if region.feature is None), None)
            if bare is not None:
                raise InputError(f"record {record.id}: region {bare} has no feature; set regions.features to make some")
            widths = {len(region.feature or ()) for region in record.regions}
            if len(widths) > 1:
                raise InputError(
                    f"record {record.id}: its regions have features of {min(widths)} and {max(widths)} numbers"
                )
            values = np.asarray([region.feature for region in record.regions], dtype=np.float16)
        if found and values.shape[1] != found[0].shape[1]:
            raise InputError(
                f"record {record.id}: features of {values.shape[1]} numbers, those before it have {found[0].shape[1]}"
            )
        found.append(values)
    return np.concatenate(found)


def _scores(records: Sequence[Record], count: int) -> NDArray[np.float16] | None:
    regions = [region for record in records for region in record.regions]
    if not any(region.scores for region in regions):
        return None
    for record in records:
        for place, region in enumerate(record.regions):
            if len(region.scores or ()) != count:
                raise InputError(
                    f"record {record.id}: region {place} has {len(region.scores or ())} scores for {count} classes"
                )
    return np.asarray([region.scores for region in regions], dtype=np.float16)
