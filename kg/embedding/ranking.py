"""Exact filtered ranking: where the true answer stands among all entities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from kg.embedding.answers import AnswerIndex
from kg.embedding.memory import freed_memory_kept
from kg.embedding.products import IN_CACHE
from kg.embedding.rounded_ranking import Facts, count_by_rounding
from kg.embedding.scorers.base import Scorer
from kg.embedding.states import States
from kg.errors import Diverged, InputError, nearest

HEAD, TAIL = 0, 1
KINDS = ("optimistic", "pessimistic", "realistic")
METRICS = ("mrr", "mr", "amri", "hits@1", "hits@3", "hits@10")
SCORE_BYTES, MIN_QUERIES, MAX_QUERIES = 64 << 20, 128, 1024


@dataclass(frozen=True)
class Ranks:
    """Filtered ranks of facts, both sides: arrays (T, 2), column 0 the head's rank, column 1 the tail's.

    On ties the true answer is placed before its equals (`optimistic`), behind them (`pessimistic`), or in their middle
    (`realistic`, the mean of both), which is what figures use unless told otherwise: a scorer that gives every entity
    the same score must not look perfect (Sun et al. 2020, "A Re-evaluation of Knowledge Graph Completion Methods").

    `candidates` (T, 2) counts what each true answer was ranked among, itself included; the adjusted mean rank index
    `amri = 1 - (mean rank - 1) / (mean rank of chance - 1)` needs it: 1 is perfect, 0 is chance, whatever the graph's
    size (Berrendorf et al. 2020, "On the Ambiguity of Rank-Based Evaluation of Entity Alignment or Link Prediction").
    """

    triples: np.ndarray
    optimistic: np.ndarray
    pessimistic: np.ndarray
    candidates: np.ndarray

    @property
    def realistic(self) -> np.ndarray:
        return (self.optimistic + self.pessimistic) / 2

    def values(self, metric: str, kind: str = "realistic", side: int | None = None) -> np.ndarray:
        """(T,) what each fact adds to `mrr`, `mr`, `amri` or `hits@K`, the mean of its sides (or one of them)."""
        if kind not in KINDS:
            raise InputError(f"no ranks are called {kind!r}; {nearest(kind, KINDS)}")
        ranks: np.ndarray = getattr(self, kind)
        sides = slice(None) if side is None else [side]
        ranks = ranks[:, sides]
        name, _, k = metric.partition("@")
        if metric == "mrr":
            ranks = 1 / ranks
        elif metric == "amri":
            by_chance = (self.candidates[:, sides] - 1).mean() / 2
            ranks = 1 - (ranks - 1) / by_chance if by_chance else np.ones_like(ranks)
        elif name == "hits" and k.isdecimal():
            ranks = (ranks <= int(k)).astype(float)
        elif metric != "mr":
            raise InputError(f"no ranking metric is called {metric!r}; {nearest(metric, METRICS)}")
        values: np.ndarray = ranks.mean(1)
        return values

    def mrr(self, kind: str = "realistic", side: int | None = None) -> float:
        """Mean reciprocal rank."""
        return float(self.values("mrr", kind, side).mean())

    def hits(self, k: int, kind: str = "realistic", side: int | None = None) -> float:
        """The share of ranks that are at most `k`."""
        return float(self.values(f"hits@{k}", kind, side).mean())

    def mr(self, kind: str = "realistic", side: int | None = None) -> float:
        """Mean rank."""
        return float(self.values("mr", kind, side).mean())

    def interval(
        self, metric: str, *, samples: int = 1000, level: float = 0.95, seed: int = 0, kind: str = "realistic"
    ) -> tuple[float, float]:
        """A percentile bootstrap interval of a metric over facts; the two sides of a fact stay together.

        >>> ranks = Ranks(np.zeros((2, 3), int), *np.ones((3, 2, 2), int))
        >>> ranks.interval("mrr")
        (1.0, 1.0)
        """
        values = self.values(metric, kind)
        generator = np.random.default_rng(seed)
        means = [values[generator.integers(0, len(values), len(values))].mean() for _ in range(samples)]
        low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
        return float(low), float(high)

    def per_relation(self) -> dict[int, Ranks]:
        """The ranks of each relation's facts, by relation id."""
        return {int(relation): self.only(self.triples[:, 1] == relation) for relation in np.unique(self.triples[:, 1])}

    def only(self, rows: np.ndarray) -> Ranks:
        """The ranks of some of the facts."""
        return Ranks(self.triples[rows], self.optimistic[rows], self.pessimistic[rows], self.candidates[rows])

    def per_cardinality(self, known: np.ndarray) -> dict[str, Ranks]:
        """The ranks of the facts of 1-1, 1-N, N-1 and N-N relations, as far as there are any.

        A side is N where the known facts have more than 1.5 entities there for one on the other (Bordes et al. 2013).
        """
        classes = cardinalities(known)
        of_facts = np.array([classes.get(relation, "1-1") for relation in self.triples[:, 1].tolist()])
        found = {name: self.only(of_facts == name) for name in ("1-1", "1-N", "N-1", "N-N")}
        return {name: ranks for name, ranks in found.items() if len(ranks.triples)}


def cardinalities(known: np.ndarray) -> dict[int, str]:
    """Relation id -> "1-1", "1-N", "N-1" or "N-N", heads first.

    >>> cardinalities(np.array([[0, 0, 1], [0, 0, 2]]))
    {0: '1-N'}
    """
    classes = {}
    for relation in np.unique(known[:, 1]).tolist():
        facts = known[known[:, 1] == relation]
        heads, tails = (len(np.unique(facts[:, column])) for column in (0, 2))
        many = ["N" if len(facts) / others > 1.5 else "1" for others in (tails, heads)]
        classes[relation] = "-".join(many)
    return classes


class Ranked(Protocol):
    """What is ranked: a `Scorer`, or another model that scores all entities, as a path model does."""

    num_entities: int
    num_relations: int
    training: bool

    def states(self) -> States: ...

    def score_tails(self, head: Tensor, relation: Tensor, states: States, candidates: slice) -> Tensor: ...

    def train(self, mode: bool = True) -> object: ...


@freed_memory_kept()
@torch.no_grad()
def rank(model: Ranked, test: np.ndarray, known: np.ndarray, *, chunk: int | None = None) -> Ranks:
    """Rank the true head and the true tail of each test fact among all entities, other true answers taken out.

    Equal queries are scored once, other true answers are found in a CSR index and set to -inf, and a rank is a count of
    better scores: nothing is sorted, and memory stays below about two score blocks of 64 MB. Where scores are products
    of vectors on the CPU, those that leave no doubt are read from rounded factors (`kg.embedding.rounded_ranking`).

    Args:
        model: a scorer; it is asked in eval mode and left in the mode it was in.
        test: (T, 3) facts.
        known: (K, 3) all known facts to filter; `test` itself is always filtered.
        chunk: entities that are scored at a time; by default all, or as many as leave room for 128 queries.

    Raises:
        InputError: no test facts, or vectors and scores that are not numbers.

    Source: Bordes et al. 2013 (filtered setting); Berrendorf et al. 2020 (realistic rank).

        >>> from kg.embedding.scorers import ComplEx
        >>> facts = np.array([[0, 0, 1], [1, 0, 2]])
        >>> rank(ComplEx(3, 1, dim=4), facts, facts).optimistic.shape
        (2, 2)
    """
    if not len(test):
        raise InputError("test: there are no facts to rank")
    was_training = model.training
    model.train(False)
    states = model.states()
    if not all(bool(table.isfinite().all()) for table in states[:2]):
        raise Diverged("the model's vectors are not finite; it cannot be ranked")
    known = np.concatenate([known, test])
    optimistic = np.empty((len(test), 2), np.int64)
    pessimistic = np.empty((len(test), 2), np.int64)
    candidates = np.empty((len(test), 2), np.int64)
    for side in (HEAD, TAIL):
        asked, answers = as_queries(test, side, model.num_relations)
        index = AnswerIndex.build(*as_queries(known, side, model.num_relations))
        better, equal = count_better(model, states, asked, answers, index, chunk)
        optimistic[:, side] = better + 1
        pessimistic[:, side] = better + equal + 1
        candidates[:, side] = model.num_entities + 1 - index.counts(asked)
    model.train(was_training)
    return Ranks(test, optimistic, pessimistic, candidates)


def as_queries(triples: np.ndarray, side: int, num_relations: int) -> tuple[np.ndarray, np.ndarray]:
    """Facts -> queries (T, 2) of entity and relation, and their answers (T,); heads are tails of the inverse."""
    head, relation, tail = triples.T.astype(np.int64)
    if side == TAIL:
        return np.stack([head, relation], 1), tail
    return np.stack([tail, relation + num_relations], 1), head


class Grouped(NamedTuple):
    """Facts by their queries: equal ones are asked once.

    Args:
        queries: (Q, 2) distinct ones, of entity and relation.
        row: (F,) which of them each fact asks.
        order: (F,) facts in the order of their queries.
        bounds: (Q + 1,) the facts of query i are `order[bounds[i]:bounds[i + 1]]`.
    """

    queries: np.ndarray
    row: np.ndarray
    order: np.ndarray
    bounds: np.ndarray

    @classmethod
    def of(cls, queries: np.ndarray) -> Grouped:
        distinct, row = np.unique(queries, axis=0, return_inverse=True)
        row = row.reshape(-1)
        order = np.argsort(row, kind="stable")
        return cls(distinct, row, order, np.searchsorted(row[order], np.arange(len(distinct) + 1)))

    def blocks(self, first: int, size: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """From query `first` on: some queries, their facts, and which of these queries each fact asks."""
        for start in range(first, len(self.queries), size):
            stop = min(start + size, len(self.queries))
            facts = self.order[self.bounds[start] : self.bounds[stop]]
            yield self.queries[start:stop], facts, self.row[facts] - start


def count_better(
    model: Ranked,
    states: States,
    queries: np.ndarray,
    answers: np.ndarray,
    index: AnswerIndex,
    chunk: int | None,
) -> tuple[np.ndarray, np.ndarray]:
    """For each (query, answer): how many unknown candidates score better than the answer, how many the same."""
    grouped, counts = Grouped.of(queries), np.zeros((2, len(answers)), np.int64)
    done = count_certain_ones(model, states, grouped, answers, index, chunk, counts)
    width, block = block_shape(model.num_entities, chunk)
    device = states.relations.device
    for asked, facts, row in grouped.blocks(done, block):
        rows, columns = torch.as_tensor(row, device=device), torch.as_tensor(answers[facts], device=device)
        known = tuple(torch.as_tensor(part, device=device) for part in index.pairs(asked))
        scores = ScoreBlock(model, states, torch.as_tensor(asked, device=device), width)
        own = scores.at(rows, columns)
        if bool(torch.isnan(own).any()):
            raise Diverged("the model's scores are not numbers; it cannot be ranked")
        counts[:, facts] = torch.stack(scores.count(rows, own, *known)).cpu().numpy()
    return counts[0], counts[1]


def count_certain_ones(
    model: Ranked,
    states: States,
    grouped: Grouped,
    answers: np.ndarray,
    index: AnswerIndex,
    chunk: int | None,
    counts: np.ndarray,
) -> int:
    """Fill (2, F) `counts` by `count_by_rounding` as long as that is a gain; returns how many queries are done.

    It takes scores that are products of vectors of 32 bits on the CPU.
    """
    tables = states.entities
    if not isinstance(model, Scorer) or tables.dtype != torch.float32 or tables.device.type != "cpu":
        return 0
    done = 0
    for asked, facts, row in grouped.blocks(0, max(1, SCORE_BYTES // (4 * tables.shape[1]))):
        head, relation = torch.as_tensor(asked).unbind(1)
        factors = model.as_product(model.queries(head, relation, states), tables)
        if factors is None or not bool(factors[0].isfinite().all()):
            break
        owners, known = index.pairs(asked)
        starts = np.searchsorted(owners, np.arange(len(asked) + 1))
        counted = count_by_rounding(*factors, Facts(row, answers[facts], starts, known), chunk)
        if counted is None:
            break
        counts[:, facts] = counted
        done += len(asked)
    return done


def block_shape(num_entities: int, chunk: int | None) -> tuple[int, int]:
    """How many entities and how many queries are scored at a time.

    Queries should be many, or the products are slow: where all entities leave room for few, entities come in slices.
    """
    width = chunk or num_entities
    if chunk is None and SCORE_BYTES // (4 * width) < MIN_QUERIES:
        width = SCORE_BYTES // (4 * MIN_QUERIES)
    return width, max(1, min(MAX_QUERIES, SCORE_BYTES // (4 * width)))


class ScoreBlock:
    """Scores of a block of queries with all entities, one slice of entities at a time.

    A true answer's own score is read from the same products that its rivals come from: computed in another shape it
    could differ in the last bit, and ties would be broken by rounding.
    """

    def __init__(self, model: Ranked, states: States, asked: Tensor, width: int) -> None:
        self.model, self.states, self.asked, self.width = model, states, asked, width
        self.whole = self._slice(0) if width >= model.num_entities else None

    def _slice(self, start: int) -> Tensor:
        candidates = slice(start, start + self.width)
        return self.model.score_tails(self.asked[:, 0], self.asked[:, 1], self.states, candidates)

    def slices(self) -> Iterator[tuple[int, Tensor]]:
        if self.whole is not None:
            yield 0, self.whole
            return
        for start in range(0, self.model.num_entities, self.width):
            yield start, self._slice(start)

    def at(self, rows: Tensor, columns: Tensor) -> Tensor:
        """The scores of (query, entity) pairs."""
        values = torch.empty(len(rows), dtype=self.states.relations.dtype, device=rows.device)
        for start, scores in self.slices():
            inside = (columns >= start) & (columns < start + scores.shape[1])
            values[inside] = scores[rows[inside], columns[inside] - start]
        return values

    def count(self, rows: Tensor, own: Tensor, known_rows: Tensor, known_columns: Tensor) -> tuple[Tensor, Tensor]:
        """How many candidates beat, and how many equal, each (query, own score), known answers taken out."""
        better, equal = torch.zeros_like(rows), torch.zeros_like(rows)
        for start, scores in self.slices():
            inside = (known_columns >= start) & (known_columns < start + scores.shape[1])
            scores[known_rows[inside], known_columns[inside] - start] = -torch.inf
            # A few rows at a time, which the copy leaves in the cache for the two passes that count.
            some = max(1, IN_CACHE // scores.shape[1]) if scores.device.type == "cpu" else len(scores)
            for part in torch.arange(len(rows), device=rows.device).split(some):
                rivals, mine = scores[rows[part]], own[part, None]
                # Sums of booleans are taken in 64 bits unless told otherwise, at twice the cost.
                better[part] += (rivals > mine).sum(1, dtype=torch.int32)
                equal[part] += (rivals == mine).sum(1, dtype=torch.int32)
        return better, equal
