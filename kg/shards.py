"""One dump read into numbers: a shard, with ids of its own, on disk; and shards joined into one.

A shard is finished when its `shard.json` is there, and depends on nothing but its dump and the policy, so shards can be
made by several processes and kept when a build is interrupted.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kg.literals import IRI_VALUE, one_array, speaks
from kg.predicates import Predicates
from kg.rdf import FORMULA, QUOTED, Statement
from kg.storage import read_arrow, read_json, write_arrow, write_json

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 1 << 12
"""Rows written at once: few enough that the garbage collector does not walk over them again and again."""
DONE = "shard.json"


@dataclass(frozen=True)
class Policy:
    """What of a dump goes into a graph.

    Attributes:
        predicates: the predicates with a meaning.
        languages: keep only literals in these languages or without a tag; None keeps all.
        named_graphs: "keep" takes the statements of named graphs as plain ones, "drop" leaves them out.
    """

    predicates: Predicates = field(default_factory=Predicates)
    languages: tuple[str, ...] | None = None
    named_graphs: str = "keep"

    def speaks(self, tag: str | None) -> bool:
        """Whether a literal with this language tag is kept."""
        return tag is None or self.languages is None or any(speaks(tag, language) for language in self.languages)


@dataclass
class Tally:
    """Counters of one shard."""

    statements: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)


class Codes(defaultdict[Any, int]):
    """Numbers for keys in the order in which they are first asked for; None is -1."""

    def __init__(self) -> None:
        super().__init__(count().__next__)

    def names(self) -> list[str]:
        return [key for key in self if key is not None]


def write_shard(folder: Path, statements: Iterable[Statement], policy: Policy) -> Tally:
    """Number the statements and write them to `folder`; `finish_shard` makes the shard count."""
    import pyarrow as pa

    folder.mkdir(parents=True, exist_ok=True)
    entities, relations, predicates, datatypes, languages = (Codes() for _ in range(5))
    datatypes[None] = languages[None] = -1
    images = frozenset(policy.predicates.image)
    filtered = policy.languages is not None
    drop_graphs = policy.named_graphs == "drop"
    quoted = foreign = in_graphs = formulas = total = 0

    edges = array("q")
    rows: list[tuple[int, int, int, int, str]] = []
    with (folder / "edges.bin").open("wb") as edge_file, pa.OSFile(str(folder / "literals.arrow"), "wb") as sink:
        with pa.ipc.new_stream(sink, literal_schema()) as literals:
            for subject, predicate, target, datatype, language, graph in statements:
                total += 1
                if graph is not None:
                    if graph == FORMULA:
                        formulas += 1
                        continue
                    in_graphs += 1
                    if drop_graphs:
                        continue
                if datatype == IRI_VALUE and predicate not in images:
                    edges.extend((entities[subject], relations[predicate], entities[target]))
                    if len(edges) >= 3 * BATCH:
                        edges.tofile(edge_file)
                        del edges[:]
                elif datatype == QUOTED:
                    quoted += 1
                elif filtered and not policy.speaks(language):
                    foreign += 1
                else:
                    rows.append(
                        (entities[subject], predicates[predicate], datatypes[datatype], languages[language], target)
                    )
                    if len(rows) >= BATCH:
                        literals.write_batch(literal_batch(rows))
                        rows.clear()
            literals.write_batch(literal_batch(rows))
        edges.tofile(edge_file)
    for name, codes in (("entities", entities), ("relations", relations)):
        write_arrow(folder / f"{name}.arrow", pa.table({"key": pa.array(codes.names(), pa.large_string())}))
    names = {"predicate": predicates.names(), "datatype": datatypes.names(), "language": languages.names()}
    write_json(folder / "codes.json", names)
    skipped = {
        "quoted statement": quoted,
        "formula": formulas,
        "language": foreign,
        "named graph": in_graphs if drop_graphs else 0,
    }
    counted = {"in named graphs": 0 if drop_graphs else in_graphs}
    return Tally(total, nonzero(skipped), nonzero(counted))


def literal_schema() -> pa.Schema:
    """The columns of a shard's literals; all but the value are codes."""
    import pyarrow as pa

    codes = [(name, pa.int32()) for name in ("predicate", "datatype", "language")]
    return pa.schema([("subject", pa.int64()), *codes, ("value", pa.large_string())])


def literal_batch(rows: Sequence[tuple[Any, ...]]) -> pa.RecordBatch:
    """Rows of `literal_schema` as a batch."""
    import pyarrow as pa

    columns = zip(*rows, strict=True) if rows else ((),) * len(literal_schema())
    arrays = [pa.array(column, field.type) for column, field in zip(columns, literal_schema(), strict=True)]
    return pa.record_batch(arrays, schema=literal_schema())


def finish_shard(folder: Path, record: dict[str, Any], tally: Tally) -> None:
    """Mark a shard as whole; `record` says what it was made from."""
    write_json(folder / DONE, {"record": record, **asdict(tally)})


def finished(folder: Path, record: dict[str, Any]) -> bool:
    """Whether `folder` holds a whole shard made from the same dump under the same policy.

    What only the end of reading can tell (hash, number of rejected lines) is not compared.
    """
    if not (folder / DONE).is_file():
        return False
    known = read_json(folder / DONE)["record"]
    return all(known.get(key) == value for key, value in record.items())


def read_tally(folder: Path) -> tuple[dict[str, Any], Tally]:
    """What `finish_shard` wrote."""
    value = read_json(folder / DONE)
    return value.pop("record"), Tally(**value)


def join_shards(folders: Sequence[Path]) -> tuple[Any, Any, np.ndarray, pa.Table]:
    """(entity keys, relation keys, triples, literals) over one numbering, as `kg.assemble.assemble` takes them."""
    import pyarrow as pa

    entity_keys, entity_ids = _join_keys([folder / "entities.arrow" for folder in folders])
    relation_keys, relation_ids = _join_keys([folder / "relations.arrow" for folder in folders])
    triples, literals = [], []
    for folder, entities, relations in zip(folders, entity_ids, relation_ids, strict=True):
        edges = np.fromfile(folder / "edges.bin", dtype=np.int64).reshape(-1, 3)
        triples.append(np.column_stack((entities[edges[:, 0]], relations[edges[:, 1]], entities[edges[:, 2]])))
        literals.append(_read_literals(folder, entities))
    return entity_keys, relation_keys, np.concatenate(triples), pa.concat_tables(literals)


def nonzero(counts: dict[str, int]) -> dict[str, int]:
    return {name: number for name, number in counts.items() if number}


def _join_keys(files: Sequence[Path]) -> tuple[pa.LargeStringArray, list[np.ndarray]]:
    """All keys, each once, and for every file the new ids of its own."""
    import pyarrow as pa

    arrays = [one_array(read_arrow(file)["key"]) for file in files]
    encoded = pa.chunked_array(arrays, pa.large_string()).dictionary_encode()
    if not encoded.num_chunks:
        return pa.array([], pa.large_string()), [np.empty(0, dtype=np.int64) for _ in files]
    ids = np.concatenate([np.asarray(chunk.indices) for chunk in encoded.chunks]).astype(np.int64)
    ends = np.cumsum([len(array) for array in arrays])
    return encoded.chunk(encoded.num_chunks - 1).dictionary, np.split(ids, ends[:-1])


def _read_literals(folder: Path, entities: np.ndarray) -> pa.Table:
    import pyarrow as pa

    with pa.memory_map(str(folder / "literals.arrow"), "r") as source:
        rows = pa.ipc.open_stream(source).read_all()
    names = read_json(folder / "codes.json")
    columns = {"subject": pa.array(entities[rows["subject"].to_numpy()]), "value": rows["value"]}
    for name in ("predicate", "datatype", "language"):
        codes = rows[name].to_numpy()
        columns[name] = pa.DictionaryArray.from_arrays(
            pa.array(codes, mask=codes < 0), pa.array(names[name], pa.large_string())
        )
    return pa.table(columns)
