"""Small drawings for the report, as SVG that takes its colours from the page."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

POINTS = 160
"""A curve is drawn with at most so many points, each the mean of its neighbourhood."""


@dataclass(frozen=True)
class Curve:
    """A loss term of one arm over steps, a line for each seed, between what a constant reaches and the least possible.

    Attributes:
        lines: seed -> (steps, values), both (n,).
        baseline, floor: None where there is none.
    """

    lines: Mapping[int, tuple[np.ndarray, np.ndarray]]
    baseline: float | None
    floor: float | None


def whisker(value: float, low: float | None, high: float | None, *, width: int = 108, height: int = 12) -> str:
    """A dot with its interval on a line from 0 to 1.

    >>> "<circle" in whisker(0.5, 0.4, 0.6)
    True
    """
    pad, middle = 4, height / 2

    def x(share: float) -> float:
        return round(pad + min(max(share, 0.0), 1.0) * (width - 2 * pad), 2)

    bar = "" if low is None or high is None else f'<path class="bar" d="M{x(low)} {middle}H{x(high)}"/>'
    return (
        f'<svg class="whisker" viewBox="0 0 {width} {height}" width="{width}" height="{height}" aria-hidden="true">'
        f'<path class="track" d="M{pad} {middle}H{width - pad}"/>{bar}'
        f'<circle cx="{x(value)}" cy="{middle}" r="3.2"/></svg>'
    )


def panel(title: str, curves: Mapping[str, Curve], colours: Mapping[str, int]) -> str:
    """One loss term of several arms: a panel with its baseline dashed and its floor dotted.

    Args:
        curves: arm -> its curve.
        colours: arm -> a number; the page gives it a colour by the class `c0`, `c1`, ...
    """
    width, height, left, right, top, bottom = 300, 176, 36, 12, 30, 22
    lines = [line for curve in curves.values() for line in curve.lines.values() if len(line[0])]
    levels = [level for curve in curves.values() for level in (curve.baseline, curve.floor) if level is not None]
    peak = max([float(values.max()) for _, values in lines] + levels, default=1.0)
    least = min([float(values.min()) for _, values in lines] + levels, default=0.0)
    last = max((float(steps.max()) for steps, _ in lines), default=1.0) or 1.0
    low, high = least - 0.02 * (peak - least), peak + 0.04 * (peak - least)
    ticks = [tick for tick in nice_ticks(least, peak) if low <= tick <= high]
    span = (high - low) or 1.0

    def x(step: float) -> float:
        return round(left + step / last * (width - left - right), 2)

    def y(value: float) -> float:
        return round(height - bottom - (value - low) / span * (height - top - bottom), 2)

    parts = [f'<text class="title" x="0" y="13">{escape(title)}</text>']
    for tick in ticks:
        parts.append(f'<path class="grid" d="M{left} {y(tick)}H{width - right}"/>')
        parts.append(f'<text class="tick" x="{left - 6}" y="{y(tick) + 3.5}" text-anchor="end">{tick:g}</text>')
    parts.append(f'<text class="tick" x="{left}" y="{height - 6}">0</text>')
    parts.append(f'<text class="tick" x="{width - right}" y="{height - 6}" text-anchor="end">{last:,.0f} steps</text>')
    for arm, curve in curves.items():
        seeds = [thinned(*line) for line in curve.lines.values() if len(line[0])]
        for steps, values in seeds:
            points = " ".join(f"{x(step)},{y(value)}" for step, value in zip(steps, values, strict=True))
            faint = " faint" if len(seeds) > 1 else ""
            parts.append(f'<polyline class="line c{colours[arm]}{faint}" points="{points}"/>')
        if len(seeds) > 1:
            steps, values = mean_line(seeds)
            points = " ".join(f"{x(step)},{y(value)}" for step, value in zip(steps, values, strict=True))
            parts.append(f'<polyline class="line c{colours[arm]}" points="{points}"/>')
    parts += levels_drawn(curves, left, width - right, y)
    return (
        f'<svg class="panel" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title, quote=True)}">'
        f"{''.join(parts)}</svg>"
    )


def levels_drawn(curves: Mapping[str, Curve], left: float, right: float, y: Callable[[float], float]) -> list[str]:
    """The lines of baseline and floor, each once, with their names."""
    parts = []
    for name, kind in (("baseline", "dashed"), ("floor", "dotted")):
        levels = {round(level, 4) for curve in curves.values() if (level := getattr(curve, name)) is not None}
        for place, level in enumerate(sorted(levels)):
            height = y(level)
            parts.append(f'<path class="{kind}" d="M{left} {height}H{right}"/>')
            if place == 0:
                label = f"{name} {level:.3g}"
                parts.append(f'<text class="level" x="{right}" y="{height - 4}" text-anchor="end">{label}</text>')
    return parts


def mean_line(lines: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The mean over seeds, as far as all of them went."""
    steps = lines[0][0]
    steps = steps[steps <= min(line[0].max() for line in lines)]
    return steps, np.mean([np.interp(steps, *line) for line in lines], axis=0)


def thinned(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most `POINTS` points, each the mean of those it stands for."""
    if len(steps) <= POINTS:
        return steps, values
    parts = np.array_split(np.arange(len(steps)), POINTS)
    return np.array([steps[part].mean() for part in parts]), np.array([values[part].mean() for part in parts])


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers that span an interval.

    >>> nice_ticks(0.1, 2.9)
    [0.0, 1.0, 2.0, 3.0]
    """
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / (count - 1)))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if span / (power * factor) <= count - 1 + 1e-9)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(n * step, 10) for n in range(first, last + 1)]
