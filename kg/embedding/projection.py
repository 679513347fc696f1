"""Vectors as points on a plane."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kg.draw import FAINT, INK, OTHER_TYPES, PALETTE, SUFFIXES, UNTYPED
from kg.errors import InputError
from kg.storage import atomic_file

MOST = 20_000
"""Points that are drawn; of more, a random sample."""


def project(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, d) -> (N, 2) coordinates along the two directions of greatest variance, and the shares of it that they hold.

    Each coordinate's largest value is positive, so that the picture is the same every time.
    Source: principal component analysis, Pearson 1901.

    >>> points, shares = project(np.array([[0.0, 0, 0], [1, 1, 0], [2, 2, 0], [3, 3, 1]]))
    >>> points.shape, bool(shares[0] > 0.9)
    ((4, 2), True)
    """
    centred = vectors.astype(np.float64) - vectors.mean(0, dtype=np.float64)
    values, directions = np.linalg.eigh(centred.T @ centred)
    points = centred @ directions[:, :-3:-1]
    largest = points[np.abs(points).argmax(0), np.arange(points.shape[1])]
    return points * np.sign(largest + (largest == 0)), values[:-3:-1] / max(values.sum(), 1e-12)


def draw_projection(
    vectors: np.ndarray, path: str | Path, *, kinds: Sequence[str | None] | None = None, title: str = "", seed: int = 0
) -> Path:
    """Draw vectors as points on a plane, coloured by kind, to a .png, .svg or .pdf file.

    Args:
        vectors: (N, d), two of them or more.
        kinds: N names of types, None for none; the seven most frequent have a colour each.
        title: what stands above.
        seed: of the sample, where there are many vectors.

    Raises:
        InputError: for another suffix, or fewer than two vectors.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path}: pictures are written as {', '.join(SUFFIXES)}")
    if len(vectors) < 2 or vectors.shape[1] < 2:
        raise InputError("a picture needs two vectors of two numbers or more")
    rows = np.arange(len(vectors))
    if len(vectors) > MOST:
        rows = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:MOST])
    points, shares = project(vectors[rows])
    named = [None] * len(rows) if kinds is None else [kinds[row] for row in rows.tolist()]
    with atomic_file(path) as partial:
        partial.write_bytes(_render(points, shares, named, title, path.suffix[1:].lower()))
    return path


def _render(points: np.ndarray, shares: np.ndarray, kinds: Sequence[str | None], title: str, suffix: str) -> bytes:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    frequent = [kind for kind, _ in Counter(kind for kind in kinds if kind is not None).most_common(len(PALETTE))]
    colours = dict(zip(frequent, PALETTE, strict=False))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "kept", "font.size": 11}):
        figure = Figure(figsize=(9, 7), layout="constrained")
        axes = figure.add_subplot()
        size = float(np.clip(3000 / len(points), 3, 40))
        groups: list[tuple[str, str, list[int]]] = []
        for kind in frequent:
            groups.append((kind, colours[kind], [row for row, own in enumerate(kinds) if own == kind]))
        rest = [row for row, own in enumerate(kinds) if own is not None and own not in colours]
        bare = [row for row, own in enumerate(kinds) if own is None]
        groups += [("other types", OTHER_TYPES, rest), ("no type", UNTYPED, bare)]
        for name, colour, members in reversed(groups):  # the frequent ones on top
            if members:
                label = f"{name} ({len(members):,})"
                axes.scatter(
                    points[members, 0], points[members, 1], s=size, c=colour, label=label, alpha=0.7, linewidths=0
                )
        axes.set_xlabel(f"first component, {shares[0]:.0%} of the variance", color=FAINT)
        axes.set_ylabel(f"second component, {shares[1]:.0%}", color=FAINT)
        axes.tick_params(colors=FAINT, labelsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        if title:
            axes.set_title(title, color=INK, loc="left")
        if frequent:
            handles, labels = axes.get_legend_handles_labels()
            legend = axes.legend(handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
            for handle in legend.legend_handles:
                handle.set_sizes([36])  # type: ignore[union-attr]
        buffer = io.BytesIO()
        stamp = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(suffix)
        figure.savefig(buffer, format=suffix, metadata=stamp, dpi=160, facecolor="white")
    return buffer.getvalue()
