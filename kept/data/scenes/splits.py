"""Which scenes are for training and which for tests, what each may draw, and a count of what they drew against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import combinations
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kept.data.record import Record
from kg.errors import InputError

TRAIN, DEV, TEST, ARTIST, ENTITY, COMPOSITION = (
    *("train", "dev", "test"),
    *("test-artist", "test-entity", "test-composition"),
)
SPLITS = (TRAIN, DEV, TEST, ARTIST, ENTITY, COMPOSITION)
SHARES = {DEV: 0.04, TEST: 0.04, ARTIST: 0.04, ENTITY: 0.04, COMPOSITION: 0.04}
"""Of all scenes; the rest is for training."""


@dataclass(frozen=True)
class HeldOut:
    """What training never draws.

    Args:
        artists: places of held-out artists.
        entities: (N,) bool.
        pairs: (N, N) bool, symmetric, False on the diagonal; both things of a pair are drawn in training, apart.
    """

    artists: frozenset[int]
    entities: NDArray[np.bool_]
    pairs: NDArray[np.bool_]


def hold_out(drawn: NDArray[np.bool_], artists: Iterable[int], *, entities: float, pairs: float, seed: int) -> HeldOut:
    """Draw what is held out, the same for equal seeds.

    Args:
        drawn: (artists, N) bool, who drew what.
        artists: places of the held-out artists.
        entities, pairs: shares of all things, and of all pairs of the others.

    >>> held = hold_out(np.ones((2, 9), dtype=bool), [1], entities=0.2, pairs=0.5, seed=0)
    >>> int(held.entities.sum()), bool(held.pairs.any())
    (2, True)
    """
    held_artists = frozenset(artists)
    random = np.random.default_rng([seed, 1])
    count = drawn.shape[1]
    chosen = np.zeros(count, dtype=bool)
    chosen[random.permutation(count)[: round(entities * count)]] = True
    upper = np.triu(random.random((count, count)) < pairs, 1)
    both_seen = ~chosen[:, None] & ~chosen[None]
    return HeldOut(held_artists, chosen, (upper | upper.T) & both_seen)


def split_of(chance: float, there: Container[str]) -> str:
    """The split of a scene from a uniform number; shares of splits that are not there go to training.

    >>> split_of(0.01, SPLITS), split_of(0.19, SPLITS), split_of(0.19, {TRAIN, DEV}), split_of(0.2, SPLITS)
    ('dev', 'test-composition', 'train', 'train')
    """
    bound = 0.0
    for split, share in SHARES.items():
        bound += share
        if chance < bound:
            return split if split in there else TRAIN
    return TRAIN


class Shown(NamedTuple):
    """What a record of a split draws, and what it names besides."""

    split: str
    artist: str
    drawn: frozenset[str]
    named: frozenset[str]

    def pairs(self) -> set[tuple[str, str]]:
        """The pairs of different things in the picture."""
        return set(combinations(sorted(self.drawn), 2))


def shown(split: str, record: Record) -> Shown:
    """What a record shows; the folder of its picture is its artist.

    >>> shown("train", Record(id="a", image="noto/0000/0000001.png", choices=("dog",))).artist
    'noto'
    """
    drawn = frozenset(region.label for region in record.regions if region.label)
    return Shown(split, PurePosixPath(record.image or ".").parts[0], drawn, drawn | set(record.choices))


def count_leaks(
    found: Iterable[Shown],
    *,
    artists: AbstractSet[str] = frozenset(),
    entities: AbstractSet[str] = frozenset(),
    pairs: AbstractSet[tuple[str, str]] = frozenset(),
) -> dict[str, int]:
    """Records that break what their split promises, by promise.

    Held-out artists, entities and pairs (names in order) may be in the split of that name only, where each record must
    have one; and what such a record has must in truth be in no training record, whatever was meant to be held out.

    >>> train = Shown("train", "noto", frozenset({"cat", "dog"}), frozenset())
    >>> count_leaks([train], pairs={("cat", "dog")})
    {'train has a held-out composition': 1}
    """
    leaks: Counter[str] = Counter()
    tests: list[Shown] = []
    seen_artists: set[str] = set()
    seen: set[str] = set()
    seen_pairs: set[tuple[str, str]] = set()
    for one in found:
        together = one.pairs()
        has = {
            ARTIST: one.artist in artists,
            # A thing that was held out is not spoken of either, where it is not drawn.
            ENTITY: not entities.isdisjoint(one.drawn if one.split == ENTITY else one.drawn | one.named),
            COMPOSITION: not pairs.isdisjoint(together),
        }
        for split, there in has.items():
            if there != (split == one.split):
                what = split.removeprefix("test-")
                leaks[f"{one.split} has {'a' if there else 'no'} held-out {what}"] += 1
        if one.split == TRAIN:
            seen_artists.add(one.artist)
            seen |= one.drawn | one.named
            seen_pairs |= together
        elif one.split in has:
            tests.append(one)
    for one in tests:
        new = {
            ARTIST: one.artist not in seen_artists,
            ENTITY: not one.drawn <= seen,
            COMPOSITION: not one.pairs() <= seen_pairs,
        }
        leaks[f"{one.split} shows what training shows"] += not new[one.split]
    return dict(+leaks)


def refuse(leaks: Mapping[str, int]) -> None:
    """Raise on the first leak."""
    for promise, count in leaks.items():
        raise InputError(f"{sum(leaks.values())} records break the splits: {promise} in {count}")
