"""The parts of the report around its tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from kept.probing.artefacts import Curves, Picture
from kept.probing.claims import READING, claims, percent, share
from kept.probing.items import MASK
from kept.probing.report_tables import inline, prose, section
from kept.probing.rows import Figure
from kept.probing.study import ARMS
from kept.probing.svg import panel
from kept.probing.tables import arms

TILES = (
    ("facts", "B-test", "fused", "text", "facts that only the graph holds"),
    ("unseen-entities", "B-test", "fused", "text", "entities that no text names"),
    ("picture-facts", "B-test", "fused", "text", "facts about what a picture shows"),
    ("swap", "new", "swapped", "swapped-scratch", "answers that follow a changed graph"),
)
CONTROLS = {"text": "text alone", "swapped-scratch": "the control"}
COLOURS = 8


def title(rows: Sequence[Figure]) -> str:
    """What the page is about."""
    return "Did the knowledge help?" if {"fused", "text"} <= set(arms(rows)) else "What was answered"


def opening(rows: Sequence[Figure]) -> str:
    """Title, finding, and the figures that carry it."""
    found = claims(rows)
    lede = f'<p class="lede">{escape(found[0])}</p>' if found else ""
    return f'<header><p class="kicker">KEPT report</p><h1>{escape(title(rows))}</h1>{lede}{tiles(rows)}</header>'


def tiles(rows: Sequence[Figure]) -> str:
    """Large figures with their controls below."""
    made = []
    for task, split, arm, control, label in TILES:
        row, other = share(rows, task, split, arm), share(rows, task, split, control)
        if row is None:
            continue
        against = f"<span>{CONTROLS[control]}: {percent(other)}</span>" if other else ""
        value = percent(row).removesuffix("%")
        made.append(f'<div class="tile"><b>{value}<small>%</small></b><span>{label}</span>{against}</div>')
    return f'<div class="tiles">{"".join(made)}</div>' if made else ""


def reading(rows: Sequence[Figure]) -> str:
    """What the figures mean, and what they do not."""
    found = claims(rows)
    if "fused" not in arms(rows):
        return ""
    items = "".join(f"<li>{escape(claim)}</li>" for claim in found[1:])
    return section(
        "What this is, and what it is not",
        prose("Reading from the graph, not inference.", "lede"),
        prose(escape(READING), "body"),
        f'<ul class="claims">{items}</ul>' if items else "",
    )


def training(curves: Curves) -> str:
    """Each loss term over steps between what a constant reaches and the least possible."""
    if not curves:
        return ""
    shown = list(dict.fromkeys(arm for panels in curves.values() for arm in panels))
    ordered = [arm for arm in ARMS if arm in shown] + [arm for arm in shown if arm not in ARMS]
    colours = {arm: place % COLOURS for place, arm in enumerate(sorted(ordered, key=lambda arm: arm != "fused"))}
    legend = "".join(
        f'<li><svg viewBox="0 0 20 8"><path class="c{colours[arm]}" d="M0 4H20"/></svg>{escape(arm)}</li>'
        for arm in colours
    )
    stages = list(dict.fromkeys(stage for stage, _ in curves))
    parts = []
    for stage in stages:
        panels = "".join(panel(term, own, colours) for (of, term), own in curves.items() if of == stage)
        parts.append((f"<h3>{escape(stage)}</h3>" if len(stages) > 1 else "") + f'<div class="panels">{panels}</div>')
    explained = (
        "Each term of the loss on its own scale. Dashed: the best that a constant prediction reaches; dotted: the "
        "least possible. Faint lines are single seeds, strong ones their mean."
    )
    return section("Training", prose(explained), f'<ul class="legend">{legend}</ul>', *parts)


def pictures(shown: Sequence[Picture]) -> str:
    """Pictures with what was asked about them and what was answered."""
    if not shown:
        return ""
    figures = []
    for picture in shown:
        question = escape(picture.question).replace(escape(MASK), '<span class="mask">&nbsp;</span>')
        mark, gold = (
            ("", "") if picture.correct else (" wrong", f'<span class="gold">right: {escape(picture.gold)}</span>')
        )
        figures.append(
            f'<figure><div class="frame"><img src="{picture.source}" alt="the picture that is asked about"></div>'
            f'<figcaption><span class="q">{question}</span><span class="a{mark}">{escape(picture.answer)}</span>{gold}'
            "</figcaption></figure>"
        )
    right = sum(picture.correct for picture in shown)
    explained = (
        "What the picture shows is named nowhere: the model has to recognise it, then know the fact. "
        f"{right} of the {len(shown)} answers here are right."
    )
    return section("Asked about pictures", prose(explained), f'<div class="gallery">{"".join(figures)}</div>')


def neighbours(shown: Sequence[tuple[str, Sequence[tuple[str, float]]]]) -> str:
    """The entities whose vectors lie nearest."""
    if not shown:
        return ""
    lists = []
    for entity, near in shown:
        lines = "".join(f"<li>{escape(label)}<span>{similarity:.2f}</span></li>" for label, similarity in near)
        lists.append(f"<div><h4>{escape(entity)}</h4><ol>{lines}</ol></div>")
    explained = "The entities whose vectors point the same way, with the cosine between them."
    return section("Neighbours", prose(explained), f'<div class="neighbours">{"".join(lists)}</div>')


def neighbourhood(drawing: str | None) -> str:
    """A drawn part of the graph, on white in either theme for it may bring its own colours."""
    if drawing is None:
        return ""
    image = f'<img src="{drawing}" alt="entities and the relations between them">'
    return section("A neighbourhood of the graph", f'<div class="sheet">{image}</div>')


def how_it_was_run(run: Mapping[str, Any]) -> str:
    """What is needed to run it again."""
    if not run:
        return ""
    lines = "".join(f"<dt>{escape(str(name))}</dt><dd>{described(name, value)}</dd>" for name, value in run.items())
    return section("How it was run", f"<dl>{lines}</dl>")


def described(name: str, value: Any) -> str:
    """A value of the run's description in a person's units."""
    if value is None or value == {}:
        return "not recorded"
    if name == "seconds":
        return f"{value // 60:.0f} min {value % 60:.0f} s" if value >= 60 else f"{value:.1f} s"
    if name == "peak memory":
        return f"{value / 2**30:.2f} GiB" if value >= 2**30 else f"{value / 2**20:.0f} MiB"
    if name == "data":
        return "<br>".join(
            f"{escape(str(key))} <code>{escape(str(digest)[:16])}</code>" for key, digest in value.items()
        )
    if isinstance(value, Mapping):
        return escape(", ".join(f"{key} {part}" for key, part in value.items()))
    return f"<code>{escape(str(value))}</code>" if name in ("command", "commit") else escape(str(value))


def attribution(text: str | None) -> str:
    """Whose data it is."""
    return section("Whose data it is", f'<div class="attribution">{plain_markdown(text)}</div>') if text else ""


def plain_markdown(text: str) -> str:
    """Paragraphs, lists, code and addresses; headings become lines in small capitals."""
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = [inline(line) for line in block.splitlines()]
        if all(line.startswith("- ") for line in lines):
            blocks.append(f"<ul>{''.join(f'<li>{line[2:]}</li>' for line in lines)}</ul>")
        elif lines[0].startswith("#"):
            blocks.append(f"<h3>{lines[0].lstrip('# ')}</h3>")
        else:
            blocks.append(f"<p>{' '.join(lines)}</p>")
    return "".join(blocks)
