"""Messages along the edges of a graph, summed at their targets in bounded memory: pure functions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from kg.embedding.states import Edges

CHUNK = 1 << 16


def relational_sum(states: Tensor, weights: Tensor, edges: Edges, norm: Tensor) -> Tensor:
    """R-GCN's messages: out[i] = sum over edges (j, r, i) of norm * states[j] @ weights[r].

    The work goes relation by relation in chunks of edges, and the backward gathers again instead of keeping what the
    forward gathered: memory is O(N d + CHUNK d), however many edges there are.

    Args:
        states: (N, d).
        weights: (2R, d, d'), or (2R, B, d / B, d' / B) for matrices of B blocks along the diagonal.
        edges: the graph.
        norm: (E,) weights of edges, taken as constants.

    Returns:
        (N, d').
    """
    summed: Tensor = _RelationalSum.apply(states, weights, edges, norm)
    return summed


class _RelationalSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, weights: Tensor, edges: Edges, norm: Tensor) -> Tensor:
        ctx.save_for_backward(states, weights, norm)
        ctx.edges = edges
        summed = states.new_zeros(len(states), weights[0, ..., 0, :].numel())
        for relation, part in _pieces(edges):
            gathered = states[edges.source[part]] * norm[part, None]
            summed.index_add_(0, edges.target[part], _mapped(gathered, weights[relation]))
        return summed

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        states, weights, norm = ctx.saved_tensors
        state_gradient, weight_gradient = torch.zeros_like(states), torch.zeros_like(weights)
        for relation, part in _pieces(ctx.edges):
            source = ctx.edges.source[part]
            arriving = outer[ctx.edges.target[part]] * norm[part, None]
            weight_gradient[relation] += _crossed(states[source], arriving, weights[relation])
            state_gradient.index_add_(0, source, _mapped(arriving, weights[relation].transpose(-1, -2)))
        return state_gradient, weight_gradient, None, None


def _mapped(rows: Tensor, weights: Tensor) -> Tensor:
    """Rows (n, d) through a matrix (d, d'), or through blocks (B, d / B, d' / B) along the diagonal of one."""
    if weights.dim() == 2:
        return rows @ weights
    return torch.bmm(rows.unflatten(1, (len(weights), -1)).transpose(0, 1), weights).transpose(0, 1).flatten(1)


def _crossed(left: Tensor, right: Tensor, weights: Tensor) -> Tensor:
    """The gradient of such weights: (n, d), (n, d') -> the shape of the weights."""
    if weights.dim() == 2:
        return left.T @ right
    parts = (rows.unflatten(1, (len(weights), -1)).transpose(0, 1) for rows in (left, right))
    first, second = parts
    return torch.bmm(first.transpose(1, 2), second)


def _pieces(edges: Edges) -> Iterator[tuple[int, slice]]:
    """(relation, slice of its edges), at most CHUNK edges at a time."""
    offsets = edges.offsets.tolist()
    for relation, (first, last) in enumerate(itertools.pairwise(offsets)):
        for start in range(first, last, CHUNK):
            yield relation, slice(start, min(start + CHUNK, last))


def composed_sum(states: Tensor, relations: Tensor, edges: Edges, norm: Tensor, composition: str) -> Tensor:
    """CompGCN's messages: out[i] = sum over edges (j, r, i) of norm * compose(states[j], relations[r]).

    `composition` is `sub` (a - b), `mult` (a * b) or `corr` (circular correlation, sum_i a_i b_(i+k)). A correlation is
    a product of Fourier coefficients, and a sum of correlations the correlation's inverse transform once: `corr` costs
    little more than `mult`. Chunks of edges are recomputed in the backward, so memory does not grow with the edges.

    Args:
        states: (N, d).
        relations: (2R, d).
        edges: the graph.
        norm: (E,) weights of edges.
        composition: sub, mult or corr.

    Returns:
        (N, d).
    """
    if composition == "corr":
        spectrum = _chunked_sum(torch.fft.rfft(states).conj(), torch.fft.rfft(relations), edges, norm, "mult")
        return torch.fft.irfft(spectrum, n=states.shape[1])
    return _chunked_sum(states, relations, edges, norm, composition)


def _chunked_sum(states: Tensor, relations: Tensor, edges: Edges, norm: Tensor, composition: str) -> Tensor:
    summed: Tensor = _ComposedSum.apply(states, relations, edges, norm, composition == "mult")
    return summed


class _ComposedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, relations: Tensor, edges: Edges, norm: Tensor, is_product: bool) -> Tensor:
        ctx.save_for_backward(states, relations, norm)
        ctx.edges, ctx.types, ctx.is_product = edges, edges.relations, is_product
        summed = torch.zeros_like(states)
        for source, target, types, weight in _chunks(edges, ctx.types, norm):
            left, right = states[source], relations[types]
            summed.index_add_(0, target, weight * (left * right if is_product else left - right))
        return summed

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        states, relations, norm = ctx.saved_tensors
        to_states, to_relations = torch.zeros_like(states), torch.zeros_like(relations)
        for source, target, types, weight in _chunks(ctx.edges, ctx.types, norm):
            arriving = outer[target] * weight
            left = arriving * relations[types].conj() if ctx.is_product else arriving
            right = arriving * states[source].conj() if ctx.is_product else -arriving
            to_states.index_add_(0, source, left)
            to_relations.index_add_(0, types, right)
        return to_states, to_relations, None, None, None


def attended_sum(states: Tensor, relations: Tensor, edges: Edges, weights: Tensor) -> Tensor:
    """out[i] = sum over edges (j, r, i) of weights * (states[j] + relations[r]); weights (E,) are learned too.

    Chunks of edges are recomputed in the backward, as in `composed_sum`.
    """
    summed: Tensor = _AttendedSum.apply(states, relations, edges, weights)
    return summed


class _AttendedSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, states: Tensor, relations: Tensor, edges: Edges, weights: Tensor) -> Tensor:
        ctx.save_for_backward(states, relations, weights)
        ctx.edges, ctx.types = edges, edges.relations
        summed = torch.zeros_like(states)
        for source, target, types, weight in _chunks(edges, ctx.types, weights):
            summed.index_add_(0, target, weight * (states[source] + relations[types]))
        return summed

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        states, relations, weights = ctx.saved_tensors
        to_states, to_relations = torch.zeros_like(states), torch.zeros_like(relations)
        to_weights: list[Tensor] = []
        for source, target, types, weight in _chunks(ctx.edges, ctx.types, weights):
            arriving = outer[target]
            to_weights.append((arriving * (states[source] + relations[types])).sum(1))
            arriving = arriving * weight
            to_states.index_add_(0, source, arriving)
            to_relations.index_add_(0, types, arriving)
        return to_states, to_relations, None, torch.cat(to_weights) if to_weights else torch.zeros_like(weights)


def softmax_into(scores: Tensor, target: Tensor, num_entities: int) -> Tensor:
    """(E, H) scores -> weights that sum to 1 over the edges into each entity.

    >>> softmax_into(torch.zeros(3, 1), torch.tensor([0, 0, 1]), 2).flatten().tolist()
    [0.5, 0.5, 1.0]
    """
    place = target[:, None].expand_as(scores)
    peak = scores.new_full((num_entities, scores.shape[1]), -torch.inf)
    peak = peak.scatter_reduce(0, place, scores.detach(), "amax")
    raised = (scores - peak[target]).exp()
    return raised / torch.zeros_like(peak).index_add(0, target, raised)[target]


def _chunks(edges: Edges, types: Tensor, norm: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """(source, target, relation, weight as a column) of at most CHUNK edges at a time."""
    columns = edges.source, edges.target, types, norm[:, None]
    return zip(*(column.split(CHUNK) for column in columns), strict=True) if len(types) else iter(())


def mean_norm(edges: Edges, num_entities: int) -> Tensor:
    """(E,) weights 1 / |N_r(i)|: messages of one relation into one entity count as their mean."""
    keys = edges.relations * num_entities + edges.target
    _, place, counts = torch.unique(keys, return_inverse=True, return_counts=True)
    return 1.0 / counts[place].to(torch.get_default_dtype())


def symmetric_norm(edges: Edges, num_entities: int) -> Tensor:
    """(E,) weights 1 / sqrt(d_source d_target): degrees among the facts, or the inverse facts, that the edge is of."""
    is_fact = (edges.relations < (len(edges.offsets) - 1) // 2).long()
    if edges.degrees is None:
        leaving, arriving = (
            torch.bincount(2 * ends + is_fact, minlength=2 * num_entities).view(-1, 2)
            for ends in (edges.source, edges.target)
        )
    else:
        leaving, arriving = edges.degrees.flip(1), edges.degrees  # an inverse fact leaves the tail of its fact
    product = leaving[edges.source, is_fact] * arriving[edges.target, is_fact]
    return product.to(torch.get_default_dtype()).rsqrt()


def undirected_norm(edges: Edges, index: Tensor, num_entities: int, *, loops: int) -> Tensor:
    """(E,) weights 1 / sqrt(d_source d_target) of edges (2, E); d counts facts either way, plus `loops`."""
    if edges.degrees is None:
        either = torch.bincount(edges.target, minlength=num_entities) + loops
    else:
        either = edges.degrees.sum(1) + loops
    return (either[index[0]] * either[index[1]]).to(torch.get_default_dtype()).rsqrt()
