"""Records of many shards as one stream: dealt to ranks and workers, shuffled, and resumed in the middle."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kept.data.readers.base import expanded
from kept.data.readers.rejects import Rejects, Unfit
from kept.data.readers.tars import WebDataset, samples
from kept.data.record import Record
from kept.data.shards import from_row, read_shard
from kg.compression import SUFFIXES
from kg.errors import InputError

KINDS = (".parquet", ".tar", *(f".tar{suffix}" for suffix in SUFFIXES))


class RecordStream:
    """The records of shards in an order drawn for each epoch, without holding them.

    One iteration is the rest of the present epoch. Shards come in an order that seed and epoch settle and are dealt to
    the workers of all ranks; where there are fewer shards than workers, several read a shard in turns. Over all of them
    every record comes exactly once an epoch; how many each gets may differ. Within what a worker reads, a buffer of
    `shuffle` records is drawn from at random.

    Args:
        shards: folders, files or patterns (`part-{00000..00010}.parquet`) of what `write_records` wrote, or of
            WebDataset tars.
        seed: settles the orders.
        rank, ranks: this process and how many there are.
        worker, workers: this worker of the process and how many it has.
        shuffle: records in the buffer; 0 keeps the order within a shard.
        pictures: where the pictures of tars are written, see `kept.data.readers.WebDataset`.
        rejects: what becomes of unfit samples of tars; default the first is an error.

    Raises:
        InputError: when there are no shards, or rank or worker is not among its number.

    >>> import tempfile
    >>> from kept.data.shards import write_records
    >>> folder = tempfile.mkdtemp()
    >>> _ = write_records(f"{folder}/records", [Record(id=str(number)) for number in range(6)], shard=2)
    >>> stream = RecordStream(f"{folder}/records", seed=0, shuffle=3)
    >>> first, state = next(iter(stream)), stream.state()
    >>> rest = list(stream)
    >>> sorted(record.id for record in [first, *rest])
    ['0', '1', '2', '3', '4', '5']
    >>> again = RecordStream(f"{folder}/records", seed=0, shuffle=3)
    >>> again.restore(state)
    >>> list(again) == rest
    True
    """

    def __init__(
        self,
        shards: str | Path | Sequence[str | Path],
        *,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        worker: int = 0,
        workers: int = 1,
        shuffle: int = 0,
        pictures: str | None = None,
        rejects: Rejects | None = None,
    ) -> None:
        for name, place, count in (("rank", rank, ranks), ("worker", worker, workers)):
            if not 0 <= place < count:
                raise InputError(f"{name}: {place} is not one of {count}")
        if seed < 0 or shuffle < 0:
            raise InputError(f"seed and shuffle are not negative, not {min(seed, shuffle)}")
        self.shards = find_shards([shards] if isinstance(shards, str | Path) else shards)
        self.seed, self.shuffle = seed, shuffle
        self._consumer, self._consumers = rank * workers + worker, ranks * workers
        self._rejects = Rejects() if rejects is None else rejects
        tars = tuple(str(path) for path in self.shards if path.suffix != ".parquet")
        self._tars = WebDataset(paths=tars, pictures=pictures, rejects=self._rejects)
        self._begin(0)

    def _begin(self, epoch: int) -> None:
        self.epoch = epoch
        self._unit = self._row = self._drawn = 0
        self._buffer: list[tuple[int, int, Record]] = []

    def units(self) -> list[tuple[Path, int, int]]:
        """What this worker reads in the present epoch: of each shard, one of so many parts."""
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.shards)).tolist()
        parts = -(-self._consumers // len(self.shards))
        dealt = [(self.shards[place], part, parts) for part in range(parts) for place in order]
        return dealt[self._consumer :: self._consumers]

    def __iter__(self) -> Iterator[Record]:
        for found in self._read():
            if len(self._buffer) < self.shuffle:
                self._buffer.append(found)
                continue
            if self.shuffle:
                slot = self._draw(self.shuffle)
                found, self._buffer[slot] = self._buffer[slot], found
            yield found[2]
        while self._buffer:
            slot = self._draw(len(self._buffer))
            self._buffer[slot], self._buffer[-1] = self._buffer[-1], self._buffer[slot]
            yield self._buffer.pop()[2]
        self._begin(self.epoch + 1)

    def _read(self) -> Iterator[tuple[int, int, Record]]:
        """The records that were not read yet, each with its unit and its row there."""
        units = self.units()
        while self._unit < len(units):
            for row, record in self._records(units[self._unit], self._row):
                self._row = row + 1
                yield self._unit, row, record
            self._unit, self._row = self._unit + 1, 0

    def _records(self, unit: tuple[Path, int, int], start: int) -> Iterator[tuple[int, Record]]:
        """The records of a unit from a row of its shard on."""
        path, part, parts = unit
        if path.suffix == ".parquet":
            for row, values in enumerate(read_shard(path, start), start=start):
                if row % parts == part:
                    yield row, from_row(values)
            return
        for row, (key, members) in enumerate(samples(path, self._rejects)):
            if row >= start and row % parts == part:
                try:
                    yield row, self._tars.record(path, key, members)
                except Unfit as unfit:
                    self._rejects(path, key, unfit)

    def _draw(self, size: int) -> int:
        """A number below `size`; how many were drawn before is all that the next depends on."""
        self._drawn += 1
        text = f"{self.seed}/{self.epoch}/{self._consumer}/{self._drawn}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") % size

    def state(self) -> dict[str, Any]:
        """Where the stream stands, for JSON: what `restore` needs to give exactly the records that are left."""
        return {
            "stream": self._identity(),
            "epoch": self.epoch,
            "unit": self._unit,
            "row": self._row,
            "drawn": self._drawn,
            "buffer": [[unit, row] for unit, row, _ in self._buffer],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a `state`; only the records that were in its buffer are read again.

        Raises:
            InputError: when it is that of another stream.
        """
        for name, value in self._identity().items():
            if state["stream"].get(name) != value:
                raise InputError(f"state of another stream: {name} was {state['stream'].get(name)}, here it is {value}")
        self._begin(state["epoch"])
        self._unit, self._row, self._drawn = state["unit"], state["row"], state["drawn"]
        units = self.units()
        held: dict[tuple[int, int], Record] = {}
        for number in sorted({unit for unit, _ in state["buffer"]}):
            wanted = {row for unit, row in state["buffer"] if unit == number}
            for row, record in self._records(units[number], min(wanted)):
                if row in wanted:
                    held[number, row] = record
                if row >= max(wanted):
                    break
        try:
            self._buffer = [(unit, row, held[unit, row]) for unit, row in state["buffer"]]
        except KeyError:
            raise InputError("state of another stream: its shards have changed") from None

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a state to fit."""
        names = "\n".join(f"{path.name} {path.stat().st_size}" for path in self.shards)
        return {
            "seed": self.seed,
            "shuffle": self.shuffle,
            "worker": self._consumer,
            "workers": self._consumers,
            "shards": hashlib.blake2b(names.encode(), digest_size=8).hexdigest(),
        }


def find_shards(paths: Sequence[str | Path]) -> list[Path]:
    """The shards that files, folders and patterns stand for, sorted within a folder.

    Raises:
        InputError: when one is absent or no shard, or a folder has none.
    """
    found: list[Path] = []
    for path in (Path(name) for pattern in paths for name in expanded(str(pattern))):
        inside = sorted(file for file in path.iterdir() if file.name.endswith(KINDS)) if path.is_dir() else [path]
        if not path.exists():
            raise InputError(f"{path}: no such file")
        if not inside or not inside[0].name.endswith(KINDS):
            raise InputError(f"{path}: no shards here ({', '.join(KINDS)})")
        found += inside
    if not found:
        raise InputError("no shards to read")
    return list(dict.fromkeys(found))
