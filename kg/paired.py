"""The fast lane by two threads together: one takes lines apart, the other gives numbers to what is in them.

So there is one vocabulary, where two threads that do both would each have nearly all of it.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from threading import RLock
from typing import BinaryIO, TypeAlias

import numpy as np

from kg.digests import NOTHING
from kg.layout import FROM, LINES, PAUSE, PAUSE_DONE, PAUSE_KIND, TO, Output, Rows
from kg.lines import BLOCK, TAIL, InOrder, Refusal, Scanner, number_rows, tokenise
from kg.rdf import Reject, line_blocks
from kg.shards import Kind, Part

LENT = 3
"""How many times rows are there: one is filled, one is read, and one waits."""
ROWS = BLOCK // 64
"""Lines that are handed over at a time; most blocks have fewer."""

Result: TypeAlias = "Future[tuple[int, list[Refusal]]]"
"""Of a stretch of a block; the last one's is what `Scanner.scan` returns."""


@dataclass
class PairedScanner(Scanner):
    """A `Scanner` of which two threads do a half each; what it reads stays in one part."""

    def __post_init__(self) -> None:
        self._learning = RLock()
        super().__post_init__()
        self._free: queue.SimpleQueue[Rows] = queue.SimpleQueue()
        for _ in range(LENT):
            self._free.put(Rows.of(ROWS, np.int32))
        self._second = ThreadPoolExecutor(1)
        self._refused: list[Refusal] = []

    def hand_over(self, block: memoryview) -> list[Result]:
        """Take a block apart while others are numbered."""
        data, stop = np.frombuffer(block, np.uint8), len(block) - len(TAIL)
        place, results = 0, list[Result]()
        state = np.zeros_like(self._output.state)
        with nullcontext(NOTHING) if self.hashing is None else self.hashing.taking(data, 0, stop) as hashed:
            while place < stop or not results:
                rows = self._free.get()
                with self._learning:
                    place = tokenise(data, place, stop, self.kinds, self._status, rows, self._quads, hashed, state)
                    if state[PAUSE] == PAUSE_KIND:
                        self._meet(data[state[FROM] : state[TO]].tobytes())
                lines = int(state[LINES])
                results.append(self._second.submit(self._number, data, rows, lines, not results, place >= stop))
        return results

    def _number(self, data: np.ndarray, rows: Rows, lines: int, begins: bool, ends: bool) -> tuple[int, list[Refusal]]:
        """Give numbers to lines of a block, which begins or ends with them."""
        try:
            if begins:
                if len(self._output.values) < len(data):
                    self._output = Output.of(len(data))
                self._output.state[:], self._refused = 0, []
            out, first = self._output, 0
            while True:
                first = number_rows(data, rows, first, lines, self._tables(), out, self._drop, NOTHING)
                self._refused += self._flush(data)
                if out.state[PAUSE] == PAUSE_DONE:
                    break
                self._grow(out.state[PAUSE])
        finally:
            self._free.put(rows)
        if ends:
            self._count()
        return int(out.state[LINES]), self._refused

    def _kind(self, kind: Kind) -> int:
        with self._learning:  # the other thread looks kinds up meanwhile
            return super()._kind(kind)

    def finish(self) -> Part:
        self._second.shutdown()
        return super().finish()


def scan_in_pairs(stream: BinaryIO, scanners: Sequence[PairedScanner], reject: Reject) -> None:
    """Read a stream of lines, two threads for each scanner; refusals come in the order of lines."""
    settle = InOrder(reject)
    spare: list[bytearray] = []
    free: queue.SimpleQueue[PairedScanner] = queue.SimpleQueue()
    for scanner in scanners:
        free.put(scanner)

    def work(block: memoryview) -> list[Result]:
        scanner = free.get()
        try:
            return scanner.hand_over(block)
        finally:
            free.put(scanner)

    waiting: deque[tuple[memoryview, Future[list[Result]]]] = deque()

    def finish_first() -> None:
        block, handed_over = waiting.popleft()
        settle(*[result.result() for result in handed_over.result()][-1])
        spare.append(block.obj)  # type: ignore[arg-type]

    with ThreadPoolExecutor(len(scanners)) as pool:
        for block in line_blocks(stream, BLOCK, TAIL, spare):
            waiting.append((block, pool.submit(work, block)))
            while len(waiting) > 2 * len(scanners):
                finish_first()
        while waiting:
            finish_first()
