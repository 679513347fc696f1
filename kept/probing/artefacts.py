"""What a report shows beside its rows: the folder `artefacts/` next to `results.json`, every file of it optional.

curves.jsonl        {"arm", "seed", "stage", "step", "term", "value", "baseline", "floor"} a line
pictures.json       [{"image", "question", "answer", "gold", "correct"}], images relative to the folder
neighbours.json     [{"entity", "neighbours": [{"label", "similarity"}]}]
neighbourhood.svg   a drawn part of the graph
attribution.md      whose data it is: headings, paragraphs, lists, addresses
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kept.probing.svg import Curve
from kg.errors import InputError
from kg.storage import read_json

FOLDER = "artefacts"
IMAGE_KINDS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"RIFF": "image/webp"}
LARGEST_IMAGE = 1 << 20
CURVE_KEYS = ("arm", "seed", "stage", "step", "term", "value")

Curves = dict[tuple[str, str], dict[str, Curve]]
"""(stage, term) -> arm -> its curve."""


@dataclass(frozen=True)
class Picture:
    """A picture with its question; `source` is a data URI."""

    source: str
    question: str
    answer: str
    gold: str
    correct: bool


@dataclass(frozen=True)
class Artefacts:
    """Everything that was found."""

    curves: Curves = field(default_factory=dict)
    pictures: Sequence[Picture] = ()
    neighbours: Sequence[tuple[str, Sequence[tuple[str, float]]]] = ()
    neighbourhood: str | None = None
    attribution: str | None = None

    @classmethod
    def read(cls, folder: Path) -> Artefacts:
        """Read the folder; a file that is absent is left out.

        Raises:
            InputError: naming the file, and the line or place, of what is wrong.
        """
        curves, pictures, neighbours = (folder / name for name in ("curves.jsonl", "pictures.json", "neighbours.json"))
        drawing, attribution = folder / "neighbourhood.svg", folder / "attribution.md"
        return cls(
            read_curves(curves) if curves.exists() else {},
            [read_picture(pictures, number, value) for number, value in _numbered(pictures)],
            [read_neighbours(neighbours, number, value) for number, value in _numbered(neighbours)],
            data_uri(drawing.read_bytes(), "image/svg+xml") if drawing.exists() else None,
            attribution.read_text(encoding="utf-8") if attribution.exists() else None,
        )


def read_curves(path: Path) -> Curves:
    """Loss terms over steps, by stage and term; steps may come in any order, the last of equal ones counts."""
    lines: dict[tuple[str, str], dict[str, dict[int, dict[float, float]]]] = {}
    levels: dict[tuple[tuple[str, str], str], tuple[float | None, float | None]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            value = json.loads(line)
            arm, seed, stage, step, term, loss = (value[key] for key in CURVE_KEYS)
            panel = (str(stage), str(term))
            lines.setdefault(panel, {}).setdefault(arm, {}).setdefault(seed, {})[float(step)] = float(loss)
        except (json.JSONDecodeError, KeyError, TypeError, ValueError):
            raise InputError(f"{path}:{number}: not a line of {', '.join(CURVE_KEYS)}") from None
        levels[panel, arm] = (value.get("baseline"), value.get("floor"))
    return {
        panel: {
            arm: Curve({seed: _line(steps) for seed, steps in seeds.items()}, *levels[panel, arm])
            for arm, seeds in arms.items()
        }
        for panel, arms in lines.items()
    }


def _line(points: Mapping[float, float]) -> tuple[np.ndarray, np.ndarray]:
    steps = np.array(sorted(points))
    return steps, np.array([points[step] for step in steps.tolist()])


def read_picture(path: Path, number: int, value: Mapping[str, Any]) -> Picture:
    """One entry of `pictures.json`, its image taken in."""
    try:
        image, rest = value["image"], {key: value[key] for key in ("question", "answer", "gold", "correct")}
    except (KeyError, TypeError):
        raise InputError(f"{path}: [{number}]: give image, question, answer, gold and correct") from None
    place = path.parent / image
    if not place.is_file():
        raise InputError(f"{path}: [{number}]: {place}: no such file")
    content = place.read_bytes()
    kind = next((kind for start, kind in IMAGE_KINDS.items() if content.startswith(start)), None)
    if kind is None:
        raise InputError(f"{path}: [{number}]: {place}: not a PNG, JPEG, GIF or WebP picture")
    if len(content) > LARGEST_IMAGE:
        raise InputError(f"{path}: [{number}]: {place}: {len(content):,} bytes; a report takes up to {LARGEST_IMAGE:,}")
    return Picture(data_uri(content, kind), **rest)


def read_neighbours(path: Path, number: int, value: Mapping[str, Any]) -> tuple[str, list[tuple[str, float]]]:
    """One entry of `neighbours.json`."""
    try:
        return value["entity"], [(one["label"], float(one["similarity"])) for one in value["neighbours"]]
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path}: [{number}]: give entity, and neighbours with label and similarity") from None


def data_uri(content: bytes, kind: str) -> str:
    """Bytes as an address that carries them."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _numbered(path: Path) -> list[tuple[int, Any]]:
    if not path.exists():
        return []
    value = read_json(path)
    if not isinstance(value, list):
        raise InputError(f"{path}: not a list")
    return list(enumerate(value))
