"""Facts that change after training: which ones, and the triples after the change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kept.probing.world import RELATION, TAIL, Swap, World
from kg.graph import KnowledgeGraph


def draw_swaps(world: World, *, per_relation: int = 40, parts: Sequence[str] = ("A", "B-test")) -> list[Swap]:
    """Facts with a new object each: the objects of one relation change hands among its drawn facts.

    Only facts that stand alone are drawn: their subject has no other object by that relation, and no second fact
    between the two entities in either direction would contradict the change. New objects come from a derangement, so
    each object stays as frequent as it was and its frequency tells nothing. `parts` are drawn from alike.
    """
    graph, triples = world.graph, np.asarray(world.graph.triples)
    pairs = {(head, tail): 0 for head, _, tail in triples.tolist()}
    for head, _, tail in triples.tolist():
        pairs[head, tail] += 1
    swaps = []
    for relation in range(graph.num_relations):
        rng = world.rng("swap", graph.relations.key(relation))
        rows = np.concatenate([_draw(world, rng, part, relation, pairs, per_relation // len(parts)) for part in parts])
        for row, new in zip(rows, _derangement(triples[rows, TAIL], rng), strict=True):
            head, _, old = triples[row].tolist()
            if new != old:
                keys = (graph.entities.key(entity) for entity in (old, int(new)))
                swaps.append(Swap(graph.entities.key(head), graph.relations.key(relation), *keys))
    return swaps


def _draw(
    world: World,
    rng: np.random.Generator,
    part: str,
    relation: int,
    pairs: dict[tuple[int, int], int],
    count: int,
) -> np.ndarray:
    """At most `count` rows of one part and relation that stand alone."""
    triples = np.asarray(world.graph.triples)
    rows = world.split.rows(part)
    rows = rows[triples[rows, RELATION] == relation]
    alone = [
        row
        for row, (head, _, tail) in zip(rows.tolist(), triples[rows].tolist(), strict=True)
        if len(world.objects[head, relation]) == 1 and pairs[head, tail] == 1 and (tail, head) not in pairs
    ]
    return np.sort(rng.permutation(np.array(alone, dtype=np.int64))[:count])


def _derangement(objects: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same objects, moved so that as few as possible stay where they were.

    Sorted by value and rolled by the count of the most frequent one, no object meets itself unless one of them holds
    more than half of the places.
    """
    if len(objects) < 2:
        return objects
    order = rng.permutation(len(objects))
    order = order[np.argsort(objects[order], kind="stable")]
    moved = np.empty_like(objects)
    moved[order] = np.roll(objects[order], np.bincount(np.unique(objects, return_inverse=True)[1]).max())
    return moved


def swapped_triples(graph: KnowledgeGraph, swaps: Sequence[Swap]) -> np.ndarray:
    """The triples of a graph with the changed facts in the place of the old; facts that it lacks stay absent.

    >>> from kg import KnowledgeGraph
    >>> graph = KnowledgeGraph.from_triples([("FR", "capital", "PA"), ("DE", "capital", "BE")])
    >>> swaps = [Swap("FR", "capital", "PA", "BE"), Swap("DE", "capital", "BE", "PA")]
    >>> list(graph.with_triples(swapped_triples(graph, swaps)).statements())
    [('DE', 'capital', 'PA'), ('FR', 'capital', 'BE')]
    """
    entity, relation = graph.entities.id, graph.relations.id
    changed = {(entity(s.subject), relation(s.relation), entity(s.old)): entity(s.new) for s in swaps}
    triples = np.array(graph.triples)
    for row, fact in enumerate(map(tuple, triples.tolist())):
        if fact in changed:
            triples[row, TAIL] = changed[fact]
    return np.unique(triples, axis=0)
