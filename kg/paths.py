"""Shortest paths between entities."""

from __future__ import annotations

import numpy as np

from kg.graph import KnowledgeGraph


def shortest_path(
    kg: KnowledgeGraph, start: int, end: int, *, max_hops: int = 6, through_types: bool = False
) -> list[int] | None:
    """The rows of `kg.triples` along a shortest path, walking triples in either direction; None where there is none.

    Breadth-first from `start`; of several shortest paths the one with the least rows is taken, from the end backwards.

    Args:
        through_types: also walk over statements of type; by default not, for all things are close through a class.

    >>> kg = KnowledgeGraph.from_triples([("a", "p", "b"), ("c", "p", "b")])
    >>> shortest_path(kg, kg.resolve("a"), kg.resolve("c"))
    [0, 1]
    """
    came_by = {start: -1}
    frontier = np.array([start])
    for _ in range(max_hops):
        if end in came_by or not len(frontier):
            break
        rows = kg.adjacency.touching(frontier)
        if not through_types:
            rows = rows[~kg.is_type(kg.triples[rows, 1])]
        known = set(frontier.tolist())
        reached: dict[int, int] = {}
        for row, head, tail in zip(rows.tolist(), *kg.triples[rows][:, [0, 2]].T.tolist(), strict=True):
            for here, there in ((head, tail), (tail, head)):
                if here in known and there not in came_by:
                    reached.setdefault(there, row)
        came_by |= reached
        frontier = np.array(list(reached), dtype=np.int64)
    if end not in came_by:
        return None
    path: list[int] = []
    while end != start:
        row = came_by[end]
        head, _, tail = kg.triples[row].tolist()
        path.append(row)
        end = head if end == tail else tail
    return path[::-1]
