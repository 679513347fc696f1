"""What was read of a dump, in numbers on disk: shards, each with names of its own.

A shard is finished when its `shard.json` is there, and depends on nothing but its dump and the policy, so shards are
kept when a build is interrupted. One dump may have several, one for each thread that read it.
"""

from __future__ import annotations

import io
import json
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kg.arrays import MANY
from kg.arrow import PADDING
from kg.assemble import Run
from kg.columns import mapped
from kg.literals import IRI_VALUE
from kg.loops import Loop
from kg.meta import Source
from kg.policy import Policy, Tally
from kg.rdf import FORMULA, QUOTED, Statement
from kg.storage import read_json, write_json

if TYPE_CHECKING:
    import pyarrow as pa

    from kg.digests import HashedBeside, Hashing

Kind = tuple["str | None", "str | None"]
"""(datatype, language) of a literal."""
BATCH = 1 << 12
"""Rows written at once: few enough that the garbage collector does not walk over them again and again."""
ENTRY = 200
"""About what a key costs in a dictionary, in bytes."""
DONE = "shard.json"
ends = Loop("kg.linking", "ends")


class Codes(defaultdict[Any, int]):
    """Numbers for keys in the order in which they are first asked for."""

    def __init__(self) -> None:
        super().__init__(count().__next__)

    def keys_and_starts(self) -> Keys:
        """The keys, which are strings, one behind the other."""
        encoded = [key.encode() for key in self]
        starts = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(key) for key in encoded], out=starts[1:])
        return np.frombuffer(b"".join(encoded) + bytes(PADDING), np.uint8), starts


class Part:
    """Statements in whatever numbers their reader gives, and then what the numbers stand for."""

    def __init__(self) -> None:
        self._edges, self._literals, self._values, self._weights = (bytearray() for _ in range(4))
        self._names: dict[str, Keys] = {}
        self._kinds: list[Kind] = []

    @property
    def size(self) -> int:
        """Bytes of memory, without those of the names."""
        return len(self._edges) + len(self._literals) + len(self._values) + len(self._weights)

    def edges(self, rows: np.ndarray) -> None:
        """(n, 3) int32: subject, predicate, object."""
        self._edges += _bytes(rows)

    def weights(self, weights: np.ndarray) -> None:
        """(n,) float32, for all edges or for none of a part."""
        self._weights += _bytes(weights)

    def literals(self, rows: np.ndarray, values: np.ndarray | bytes) -> None:
        """(n, 4) int32: subject, predicate, kind, length of the value; and the bytes of the values."""
        self._literals += _bytes(rows)
        self._values += values if isinstance(values, bytes) else _bytes(values)

    def finish(self, entities: Keys, predicates: Keys, kinds: Sequence[Kind]) -> Part:
        """Say what the numbers stand for."""
        self._names = {"entities": entities, "predicates": predicates}
        self._kinds = list(kinds)
        self._values += bytes(PADDING)
        return self

    def run(self) -> Run:
        """As `assemble` takes it."""
        return _run(
            self._names,
            np.frombuffer(self._edges, np.int32),
            np.frombuffer(self._literals, np.int32),
            np.frombuffer(self._values, np.uint8),
            self._kinds,
            np.frombuffer(self._weights, np.float32),
        )

    def files(self) -> dict[str, bytes]:
        """The files of a part, by name."""
        held = {f"{name}.bin": bytes(getattr(self, f"_{name}")) for name in ("edges", "literals", "values", "weights")}
        for name, (data, starts) in self._names.items():
            held |= {f"{name}.npy": _npy(data), f"{name}.starts.npy": _npy(starts)}
        return {**held, "kinds.json": json.dumps(self._kinds).encode()}

    def save(self, folder: Path) -> None:
        """Write it to a folder, for `read_part`."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files().items():
            (folder / name).write_bytes(content)


Keys = tuple[np.ndarray, np.ndarray]
"""(bytes, offsets) of strings."""


def read_part(folder: Path) -> Run:
    """What `Part.save` wrote, mapped."""

    def load(name: str) -> np.ndarray:
        return mapped(np.load(folder / f"{name}.npy", mmap_mode="r"))

    names = {name: (load(name), load(f"{name}.starts")) for name in ("entities", "predicates")}
    edges, literals = (_map(folder / f"{name}.bin", np.int32) for name in ("edges", "literals"))
    kinds = [(datatype, language) for datatype, language in read_json(folder / "kinds.json")]
    values, weights = _map(folder / "values.bin", np.uint8), _map(folder / "weights.bin", np.float32)
    return _run(names, edges, literals, values, kinds, weights)


def _run(
    names: Mapping[str, Keys],
    edges: np.ndarray,
    literals: np.ndarray,
    values: np.ndarray,
    kinds: list[Kind],
    weights: np.ndarray,
) -> Run:
    literals = literals.reshape(-1, 4)
    starts = np.zeros(len(literals) + 1, np.int64)
    if len(literals) < MANY:
        np.cumsum(literals[:, 3], out=starts[1:])
    else:
        ends(literals, starts)
    entities, predicates = _strings(*names["entities"]), _strings(*names["predicates"])
    weighed = weights if len(weights) else None
    return Run(entities, predicates, edges.reshape(-1, 3), literals, kinds, _strings(values, starts), weighed)


@dataclass(frozen=True)
class Shard:
    """What was read of a dump.

    Attributes:
        record: what it was made from, see `finished`; what only the end of reading can tell is there too.
        runs: its statements, a run for each thread that read; they are given up when they are joined.
        hashing: what works out the dump's hash, where it is not in the record yet.
    """

    record: dict[str, Any]
    tally: Tally
    runs: list[Run]
    hashing: Hashing | HashedBeside | None = None

    @property
    def rows(self) -> int:
        """How many triples and literals its runs have."""
        return sum(len(run.edges) + len(run.literals) for run in self.runs)

    def source(self) -> Source:
        """The dump, when its hash is known."""
        source = Source(**self.record["source"])
        return source if self.hashing is None else replace(source, sha256=self.hashing.result())

    @classmethod
    def open(cls, folder: Path) -> Shard:
        """What `Spill` and `finish_shard` wrote, mapped."""
        value = read_json(folder / DONE)
        return cls(value.pop("record"), Tally(**value), [read_part(part) for part in sorted(folder.glob("part-*"))])


def finish_shard(folder: Path, record: dict[str, Any], tally: Tally) -> None:
    """Make a shard count, when all its parts are there."""
    write_json(folder / DONE, {"record": record, **asdict(tally)})


class TakesParts(Protocol):
    """Is brought parts when they have grown to a limit, in bytes."""

    limit: int

    def __call__(self, part: Part) -> None: ...


class Spill:
    """Takes the parts of a shard to disk, in the order in which they come; several threads may bring some.

    Args:
        folder: the shard's.
        limit: bytes that a part may hold before it is brought.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self._lock, self._count = Lock(), 0

    def __call__(self, part: Part) -> None:
        with self._lock:
            number = self._count
            self._count += 1
        part.save(self.folder / f"part-{number:05}")


def number_statements(
    statements: Iterable[Statement], policy: Policy, spill: Spill | None = None
) -> tuple[Tally, Part]:
    """Number statements, one by one; the part that is left when those before went to `spill`."""
    part = Part()
    entities, predicates, kinds = Codes(), Codes(), Codes()
    images = frozenset(policy.predicates.image)
    filtered = policy.languages is not None
    drop_graphs = policy.named_graphs == "drop"
    quoted = foreign = unwanted = in_graphs = formulas = total = 0
    edges, literals, values, weights = array("i"), array("i"), bytearray(), array("f")

    def flush() -> None:
        part.edges(np.array(edges, np.int32))
        part.literals(np.array(literals, np.int32), bytes(values))
        del edges[:], literals[:], values[:]

    def finished_part() -> Part:
        if any(weight != 1.0 for weight in weights):
            part.weights(np.array(weights, np.float32))
        return part.finish(entities.keys_and_starts(), predicates.keys_and_starts(), list(kinds))

    for subject, predicate, target, datatype, language, graph, weight in statements:
        total += 1
        if graph is not None:
            if graph == FORMULA:
                formulas += 1
                continue
            in_graphs += 1
            if drop_graphs:
                continue
        if filtered and not policy.speaks(language) and datatype != QUOTED:
            foreign += 1
        elif datatype == IRI_VALUE and predicate not in images:
            weights.append(weight)
            edges.extend((entities[subject], predicates[predicate], entities[target]))
        elif datatype == QUOTED:
            quoted += 1
        elif not policy.wants(predicate):
            unwanted += 1
        else:
            value = target.encode()
            values += value
            literals.extend((entities[subject], predicates[predicate], kinds[datatype, language], len(value)))
        if len(edges) + len(literals) >= 4 * BATCH:
            flush()
            if spill is not None and part.size + ENTRY * len(entities) > spill.limit:
                spill(finished_part())
                part, weights = Part(), array("f")
                entities, predicates, kinds = Codes(), Codes(), Codes()
    flush()
    finished_part()
    tally = Tally.of(
        policy, total, quoted=quoted, foreign=foreign, unwanted=unwanted, in_graphs=in_graphs, formulas=formulas
    )
    return tally, part


def finished(folder: Path, record: dict[str, Any]) -> bool:
    """Whether `folder` holds a whole shard made from the same dump under the same policy.

    What only the end of reading can tell (hash, number of rejected lines) is not compared.
    """
    if not (folder / DONE).is_file():
        return False
    known = read_json(folder / DONE)["record"]
    return all(known.get(key) == value for key, value in record.items())


def _bytes(rows: np.ndarray) -> memoryview | bytes:
    return memoryview(rows.data).cast("B") if rows.size else b""


def _npy(array: np.ndarray) -> bytes:
    held = io.BytesIO()
    np.save(held, array, allow_pickle=False)
    return held.getvalue()


def _map(path: Path, dtype: type) -> np.ndarray:
    return mapped(np.memmap(path, dtype, "r")) if path.stat().st_size else np.empty(0, dtype)


def _strings(data: np.ndarray, starts: np.ndarray) -> pa.LargeStringArray:
    import pyarrow as pa

    return pa.LargeStringArray.from_buffers(len(starts) - 1, pa.py_buffer(starts), pa.py_buffer(data))
