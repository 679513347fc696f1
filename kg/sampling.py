"""The compiled loop of `kg.sample`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

GOLDEN, MIX_A, MIX_B = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
A, B, C = np.uint64(30), np.uint64(27), np.uint64(31)
HALF = np.uint64(32)


@njit(inline="always")
def scrambled(state: Any) -> Any:
    """A number that looks random; successive states, GOLDEN apart, give a good generator.

    Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators" (SplitMix64).
    """
    state = (state ^ (state >> A)) * MIX_A
    state = (state ^ (state >> B)) * MIX_B
    return state ^ (state >> C)


@njit(inline="always")
def below(state: Any, count: Any) -> Any:
    """A number from 0 to count - 1 (Lemire 2019, without the rejection that matters beyond billions)."""
    return np.int64(((scrambled(state) >> HALF) * np.uint64(count)) >> HALF)


@njit(cache=True, nogil=True)
def draw(
    seeds: Any,
    fanouts: Any,
    triples: Any,
    out_offsets: Any,
    in_offsets: Any,
    in_order: Any,
    num_relations: Any,
    use_in: Any,
    use_out: Any,
    places: Any,
    seed: Any,
) -> Any:
    """(nodes, places of the seeds, edges, types, rows, hops); see `kg.sample.Sample`. `places` is all -1 and stays."""
    nodes = np.empty(max(16, 4 * len(seeds)), np.int64)
    room = max(16, 16 * len(seeds))
    edges, types, rows = np.empty((2, room), np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    of_seeds = np.empty(len(seeds), np.int64)
    hops = np.empty(len(fanouts) + 1, np.int64)
    picks = np.empty(64, np.int64)
    count = drawn = 0
    for index in range(len(seeds)):
        node = seeds[index]
        if places[node] < 0:
            places[node] = count
            nodes[count] = node
            count += 1
        of_seeds[index] = places[node]
    hops[0] = count
    first = 0
    for hop in range(len(fanouts)):
        last = count
        for target in range(first, last):
            node = nodes[target]
            incoming = in_offsets[node + 1] - in_offsets[node] if use_in else 0
            outgoing = out_offsets[node + 1] - out_offsets[node] if use_out else 0
            degree = incoming + outgoing
            wanted = min(degree, fanouts[hop])
            if wanted > len(picks):
                picks = np.empty(2 * wanted, np.int64)
            if wanted == degree:
                for index in range(wanted):
                    picks[index] = index
            else:
                # Floyd's way to draw without replacement (Bentley and Floyd 1987, algorithm F2).
                state = scrambled(np.uint64(seed) + GOLDEN * np.uint64(node + 1))
                for index in range(wanted):
                    state += GOLDEN
                    top = degree - wanted + index
                    pick = below(state, top + 1)
                    for before in range(index):
                        if picks[before] == pick:
                            pick = top
                            break
                    picks[index] = pick
            if drawn + wanted > len(types):
                grown = 2 * (drawn + wanted)
                more = np.empty((2, grown), np.int64)
                more[:, :drawn] = edges[:, :drawn]
                edges = more
                types = np.concatenate((types[:drawn], np.empty(grown - drawn, np.int64)))
                rows = np.concatenate((rows[:drawn], np.empty(grown - drawn, np.int64)))
            if count + wanted > len(nodes):
                nodes = np.concatenate((nodes[:count], np.empty(count + 2 * wanted, np.int64)))
            for index in range(wanted):
                pick = picks[index]
                if pick < incoming:
                    row = np.int64(in_order[in_offsets[node] + pick])
                    source = triples[row, 0]
                    types[drawn] = triples[row, 1]
                else:
                    row = np.int64(out_offsets[node] + pick - incoming)
                    source = triples[row, 2]
                    types[drawn] = triples[row, 1] + num_relations
                if places[source] < 0:
                    places[source] = count
                    nodes[count] = source
                    count += 1
                edges[0, drawn] = places[source]
                edges[1, drawn] = target
                rows[drawn] = row
                drawn += 1
        hops[hop + 1] = count
        first = last
    for index in range(count):
        places[nodes[index]] = -1
    return nodes[:count].copy(), of_seeds, edges[:, :drawn].copy(), types[:drawn].copy(), rows[:drawn].copy(), hops
