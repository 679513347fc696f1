"""One numbering for the keys of runs that do not fit in memory together, merged range by range."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kg.assemble import Run
from kg.columns import Column, TextColumn
from kg.strings import merge, sort_order, take
from kg.vocabulary import Vocabulary

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 1 << 18
"""Rows that are handled at once; a multiple of eight, since bits are packed."""
SAMPLES = 1 << 12
"""Strings that are looked at to cut ranges of equal weight."""


@dataclass(frozen=True)
class Numbering:
    """One numbering for the keys of all runs.

    Attributes:
        keys: ascending, mapped.
        places: for each run a file with the place of each of its own keys.
        predicate_keys, predicate_places: the same for predicates, in memory.
    """

    keys: pa.LargeStringArray
    places: Sequence[Path]
    predicate_keys: pa.LargeStringArray
    predicate_places: Sequence[np.ndarray]


def number_keys(runs: Sequence[Run], folder: Path, bound: int) -> Numbering:
    """Sort the keys of each run, then merge them range by range."""
    columns = []
    for number, run in enumerate(runs):
        order = sort_order(run.entities)
        np.save(folder / f"order-{number}.npy", order)
        columns.append(TextColumn(folder / f"sorted-{number}"))
        columns[-1].append(take(run.entities, order))
    lists = [column.whole() for column in columns]
    cuts = text_cuts(lists, bound)
    bounds = [
        [0, *(bisect_left(range(len(one)), cut, key=lambda place: one[place].as_py()) for cut in cuts), len(one)]
        for one in lists
    ]
    keys = TextColumn(folder / "keys")
    ranks = [Column(folder / f"ranks-{number}", np.int64) for number in range(len(runs))]
    for part in range(len(cuts) + 1):
        slices = [one.slice(at[part], at[part + 1] - at[part]) for one, at in zip(lists, bounds, strict=True)]
        merged, places = merge(slices)
        for rank, own in zip(ranks, places, strict=True):
            rank.append(own + keys.size)
        keys.append(merged)
    paths = []
    for number, (rank, column) in enumerate(zip(ranks, columns, strict=True)):
        order_path, path = folder / f"order-{number}.npy", folder / f"places-{number}.npy"
        order = np.load(order_path)
        places_of_run = np.empty(len(order), np.int64)
        places_of_run[order] = rank.whole()
        np.save(path, places_of_run)
        paths.append(path)
        order_path.unlink()
        rank.remove()
        column.remove()
    return Numbering(keys.whole(), paths, *merge([run.predicates for run in runs]))


def text_cuts(lists: Sequence[pa.LargeStringArray], bound: int) -> list[str]:
    """Strings that cut all lists into ranges of about `bound` bytes."""
    import pyarrow as pa

    total = sum(map(len, lists))
    weight = sum(one.nbytes for one in lists)
    if weight <= bound or not total:
        return []
    step = max(1, total // SAMPLES)
    looked_at = sorted(
        text for one in lists for text in one.take(pa.array(np.arange(step // 2, len(one), step))).to_pylist()
    )
    count = min(len(looked_at), -(-weight // bound))
    return list(dict.fromkeys(looked_at[place * len(looked_at) // count] for place in range(1, count)))


def chunks(count: int) -> Iterator[slice]:
    """Slices that cover `count` rows."""
    for start in range(0, count, ROWS):
        yield slice(start, min(start + ROWS, count))


def only_relations(
    keys: pa.LargeStringArray, relations: Vocabulary, connected: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The places of keys that are relations and in no triple, ascending; and the relation that each is."""
    vocabulary = Vocabulary.ascending(keys)
    found = [(vocabulary.get(key), relation) for relation, key in enumerate(relations)]
    gone = [(place, relation) for place, relation in found if place is not None and not connected[place]]
    places, as_relation = np.array(gone, np.int64).reshape(-1, 2).T
    return places, as_relation


def without(keys: pa.LargeStringArray, gone: np.ndarray, folder: Path) -> pa.LargeStringArray:
    """Keys without those at some places."""
    if not len(gone):
        return keys
    column = TextColumn(folder / "entities")
    for rows in chunks(len(keys)):
        column.append(take(keys, np.setdiff1d(np.arange(rows.start, rows.stop), gone, assume_unique=True)))
    return column.whole()
