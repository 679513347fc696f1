"""Every candidate's score, kept on disk: append-only, so that a killed run goes on and a new metric needs no new run.

The file is an Arrow IPC stream, readable with `pyarrow.ipc.open_stream`. A record batch that was only half written when
a run died is cut off when the store is opened again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kept.probing.items import AnswerSpace, ProbeItem
from kg.errors import InputError
from kg.storage import sha256_file

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = b"kept-scores-1"
FILE = "scores.arrows"

Scores = dict[str, np.ndarray]
"""Route -> (C,) float32."""


def request_key(item: ProbeItem, spaces: Mapping[str, AnswerSpace], fingerprint: str, version: str) -> str:
    """The sha256 under which the scores of one request are kept.

    It covers the scorer (`CandidateScorer.fingerprint`: weights, tokenizer, vectors), the task's version and all that a
    scorer may see of the item: text, the bytes of the picture, candidates in order, and the given end of the fact. Not
    the id and not the truth: items that ask the same and differ in what counts as right share their scores.
    """
    blind = item.blind()
    seen = {
        "scorer": fingerprint,
        "version": version,
        "query": blind.query,
        "image": sha256_file(Path(blind.image)) if blind.image else None,
        "candidates": item.space(spaces).digest,
        "fact": [blind.subject, blind.relation, blind.object],
    }
    return hashlib.sha256(json.dumps(seen, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


class ScoreStore:
    """Scores by request key, in one append-only file.

    >>> import tempfile
    >>> store = ScoreStore(Path(tempfile.mkdtemp()) / "scores.arrows")
    >>> store.append(["k"], ["item"], {"answer": [np.array([0.5, 0.25])]})
    >>> ScoreStore(store.path)["k"]["answer"].tolist()
    [0.5, 0.25]

    Raises:
        InputError: when the file is of another kind or version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._scores: dict[str, Scores] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size:
            whole = self._read()
            if whole < path.stat().st_size:
                os.truncate(path, whole)
        if not path.exists() or not path.stat().st_size:
            self._write(_schema().serialize())

    def __contains__(self, key: object) -> bool:
        return key in self._scores

    def __len__(self) -> int:
        return len(self._scores)

    def __getitem__(self, key: str) -> Scores:
        return self._scores[key]

    def append(self, keys: Sequence[str], items: Sequence[str], routes: Mapping[str, Sequence[np.ndarray]]) -> None:
        """Keep the scores of some requests: all of them or, if the process dies in between, none.

        Args:
            keys: request keys, new to the store.
            items: the ids of the items that asked, for people who read the file.
            routes: for each route one (C,) array per key.
        """
        import pyarrow as pa

        rows = [
            (key, item, route, np.asarray(scores[position], dtype=np.float32))
            for route, scores in routes.items()
            for position, (key, item) in enumerate(zip(keys, items, strict=True))
        ]
        columns = list(zip(*rows, strict=True))
        arrays = [pa.array(column, type=field.type) for column, field in zip(columns, _schema(), strict=True)]
        batch = pa.RecordBatch.from_arrays(arrays, schema=_schema())
        self._write(batch.serialize())
        self._take(batch)

    def _write(self, message: pa.Buffer) -> None:
        with self.path.open("ab") as file:
            file.write(message)
            file.flush()
            os.fsync(file.fileno())

    def _read(self) -> int:
        """Take in all whole batches; returns where the last of them ends."""
        import pyarrow as pa

        whole = 0
        with pa.memory_map(str(self.path), "r") as source:
            try:
                reader = pa.ipc.MessageReader.open_stream(source)
                schema = pa.ipc.read_schema(reader.read_next_message())
            except (pa.ArrowInvalid, StopIteration, OSError):
                return self._refuse_unless_torn()
            if (schema.metadata or {}).get(b"format") != FORMAT:
                raise InputError(f"{self.path}: scores of another version; remove the file or choose another folder")
            whole = source.tell()
            while True:
                try:
                    self._take(pa.ipc.read_record_batch(reader.read_next_message(), schema))
                except (pa.ArrowInvalid, StopIteration, OSError):
                    return whole
                whole = source.tell()

    def _refuse_unless_torn(self) -> int:
        """A file that died within its first message is empty; any other without our schema is not ours to touch."""
        content = self.path.read_bytes()
        if not bytes(_schema().serialize()).startswith(content):
            raise InputError(f"{self.path}: not a file of scores; remove it or choose another folder")
        return 0

    def _take(self, batch: pa.RecordBatch) -> None:
        keys, routes = batch.column("key").to_pylist(), batch.column("route").to_pylist()
        lists = batch.column("scores")
        values, offsets = lists.values.to_numpy(), lists.offsets.to_numpy()
        for row, (key, route) in enumerate(zip(keys, routes, strict=True)):
            self._scores.setdefault(key, {})[route] = values[offsets[row] : offsets[row + 1]]


def _schema() -> pa.Schema:
    import pyarrow as pa

    columns = [("key", pa.string()), ("item", pa.string()), ("route", pa.string()), ("scores", pa.list_(pa.float32()))]
    return pa.schema(columns, metadata={b"format": FORMAT})
