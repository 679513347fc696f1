"""Entities that a dump says are the same, made one."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kg.literals import IRI_VALUE, LiteralTable, one_array
from kg.strings import take

if TYPE_CHECKING:
    import pyarrow as pa

    from kg.assemble import Joined


def merge_same(joined: Joined, same_as: Sequence[str], known: np.ndarray) -> Joined:
    """Runs in which entities that `same_as` connects, over however many steps and in whatever direction, are one.

    The one that stays is a known one if there is any, else one with an IRI, else the one with the most statements, else
    the first by key. It keeps the keys of the others as values of the predicate, so they can still be looked up.

    Args:
        known: (N,) bool, entities that must stay if one of a group does.
    """
    import pyarrow as pa
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    wanted = {key: place for place, key in enumerate(joined.predicate_keys.to_pylist()) if key in set(same_as)}
    is_same = np.zeros(len(joined.predicate_keys), dtype=bool)
    is_same[list(wanted.values())] = True
    pairs = [
        ours[run.edges[is_same[theirs[run.edges[:, 1]]]]][:, [0, 2]]
        for run, ours, theirs in zip(joined.runs, joined.places, joined.predicate_places, strict=True)
        if len(run.edges)
    ]
    ends = np.concatenate(pairs) if pairs else np.empty((0, 2), np.int64)
    if not len(ends):
        return joined

    members, local = np.unique(ends, return_inverse=True)
    heads, tails = local.reshape(-1, 2).T
    shape = (len(members), len(members))
    _, group = connected_components(coo_array((np.ones(len(heads), np.int8), (heads, tails)), shape=shape), False)
    blank = np.array([key.startswith("_:") for key in take(joined.keys, members).to_pylist()])
    order = np.lexsort((members, -_statements(joined)[members], blank, ~known[members], group))
    first = np.ones(len(order), dtype=bool)
    first[1:] = group[order[1:]] != group[order[:-1]]
    stays = np.empty(group.max() + 1, np.int64)
    stays[group[order[first]]] = members[order[first]]

    canonical = np.arange(len(joined.keys))
    canonical[members] = stays[group]
    gone = members[canonical[members] != members]
    runs = [
        dataclasses.replace(run, edges=run.edges[~is_same[theirs[run.edges[:, 1]]]])
        for run, theirs in zip(joined.runs, joined.predicate_places, strict=True)
    ]
    predicate = next(key for key in same_as if key in wanted)
    said = np.zeros((len(gone), 3), np.int64)
    said[:, 0] = np.arange(len(gone))
    names = pa.array([predicate], pa.large_string())
    other_names = dataclasses.replace(
        runs[0],
        entities=take(joined.keys, gone),
        predicates=names,
        edges=np.empty((0, 3), np.int64),
        literals=said,
        kinds=[(IRI_VALUE, None)],
        values=take(joined.keys, gone),
    )
    return dataclasses.replace(
        joined,
        runs=[*runs, other_names],
        places=[*(canonical[ours] for ours in joined.places), canonical[gone]],
        predicate_places=[*joined.predicate_places, np.array([wanted[predicate]])],
        gone=gone,
    )


def _statements(joined: Joined) -> np.ndarray:
    """(N,) in how many statements each entity is."""
    counts = np.zeros(len(joined.keys), np.int64)
    for run, ours in zip(joined.runs, joined.places, strict=True):
        for column in (run.edges[:, 0], run.edges[:, 2], run.literals[:, 0]):
            counts += np.bincount(ours[column], minlength=len(counts))
    return counts


def other_keys(literals: LiteralTable, same_as: Sequence[str]) -> tuple[np.ndarray, pa.LargeStringArray]:
    """(subjects, keys): what `merge_same` left of the entities that are no more."""
    predicate, datatype = (one_array(literals.table[name]) for name in ("predicate", "datatype"))
    wanted = [code for code, name in enumerate(predicate.dictionary.to_pylist()) if name in same_as]
    address = [code for code, name in enumerate(datatype.dictionary.to_pylist()) if name == IRI_VALUE]
    rows = np.flatnonzero(
        np.isin(np.asarray(predicate.indices), wanted) & np.isin(np.asarray(datatype.indices.fill_null(-1)), address)
    )
    return literals.table["subject"].to_numpy()[rows].astype(np.int64), take(one_array(literals.table["value"]), rows)
