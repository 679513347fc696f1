"""Small worlds of coloured shapes, drawn by the tests themselves."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from kept.data.scenes.artwork import Pixels, Thing
from kept.data.scenes.knowledge import Knowledge, know, no_knowledge
from kept.data.scenes.layout import sprite_size
from kept.data.scenes.splits import hold_out
from kept.data.scenes.world import Options, World
from kg import KnowledgeGraph

LABELS = {
    **dict.fromkeys(("cat", "dog", "fox", "owl", "mouse"), "animal"),
    **dict.fromkeys(("cherry", "lemon", "grapes"), "fruit"),
    **dict.fromkeys(("bus", "kitchen knife", "jeans", "bread", "key", "umbrella"), None),
}
THINGS = [Thing(f"{0x1F400 + place:X}", label, LABELS[label]) for place, label in enumerate(sorted(LABELS))]
FACTS = """
cat IsA mammal
dog IsA mammal
fox IsA mammal
mouse IsA mammal
owl IsA flier
dog AtLocation bus
cat AtLocation mouse
bread UsedFor eating
cherry UsedFor eating
lemon UsedFor eating
grapes UsedFor eating
kitchen-knife AtLocation kitchen
bread AtLocation kitchen
key AtLocation pocket
jeans HasA pocket
bus UsedFor travel
umbrella NotIsA mammal
"""
INKS = ((150, 20, 20), (20, 110, 30), (20, 40, 150), (90, 50, 20), (30, 30, 30), (110, 20, 130))


@cache
def graph() -> KnowledgeGraph:
    triples = [tuple(line.split()) for line in FACTS.strip().splitlines()]
    return KnowledgeGraph.from_triples(triples, labels={"kitchen-knife": "kitchen knife"})  # type: ignore[arg-type]


def shape(place: int, artist: int, size: int) -> Pixels:
    """An ellipse, a box, a triangle or a cross, upright or lying."""
    picture = Image.new("RGBA", (size, size), (0, 0, 0, 0))
    pen = ImageDraw.Draw(picture)
    ink = (*INKS[(place + artist) % len(INKS)], 255)
    inset = size * (1 + place % 4) // 12
    box = (inset, 2, size - inset, size - 3) if place % 2 else (2, inset, size - 3, size - inset)
    kind = (place + 2 * artist) % 4
    if kind == 0:
        pen.ellipse(box, fill=ink)
    elif kind == 1:
        pen.rectangle(box, fill=ink)
    elif kind == 2:
        pen.polygon([(box[0], box[3]), (box[2], box[3]), ((box[0] + box[2]) // 2, box[1])], fill=ink)
    else:
        pen.line([(box[0], box[1]), (box[2], box[3])], fill=ink, width=5)
        pen.line([(box[0], box[3]), (box[2], box[1])], fill=ink, width=5)
    return np.asarray(picture)


def tiny_world(
    *,
    artists: int = 2,
    held_artists: tuple[int, ...] = (1,),
    things: int = len(THINGS),
    kg: bool = True,
    **options: Any,
) -> World:
    """A world of the first things, drawn by `artists`, the ones at `held_artists` held out."""
    settings = Options(**{"size": 96, "scenes": 40, "held_out_entities": 0.15, "held_out_pairs": 0.15, **options})
    chosen = THINGS[:things]
    side = sprite_size(settings.size)
    pixels = [np.stack([shape(place, artist, side) for place in range(things)]) for artist in range(artists)]
    drawn = np.ones((artists, things), dtype=bool)
    known: Knowledge = know(graph(), chosen) if kg else no_knowledge(chosen)
    held = hold_out(
        drawn,
        held_artists,
        entities=settings.held_out_entities,
        pairs=settings.held_out_pairs,
        seed=settings.seed,
    )
    names = [f"artist{number}" for number in range(artists)]
    return World(settings, chosen, names, pixels, drawn, known, held).check()


def write_artwork(folder: Path, artist: int, things: int = len(THINGS)) -> Path:
    """A folder of PNGs named by code points."""
    folder.mkdir(parents=True)
    for place, thing in enumerate(THINGS[:things]):
        Image.fromarray(shape(place, artist, 48)).save(folder / f"{thing.code.lower()}.png")
    return folder


def write_names(path: Path) -> Path:
    """The names of all things, as lines."""
    path.write_text("".join(f"{t.code}\t{t.label}\t{t.category or ''}\n" for t in THINGS), encoding="utf-8")
    return path
