"""The fast lane: line formats into numbers, by several threads, as `kg.rdf` would read them one by one."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from kg.arrow import PADDING
from kg.digests import NOTHING, HashedBeside
from kg.interning import USED, Table, intern
from kg.layout import (
    BATCH,
    EDGES,
    FOREIGN,
    FROM,
    IN_GRAPHS,
    KIND_FOREIGN,
    KIND_INVALID,
    KIND_KEPT,
    LINES,
    LITERALS,
    PAUSE,
    PAUSE_DONE,
    PAUSE_ENTITIES,
    PAUSE_GRAPHS,
    PAUSE_KIND,
    PAUSE_PREDICATES,
    REST,
    STATEMENTS,
    TO,
    UNWANTED,
    VALUES,
    Hashed,
    Output,
    Rows,
    Tables,
)
from kg.literals import IRI_VALUE
from kg.loops import Loop
from kg.policy import Policy, Tally
from kg.rdf import QUOTED, LineReader, Reject, Statement, line_blocks
from kg.shards import Kind, Part, Spill, TakesParts

scan, tokenise, number_rows = (Loop("kg.scanning", name) for name in ("scan", "tokenise", "number_rows"))
with_scope = Loop("kg.hashing", "with_scope")
BLOCK = 1 << 22
TAIL = b'\n>"' + bytes(61)
"""What stands behind a block, so that the compiled loop's searches end."""
COUNTED = ("statements", "graphs", "foreign", "quoted", "unwanted")
COUNTERS = (STATEMENTS, IN_GRAPHS, FOREIGN, UNWANTED)
SAMPLE = b'<x:s> <x:p> ""%s .'
Refusal = tuple[int, str]
"""(line in its block, reason)."""


@dataclass
class Scanner:
    """Reads blocks of lines into numbers of its own.

    Args:
        reader: the full reader of the same syntax, for lines that are not plain.
        policy: what is kept.
        scope: put in front of blank nodes' labels.
        spill: takes the part when it has grown to its limit, and a new one is begun.
        blank_nodes: False to raise `BlankNodeFound` where there are some.
        hashing: the hash of the dump, where it is worked out beside.
    """

    reader: LineReader
    part: Part = field(init=False)
    policy: Policy
    scope: str = ""
    spill: TakesParts | None = None
    blank_nodes: bool = True
    hashing: HashedBeside | None = None
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))

    def __post_init__(self) -> None:
        self._output, self._rows = Output.of(BLOCK), Rows.of(BATCH)
        self._images = tuple(dict.fromkeys(self.policy.predicates.image))
        roles = self.policy.predicates.groups().values()
        self._known = tuple(dict.fromkeys((*self._images, *(key for group in roles for key in group))))
        self._wanted = np.array([self.policy.wants(key) for key in self._known], np.bool_)
        self._others = self.policy.wants("")
        self._drop = self.policy.named_graphs == "drop"
        self._quads = self.reader.format_name == "N_QUADS"
        self._begin()

    def _begin(self) -> None:
        """A new part, with numbers of its own."""
        self.part = Part()
        self.entities, self.predicates = Table.empty(1 << 16), Table.empty(1 << 10)
        self.graphs, self.kinds = Table.empty(1 << 8), Table.empty(1 << 10)
        self.meanings: list[Kind] = []
        self._status = np.zeros(len(self.kinds.starts), np.uint8)
        self._numbers: dict[Kind, int] = {}
        self._learn(b"", (None, None), KIND_KEPT)
        self._learn(b"<>", (IRI_VALUE, None), KIND_KEPT)
        for predicate in self._known:
            self.predicates, _ = intern(self.predicates, predicate.encode())

    def scan(self, block: memoryview) -> tuple[int, list[Refusal]]:
        """Take the lines of a block, which ends with `TAIL`; returns how many there were, and what was refused."""
        data, stop = np.frombuffer(block, np.uint8), len(block) - len(TAIL)
        with nullcontext(NOTHING) if self.hashing is None else self.hashing.taking(data, 0, stop) as hashed:
            return self._scan(data, stop, hashed)

    def _scan(self, data: np.ndarray, stop: int, hashed: Hashed) -> tuple[int, list[Refusal]]:
        if len(self._output.values) < stop + 64:
            self._output = Output.of(stop)
        out, place, refused = self._output, 0, []
        out.state[:] = 0
        while True:
            place = scan(data, place, stop, self._tables(), self._rows, out, self._quads, self._drop, hashed)
            refused += self._flush(data)
            if out.state[PAUSE] == PAUSE_DONE:
                break
            self._grow(out.state[PAUSE])
            if out.state[PAUSE] == PAUSE_KIND:
                self._meet(data[out.state[FROM] : out.state[TO]].tobytes())
        self._count()
        if self.spill is not None and self.part.size + self.entities.size > self.spill.limit:
            self.spill(self.finish())
            self._begin()
        return int(out.state[LINES]), refused

    def _tables(self) -> Tables:
        return Tables(
            self.entities,
            self.predicates,
            self.graphs,
            self.kinds,
            self._status,
            len(self._images),
            self._wanted,
            self._others,
        )

    def _grow(self, pause: int) -> None:
        """Make the room that a loop paused for."""
        if pause == PAUSE_ENTITIES:
            self.entities = self.entities.grown()
        elif pause == PAUSE_PREDICATES:
            self.predicates = self.predicates.grown()
        elif pause == PAUSE_GRAPHS:
            self.graphs = self.graphs.grown()

    def _count(self) -> None:
        """Add what a block had to the counts."""
        for name, place in zip(("statements", "graphs", "foreign", "unwanted"), COUNTERS, strict=True):
            self.counts[name] += int(self._output.state[place])

    def _flush(self, data: np.ndarray) -> list[Refusal]:
        """Hand on what is in the output and parse the lines that the loop did not take."""
        out = self._output
        edges, literals, values, rest = out.state[[EDGES, LITERALS, VALUES, REST]].tolist()
        if edges:
            self.part.edges(out.edges[:edges])
        if literals:
            self.part.literals(out.literals[:literals], out.values[:values])
        refused = self._parse(data, out.rest[:rest].tolist()) if rest else []
        out.state[[EDGES, LITERALS, VALUES, REST]] = 0
        return refused

    def _parse(self, data: np.ndarray, rest: list[list[int]]) -> list[Refusal]:
        refused: list[Refusal] = []

        def reject(line: int | None, reason: str) -> None:
            refused.append((line or 0, reason))

        lines = [data[start:stop].tobytes() for start, stop, _ in rest]
        numbers = [number for _, _, number in rest]
        edges: list[tuple[int, int, int]] = []
        literals: list[tuple[int, int, int, int]] = []
        values: list[bytes] = []
        for statement in self.reader.parse_lines(lines, numbers, reject=reject):
            self._take(statement, edges, literals, values)
        if edges:
            self.part.edges(np.array(edges, np.int32))
        if literals:
            self.part.literals(np.array(literals, np.int32), np.frombuffer(b"".join(values), np.uint8))
        return refused

    def _take(
        self,
        statement: Statement,
        edges: list[tuple[int, int, int]],
        literals: list[tuple[int, int, int, int]],
        values: list[bytes],
    ) -> None:
        """One statement that was parsed in full, by the rules of the compiled loop."""
        subject, predicate, target, datatype, language, graph, _ = statement
        self.counts["statements"] += 1
        if graph is not None:
            self.counts["graphs"] += 1
            if self._drop:
                return
        image = predicate in self._images
        if datatype == QUOTED:
            self.counts["quoted"] += 1
        elif datatype != IRI_VALUE and not self.policy.speaks(language):
            self.counts["foreign"] += 1
        elif datatype == IRI_VALUE and not image:
            edges.append((self._entity(subject), self._predicate(predicate), self._entity(target)))
        elif not self.policy.wants(predicate):
            self.counts["unwanted"] += 1
        else:
            if image and target.startswith("_:") and datatype == IRI_VALUE:
                target = scoped(target, self.scope)
            value = target.encode()
            row = (self._entity(subject), self._predicate(predicate), self._kind((datatype, language)), len(value))
            literals.append(row)
            values.append(value)

    def _entity(self, key: str) -> int:
        self.entities, number = intern(self.entities, key.encode())
        return number

    def _predicate(self, key: str) -> int:
        self.predicates, number = intern(self.predicates, key.encode())
        return number

    def _kind(self, kind: Kind) -> int:
        number = self._numbers.get(kind)
        if number is None:
            # No line can bring this suffix: a language tag has no blank, a datatype no two brackets.
            number = self._learn(f" {kind}".encode(), kind, KIND_KEPT)
        return number

    def _meet(self, suffix: bytes) -> None:
        """Learn what a new suffix of literals means, from the parser itself."""
        found = list(self.reader.parse_lines([SAMPLE % suffix], [0], reject=lambda line, reason: None))
        if not found:
            self._learn(suffix, (None, None), KIND_INVALID)
            return
        kind = (found[0].datatype, found[0].language)
        self._learn(suffix, kind, KIND_KEPT if self.policy.speaks(kind[1]) else KIND_FOREIGN)

    def _learn(self, suffix: bytes, kind: Kind, status: int) -> int:
        self.kinds, number = intern(self.kinds, suffix)
        if len(self._status) < len(self.kinds.starts):
            self._status = np.resize(self._status, len(self.kinds.starts))
        self._status[number] = status
        self.meanings.append(kind)
        self._numbers.setdefault(kind, number)
        return number

    def finish(self) -> Part:
        """The part, with what its numbers stand for."""
        names = [_used(table) for table in (self.entities, self.predicates)]
        data, starts = names[0]
        if not self.blank_nodes and (data[starts[:-1]] == ord("_")).any():  # no IRI begins so
            raise BlankNodeFound
        if self.scope:
            names[0] = scoped_keys(data, starts, self.scope.encode())
        return self.part.finish(names[0], names[1], self.meanings)


class BlankNodeFound(Exception):
    """A blank node where none may be."""


def scan_dump(
    stream: BinaryIO,
    reader: LineReader,
    policy: Policy,
    reject: Reject,
    scope: str,
    threads: int,
    spill: Spill | None = None,
    *,
    blank_nodes: bool = True,
    hashing: HashedBeside | None = None,
) -> tuple[Tally, list[Part]]:
    """Number the statements of a dump of lines, in a part for each thread; those before went to `spill`.

    With fewer than four threads, and no `spill` if they are several, blocks are taken in their order; then the dump's
    `hashing` can be worked out beside.
    """
    settings = (reader, policy, scope, spill, blank_nodes, hashing)
    if threads == 1 or spill is not None:
        scanners = [Scanner(*settings) for _ in range(threads)]
        scan_stream(stream, scanners, reject)
    else:
        from kg.paired import PairedScanner, scan_in_pairs

        pairs = [PairedScanner(*settings) for _ in range(threads // 2)]
        scan_in_pairs(stream, pairs, reject)
        scanners = [*pairs]
    with ThreadPoolExecutor(threads) as pool:
        parts = list(pool.map(Scanner.finish, scanners))
    counts = {name: sum(scanner.counts[name] for scanner in scanners) for name in scanners[0].counts}
    tally = Tally.of(
        policy,
        counts["statements"],
        quoted=counts["quoted"],
        foreign=counts["foreign"],
        unwanted=counts["unwanted"],
        in_graphs=counts["graphs"],
    )
    return tally, parts


def _used(table: Table) -> tuple[np.ndarray, np.ndarray]:
    return table.arena[: table.state[USED] + PADDING], table.starts[: len(table) + 1]


def scoped_keys(data: np.ndarray, starts: np.ndarray, scope: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Keys with a scope in front of the labels of blank nodes."""
    held = np.empty(int(starts[-1]) + len(scope) * (len(starts) - 1) + PADDING, np.uint8)
    offsets = np.empty(len(starts), np.int64)
    with_scope(data, starts, np.frombuffer(scope + bytes(PADDING), np.uint8), len(scope), held, offsets)
    stop = int(offsets[-1])
    held[stop : stop + PADDING] = 0
    return held[: stop + PADDING], offsets


def scoped(key: str, scope: str) -> str:
    """A blank node's key with a scope in front of its label."""
    return f"_:{scope}{key[2:]}"


class InOrder:
    """Passes refusals on, block after block, with the numbers that their lines have in the dump."""

    def __init__(self, reject: Reject) -> None:
        self.reject, self.before = reject, 0

    def __call__(self, lines: int, refused: list[Refusal]) -> None:
        for line, reason in refused:
            self.reject(self.before + line + 1, reason)
        self.before += lines


def scan_stream(stream: BinaryIO, scanners: Sequence[Scanner], reject: Reject) -> None:
    """Read a stream of lines, a thread for each scanner; refusals come in the order of lines."""
    settle = InOrder(reject)
    spare: list[bytearray] = []
    blocks = line_blocks(stream, BLOCK, TAIL, spare)
    if len(scanners) == 1:
        for block in blocks:
            settle(*scanners[0].scan(block))
            spare.append(block.obj)  # type: ignore[arg-type]
        return
    free: queue.SimpleQueue[Scanner] = queue.SimpleQueue()
    for scanner in scanners:
        free.put(scanner)

    def work(block: memoryview) -> tuple[int, list[Refusal]]:
        scanner = free.get()
        try:
            return scanner.scan(block)
        finally:
            free.put(scanner)
            spare.append(block.obj)  # type: ignore[arg-type]

    waiting: deque[Future[tuple[int, list[Refusal]]]] = deque()
    with ThreadPoolExecutor(len(scanners)) as pool:
        for block in blocks:
            waiting.append(pool.submit(work, block))
            while len(waiting) > 2 * len(scanners):
                settle(*waiting.popleft().result())
        for left in waiting:
            settle(*left.result())
