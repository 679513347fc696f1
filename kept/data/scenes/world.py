"""Everything that a scene is drawn from, and which things go into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kept.data.scenes.artwork import Pixels, Thing
from kept.data.scenes.knowledge import Knowledge
from kept.data.scenes.splits import ARTIST, COMPOSITION, DEV, ENTITY, TEST, TRAIN, HeldOut, split_of
from kg.errors import InputError

MOST_OBJECTS = 12
SIZES = (64, 1024)
REHEARSALS = 2000


@dataclass(frozen=True)
class Options:
    """How scenes are made.

    Args:
        scenes: how many.
        size: the side of the canvas in pixels.
        least, most: how many objects a scene has.
        together: the chance that the next object is one that the graph joins to one that is there.
        repeat: the chance that the next object is one more of a thing that is there.
        tinted: the chance that an object is drawn in one colour.
        rotation: the greatest rotation in degrees, in either direction.
        flip: the chance that an object is drawn mirrored.
        max_iou: the greatest intersection over union of two boxes.
        questions: how many are asked of each scene.
        held_out_entities, held_out_pairs: shares.
        seed: equal seeds give equal scenes.
    """

    scenes: int = 20_000
    size: int = 160
    least: int = 3
    most: int = 6
    together: float = 0.5
    repeat: float = 0.2
    tinted: float = 0.5
    rotation: float = 15.0
    flip: float = 0.5
    max_iou: float = 0.1
    questions: int = 2
    held_out_entities: float = 0.1
    held_out_pairs: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most <= MOST_OBJECTS:
            raise InputError(f"objects {self.least}-{self.most}: expected 1 <= fewest <= most <= {MOST_OBJECTS}")
        if not SIZES[0] <= self.size <= SIZES[1]:
            raise InputError(f"size {self.size}: expected {SIZES[0]} to {SIZES[1]} pixels")
        if self.scenes < 1 or self.questions < 0:
            raise InputError(f"{self.scenes} scenes with {self.questions} questions: expected at least 1 and 0")
        for name, value in asdict(self).items():
            shares = ("together", "repeat", "tinted", "flip", "max_iou", "held_out_entities", "held_out_pairs")
            if name in shares and not 0 <= value <= 1:
                raise InputError(f"{name} {value}: expected a share between 0 and 1")
        if not 0 <= self.rotation <= 45:
            raise InputError(f"rotation {self.rotation}: expected 0 to 45 degrees")

    def random(self, number: int, purpose: str) -> Random:
        """Random numbers of one scene for one purpose, whatever else is drawn."""
        return Random(f"{self.seed}/{number}/{purpose}")


@dataclass(frozen=True)
class World:
    """What scenes are drawn from.

    Args:
        things, artists, pixels, drawn: see `Artwork`.
    """

    options: Options
    things: Sequence[Thing]
    artists: Sequence[str]
    pixels: Sequence[Pixels]
    drawn: NDArray[np.bool_]
    knowledge: Knowledge
    held: HeldOut
    about: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """How often things are drawn first: (1 + joined things) to the power 1/2, so that none is everywhere."""
        return np.sqrt(1.0 + self.knowledge.joined.sum(axis=1))

    @cached_property
    def frequency(self) -> NDArray[np.float64]:
        """(N,) how often a thing is drawn with one of its shared facts in mind: its scenes over their number.

        Scenes that might have been are counted, and one more.
        """
        counts = np.ones(len(self.things))
        for number in range(REHEARSALS):
            counts[np.unique(self.roster(number, "rehearsal"))] += 1
        return counts / [max(1, len(self.knowledge.shared.get(thing, ()))) for thing in range(len(counts))]

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """(N,) what training draws."""
        return self.drawn[self.training_artists].any(axis=0) & ~self.held.entities

    @property
    def training_artists(self) -> list[int]:
        return [artist for artist in range(len(self.artists)) if artist not in self.held.artists]

    @cached_property
    def able(self) -> dict[str, list[int]]:
        """The splits that there can be, and who can draw them."""
        training = self.training_artists
        apart = [self.held.pairs & (self.drawn[artist] & self.seen)[:, None] for artist in range(len(self.artists))]
        able = {
            **dict.fromkeys((TRAIN, DEV, TEST), training),
            ARTIST: sorted(self.held.artists),
            ENTITY: [artist for artist in training if (self.drawn[artist] & self.held.entities).any()],
            COMPOSITION: [a for a in training if (apart[a] & (self.drawn[a] & self.seen)[None]).any()],
        }
        return {split: artists for split, artists in able.items() if artists}

    def check(self) -> World:
        """Refuse a world that is too small to draw from."""
        if not self.training_artists:
            raise InputError("every artist is held out; give one more with --artist NAME=FOLDER")
        for artist, name in enumerate(self.artists):
            count = int((self.drawn[artist] & self.seen).sum())
            if count < self.options.most:
                raise InputError(
                    f"{name} drew {count} of the things that are not held out; scenes of up to "
                    f"{self.options.most} objects want as many"
                )
        return self

    def split(self, number: int) -> str:
        """The split of a scene."""
        return split_of(self.options.random(number, "split").random(), self.able)

    def artist(self, number: int) -> int:
        """Who draws a scene."""
        return self.options.random(number, "artist").choice(self.able[self.split(number)])

    def roster(self, number: int, purpose: str = "roster") -> list[int]:
        """The things of a scene, in drawing order; another purpose gives those of a scene that might have been.

        The first is drawn by weight, each next one is with some chance joined by the graph to one that is there, else
        drawn by weight. Held-out things and pairs are drawn where the split wants them and nowhere else.
        """
        options, split = self.options, self.split(number)
        random = options.random(number, purpose)
        pool = self.drawn[self.artist(number)] & self.seen
        count = random.randint(options.least, options.most)
        chosen = self.opening(random, number, split, pool)
        while len(chosen) < count:
            allowed: NDArray[np.bool_] = pool & ~np.any(self.held.pairs[chosen], axis=0)
            allowed[chosen] = False
            joined = allowed & self.knowledge.joined[random.choice(chosen)]
            again = random.random() < options.repeat
            if random.random() < options.together and joined.any():
                allowed = joined
            if again or not allowed.any():
                chosen.append(random.choice(chosen))
            else:
                chosen.append(pick(random, allowed, self.weights))
        random.shuffle(chosen)
        return chosen

    def opening(self, random: Random, number: int, split: str, pool: NDArray[np.bool_]) -> list[int]:
        """The first things: a held-out one, a held-out pair, or any one."""
        if split == ENTITY:
            return [pick(random, self.drawn[self.artist(number)] & self.held.entities, self.weights)]
        if split == COMPOSITION:
            apart = self.held.pairs & pool[:, None] & pool[None]
            joined = apart & self.knowledge.joined
            pairs = joined if joined.any() and random.random() < self.options.together else apart
            row = pick(random, np.asarray(pairs.any(axis=1)), self.weights)
            return [row, pick(random, np.asarray(pairs[row]), self.weights)]
        return [pick(random, pool, self.weights)]


def pick(random: Random, allowed: NDArray[np.bool_], weights: NDArray[np.float64]) -> int:
    """One place, by weight."""
    places = np.flatnonzero(allowed)
    bounds = np.cumsum(weights[places])
    return int(places[min(np.searchsorted(bounds, random.random() * bounds[-1], side="right"), len(places) - 1)])
