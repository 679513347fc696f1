"""Pictures encoded once, when the tower that encodes them has been trained and is frozen."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from kept.data.batch import Image
from kept.data.drawings import EncodedPictures, PixelPictures
from kept.data.noise import Noise, key_of, mix
from kept.data.tokenized import TokenizedRecords
from kept.linking.pictures import PictureLinker
from kept.modeling.model import KeptModel
from kept.modeling.streams import pool
from kg.errors import InputError

CHUNK = 256
CAPTIONS = 4
"""Captions of an entity that its place in the space is the mean of."""


@torch.inference_mode()
def caption_index(model: KeptModel, records: Iterable[TokenizedRecords]) -> PictureLinker:
    """Where each entity's captions lie: records with a picture and exactly one mention are captions of that entity."""
    total: dict[int, Tensor] = {}
    count: dict[int, int] = {}
    for corpus in records:
        mentions = np.diff(corpus.mention_offsets)
        for chunk in _chunks(_first_captions(corpus, np.flatnonzero((corpus.picture >= 0) & (mentions == 1)))):
            batch = corpus.batch(chunk, Noise(0, 0))
            text = model.encode(batch, knowledge=False, pictures=False).streams["text"]
            vectors = model.contrast.embed_text(pool(text))
            for vector, row in zip(vectors, chunk, strict=True):
                entity = int(corpus.mentions[corpus.mention_offsets[row], 0])
                total[entity] = total.get(entity, torch.zeros_like(vector)) + vector
                count[entity] = count.get(entity, 0) + 1
    if not total:
        raise InputError("pictures cannot be encoded for linking: no record has a picture and exactly one mention")
    entities = sorted(total)
    captions = normalize(torch.stack([total[entity] / count[entity] for entity in entities]), dim=1)
    return PictureLinker(torch.tensor(entities), captions)


def _first_captions(corpus: TokenizedRecords, rows: np.ndarray) -> np.ndarray:
    """At most `CAPTIONS` rows of each entity."""
    entity = corpus.mentions[corpus.mention_offsets[rows], 0]
    order = np.argsort(entity, kind="stable")
    entity, rows = entity[order], rows[order]
    starts = np.flatnonzero(np.diff(entity, prepend=-1))
    place = np.arange(len(rows)) - np.repeat(starts, np.diff(np.append(starts, len(rows))))
    return rows[place < CAPTIONS]


@torch.inference_mode()
def encode_pictures(
    model: KeptModel, pictures: PixelPictures, linker: PictureLinker, *, drawings: int = 4, seed: int = 0
) -> EncodedPictures:
    """`drawings` drawings of every picture as tower states, each linked to the entity it looks like."""
    states, links = [], []
    for chunk in _chunks(np.arange(len(pictures.names))):
        keys = torch.tensor([key_of(pictures.names[number]) for number in chunk])
        several, linked = [], []
        for drawing in range(drawings):
            image, _ = pictures.draw(chunk, mix(keys + drawing), Noise(seed, 0))
            encoded, entity = see(model, linker, image)
            several.append(encoded.half())
            linked.append(entity)
        states.append(torch.stack(several, dim=1))
        links.append(torch.stack(linked, dim=1))
    return EncodedPictures(torch.cat(states), torch.cat(links), list(pictures.names))


@torch.inference_mode()
def see(model: KeptModel, linker: PictureLinker, image: Image) -> tuple[Tensor, Tensor]:
    """The tower's states (B, P, D) of pictures and the entities (B,) that they look like."""
    states = model.towers["image"](image).states
    entity, _ = linker.link(model.contrast.embed_image(states[:, 0]))
    return states, entity


def _chunks(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
