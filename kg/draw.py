"""An entity among its neighbours, as a picture.

The subject stands in the middle, its neighbours around it, gathered by relation; colours are types. A wheel stays
readable where a force-directed layout of a hub does not, and is the same every time.
"""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections import Counter
from dataclasses import dataclass
from itertools import groupby, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kg.errors import InputError
from kg.graph import KnowledgeGraph
from kg.storage import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PALETTE = ("#4269d0", "#efb118", "#3ca951", "#ff725c", "#a463f2", "#6cc5b0", "#9c6b4e")
PALE = ("#efb118", "#6cc5b0")
UNTYPED, OTHER_TYPES, INK, FAINT, LINE = "#c4c8cf", "#8b929c", "#1d232b", "#66707c", "#b9c0ca"
SUFFIXES = (".png", ".svg", ".pdf")
RIM = 1.0
HALF_WIDTH, HALF_HEIGHT = 1.95, 1.8
LONGEST_LABEL = 32
CHARACTER = {10: 0.0295, 14: 0.046}
"""The mean width of a character by font size, in units of the picture."""


@dataclass(frozen=True)
class Spoke:
    """One triple of the subject: the relation, whether it leads outwards, and the entity at its other end."""

    relation: int
    outgoing: bool
    neighbour: int


def draw(kg: KnowledgeGraph, entity: int, path: str | Path, *, limit: int = 24) -> Path:
    """Draw an entity and up to `limit` neighbours to a .png, .svg or .pdf file.

    Raises:
        InputError: for another suffix.

    >>> import tempfile
    >>> kg = KnowledgeGraph.from_triples([("Paris", "capital of", "France")])
    >>> draw(kg, kg.resolve("Paris"), Path(tempfile.mkdtemp()) / "paris.svg").name
    'paris.svg'
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: pictures are written as {', '.join(SUFFIXES)}")
    with atomic_file(path) as partial:
        partial.write_bytes(_render(kg, entity, path.suffix[1:].lower(), limit))
    return path


def svg(kg: KnowledgeGraph, entity: int, *, limit: int = 24) -> str:
    """The picture as an SVG element for a page; its texts stay texts.

    >>> kg = KnowledgeGraph.from_triples([("Paris", "capital of", "France")])
    >>> "capital of" in svg(kg, kg.resolve("Paris"))
    True
    """
    text = _render(kg, entity, "svg", limit).decode()
    return text[text.index("<svg") :]


def spokes(kg: KnowledgeGraph, entity: int, limit: int) -> list[Spoke]:
    """Up to `limit` triples of an entity, gathered by relation: every relation in turn, well-connected ends first.

    Types are left out where there is anything else; the picture tells them by colour.
    """
    found = {
        Spoke(int(relation), outgoing, int(other))
        for outgoing, (relations, others) in ((True, kg.out(entity)), (False, kg.into(entity)))
        for relation, other in zip(relations, others, strict=True)
    }
    untyped = {spoke for spoke in found if spoke.relation not in kg.type_relations}
    ordered = sorted(
        untyped or found,
        key=lambda s: (not s.outgoing, s.relation, -kg.degree(s.neighbour), s.neighbour),
    )
    groups = [list(group) for _, group in groupby(ordered, key=lambda spoke: (spoke.outgoing, spoke.relation))]
    chosen = [spoke for turn in zip_longest(*groups) for spoke in turn if spoke is not None][:limit]
    return sorted(chosen, key=ordered.index)


def _render(kg: KnowledgeGraph, entity: int, suffix: str, limit: int) -> bytes:
    from matplotlib import rc_context

    buffer = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "kept"}), warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # a script without a font is drawn as boxes, which the picture shows well enough
        figure = _figure(kg, entity, spokes(kg, entity, limit))
        stamp = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(suffix)
        figure.savefig(buffer, format=suffix, metadata=stamp, dpi=160, facecolor="white")
    return buffer.getvalue()


def _figure(kg: KnowledgeGraph, entity: int, shown: list[Spoke]) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 9.7))
    axes = figure.add_axes((0.01, 0.05, 0.98, 0.94))
    axes.set_aspect("equal")
    axes.set_xlim(-HALF_WIDTH, HALF_WIDTH)
    axes.set_ylim(-HALF_HEIGHT, HALF_HEIGHT)
    axes.axis("off")
    subject = _wrapped(kg.label(entity))
    colours = _colours(kg, [entity, *(spoke.neighbour for spoke in shown)])
    for group in _sectors(shown):
        middle = len(group) // 2
        for place, (angle, spoke) in enumerate(group):
            label = kg.relation_label(spoke.relation) if place == middle else None
            _draw_spoke(axes, angle, spoke, label, _hub(angle, subject))
            _draw_neighbour(axes, angle, kg.label(spoke.neighbour), _colour(kg, spoke.neighbour, colours))
    _draw_subject(axes, subject, _colour(kg, entity, colours))
    _draw_notes(figure, kg, entity, len(shown), colours)
    return figure


def _sectors(shown: list[Spoke]) -> list[list[tuple[float, Spoke]]]:
    """(angle in radians, spoke) by relation, clockwise from the top, with a gap between relations."""
    groups = [list(group) for _, group in groupby(shown, key=lambda spoke: (spoke.outgoing, spoke.relation))]
    gap = 0.7 if len(groups) > 1 else 0.0
    step = 2 * math.pi / max(1, len(shown) + gap * len(groups))
    angle = math.pi / 2 - step * (1 + gap) / 2
    sectors = []
    for group in groups:
        sectors.append([(angle - step * place, spoke) for place, spoke in enumerate(group)])
        angle -= step * (len(group) + gap)
    return sectors


def _draw_spoke(axes: Axes, angle: float, spoke: Spoke, label: str | None, hub: float) -> None:
    from matplotlib.patches import FancyArrowPatch

    inner, outer = _at(angle, hub), _at(angle, RIM - 0.035)
    start, end = (inner, outer) if spoke.outgoing else (outer, inner)
    arrow = FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=9, linewidth=1.1, color=LINE, zorder=1)
    axes.add_patch(arrow)
    if label is not None:
        box = {"boxstyle": "round,pad=0.18", "facecolor": "white", "edgecolor": "none"}
        axes.text(
            *_at(angle, 0.62),
            _short(label),
            fontsize=8.5,
            color=FAINT,
            style="italic",
            ha="center",
            va="center",
            rotation=_upright(angle),
            rotation_mode="anchor",
            bbox=box,
            zorder=2,
            parse_math=False,
        )


def _draw_neighbour(axes: Axes, angle: float, label: str, colour: str) -> None:
    axes.scatter(*_at(angle, RIM), s=95, color=colour, edgecolors="white", linewidths=1.2, zorder=3)
    room = min(HALF_WIDTH / max(abs(math.cos(angle)), 1e-9), HALF_HEIGHT / max(abs(math.sin(angle)), 1e-9)) - RIM - 0.08
    axes.text(
        *_at(angle, RIM + 0.06),
        _short(label, min(LONGEST_LABEL, int(room / CHARACTER[10]))),
        fontsize=10,
        color=INK,
        ha="left" if math.cos(angle) >= 0 else "right",
        va="center",
        rotation=_upright(angle),
        rotation_mode="anchor",
        zorder=3,
        parse_math=False,
    )


def _draw_subject(axes: Axes, label: str, colour: str) -> None:
    box = {"boxstyle": "round,pad=0.55,rounding_size=1.1", "facecolor": colour, "edgecolor": "none"}
    axes.text(
        0,
        0,
        label,
        fontsize=14,
        fontweight="bold",
        color=INK if colour in (UNTYPED, *PALE) else "white",
        ha="center",
        va="center",
        bbox=box,
        zorder=5,
        parse_math=False,
    )


def _hub(angle: float, label: str) -> float:
    """How far from the middle the box around the subject's label ends, in one direction."""
    lines = label.split("\n")
    width = max(map(len, lines)) * CHARACTER[14] / 2 + 0.12
    height = 0.055 * len(lines) + 0.08
    return min(width / max(abs(math.cos(angle)), 1e-9), height / max(abs(math.sin(angle)), 1e-9)) + 0.02


def _wrapped(label: str) -> str:
    """A label in at most two lines."""
    return "\n".join(textwrap.wrap(_short(label, 2 * 18), 18, max_lines=2, placeholder="…")) or label


def _draw_notes(figure: Figure, kg: KnowledgeGraph, entity: int, shown: int, colours: dict[int, str]) -> None:
    """What the colours mean, and how much is left out."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker="o", linestyle="", color=colour, label=_short(kg.label(kind)))
        for kind, colour in colours.items()
    ]
    if handles:
        figure.legend(
            handles=handles, loc="lower left", ncols=len(handles), frameon=False, fontsize=9, bbox_to_anchor=(0.01, 0)
        )
    total = kg.degree(entity)
    figure.text(0.985, 0.017, f"{shown} of {total:,} triples", ha="right", fontsize=9, color=FAINT)


def _colours(kg: KnowledgeGraph, entities: list[int]) -> dict[int, str]:
    """The colour of each of the most frequent types, one type an entity counted."""
    counts = Counter(kind for entity in entities if (kind := _kind(kg, entity)) is not None)
    frequent = sorted(counts, key=lambda kind: (-counts[kind], kind))[: len(PALETTE)]
    return dict(zip(frequent, PALETTE, strict=False))


def _colour(kg: KnowledgeGraph, entity: int, colours: dict[int, str]) -> str:
    kind = _kind(kg, entity)
    return UNTYPED if kind is None else colours.get(kind, OTHER_TYPES)


def _kind(kg: KnowledgeGraph, entity: int) -> int | None:
    """The type to show: the one with fewest members says most."""
    kinds = kg.types(entity)
    return int(kinds[np.argmin([kg.degree(int(kind)) for kind in kinds])]) if len(kinds) else None


def _at(angle: float, radius: float) -> tuple[float, float]:
    return radius * math.cos(angle), radius * math.sin(angle)


def _upright(angle: float) -> float:
    """Degrees by which text along `angle` is turned, never upside down."""
    degrees = math.degrees(angle) % 360
    return degrees - 180 if 90 < degrees < 270 else degrees


def _short(label: str, longest: int = LONGEST_LABEL) -> str:
    label = " ".join(label.split())
    return label if len(label) <= longest else label[: longest - 1].rstrip() + "…"
