"""Facts to learn from and facts to rank, with the names of their ids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kg.errors import InputError

if TYPE_CHECKING:
    from kg.graph import KnowledgeGraph

PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class Facts:
    """Three parts of (T, 3) facts over one set of ids; `valid` and `test` may be empty."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    keys: list[str]
    labels: list[str]
    relation_keys: list[str]
    graph: str = ""

    def unseen(self, part: str) -> np.ndarray:
        """The entities of a part that no training fact mentions; they are ranked with vectors that never moved."""
        return np.setdiff1d(getattr(self, part)[:, [0, 2]], self.train[:, [0, 2]])


def read_folder(folder: Path) -> Facts:
    """Read `train.txt`, `valid.txt` and `test.txt`: lines of head, relation and tail between tabs.

    Ids follow the sorted names. Entities that only occur in `valid.txt` or `test.txt` get ids too.

    Raises:
        InputError: a missing or empty train.txt, a line that has not three fields (with its number), or a relation in
            another part that no training fact has.
    """
    named = {part: list(read_triples(folder / f"{part}.txt", required=part == "train")) for part in PARTS}
    entities = sorted({name for facts in named.values() for fact in facts for name in (fact[0], fact[2])})
    relations = sorted({relation for _, relation, _ in named["train"]})
    entity_ids = {name: row for row, name in enumerate(entities)}
    relation_ids = {name: row for row, name in enumerate(relations)}
    ids: dict[str, np.ndarray] = {}
    for part, facts in named.items():
        for line, (_, relation, _) in enumerate(facts, 1):
            if relation not in relation_ids:
                raise InputError(f"{folder / part}.txt: fact {line}: no training fact has the relation {relation!r}")
        rows = [(entity_ids[head], relation_ids[relation], entity_ids[tail]) for head, relation, tail in facts]
        ids[part] = np.unique(np.array(rows, dtype=np.int64).reshape(-1, 3), axis=0)
    return Facts(ids["train"], ids["valid"], ids["test"], keys=entities, labels=entities, relation_keys=relations)


def read_triples(path: Path, *, required: bool = True) -> Iterator[tuple[str, str, str]]:
    """The facts of a tab-separated file; a file that is absent and not required has none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        if not required:
            return
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            fields = line.split("\t")
            if len(fields) != 3:
                raise InputError(
                    f"{path}:{number}: expected head, relation and tail between tabs, got {len(fields)} fields"
                )
            yield fields[0].strip(), fields[1].strip(), fields[2].strip()


def from_graph(kg: KnowledgeGraph, *, hold_out_share: float = 0.0, seed: int = 0) -> Facts:
    """The facts of a graph; a share is held out, half of it for `valid`, half for `test`."""
    triples = np.asarray(kg.triples, dtype=np.int64)
    if not len(triples):
        raise InputError("the graph has no triples between entities: there is nothing to embed")
    held = hold_out(triples, hold_out_share, seed=seed)
    rows = np.setdiff1d(np.arange(len(triples)), held)
    return Facts(
        train=triples[rows],
        valid=triples[held[: len(held) // 2]],
        test=triples[held[len(held) // 2 :]],
        keys=list(kg.entities),
        labels=[kg.label(entity) for entity in range(kg.num_entities)],
        relation_keys=list(kg.relations),
        graph=kg.hash,
    )


def literals_as_entities(kg: KnowledgeGraph) -> tuple[np.ndarray, tuple[int, int]]:
    """The triples of a graph and its literals as triples: each distinct value is an entity, each predicate a relation.

    What R-GCN's classification of entities reads (Schlichtkrull et al. 2018).

    Returns:
        (T, 3) distinct triples, and the numbers of entities and of relations. Ids of the graph stay.

    >>> from kg.graph import KnowledgeGraph
    >>> literals_as_entities(KnowledgeGraph.from_triples([("a", "p", "b")], labels={"a": "A"}))[1]
    (3, 2)
    """
    table = kg.parts.literals.table
    predicate, value = (table[name].combine_chunks() for name in ("predicate", "value"))
    values = value.dictionary_encode()
    rows = np.stack(
        [
            table["subject"].to_numpy().astype(np.int64),
            np.asarray(predicate.indices, dtype=np.int64) + kg.num_relations,
            np.asarray(values.indices, dtype=np.int64) + kg.num_entities,
        ],
        1,
    )
    sizes = kg.num_entities + len(values.dictionary), kg.num_relations + len(predicate.dictionary)
    return np.unique(np.concatenate([np.asarray(kg.triples, dtype=np.int64), rows]), axis=0), sizes


def hold_out(triples: np.ndarray, share: float, *, seed: int = 0) -> np.ndarray:
    """Rows of a random share of the facts such that every entity and relation keeps a fact; fewer where that fails.

    >>> hold_out(np.array([[0, 0, 1], [0, 0, 2]]), 0.5).tolist()
    []
    """
    wanted = int(share * len(triples))
    left = np.bincount(triples[:, [0, 2]].ravel())
    left_relations = np.bincount(triples[:, 1])
    held: list[int] = []
    for row in np.random.default_rng(seed).permutation(len(triples)):
        if len(held) >= wanted:
            break
        head, relation, tail = triples[row]
        cost = 2 if head == tail else 1
        if left[head] > cost and left[tail] > cost and left_relations[relation] > 1:
            left[head] -= 1
            left[tail] -= 1
            left_relations[relation] -= 1
            held.append(int(row))
    return np.array(held, dtype=np.int64)
