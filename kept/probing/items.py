"""What is asked of a model: items, their candidates, and the files they lie in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from kg.errors import InputError
from kg.storage import atomic_directory

MASK = "[MASK]"
"""The place of the answer in a query, whatever the model's own mask token is."""

ITEMS, SPACES = "items.jsonl", "spaces.jsonl"


class Candidate(NamedTuple):
    """One possible answer: its key (an entity's, or any string unique among the candidates) and its name as text."""

    key: str
    name: str


@dataclass(frozen=True)
class AnswerSpace:
    """Candidates that many items share, such as the objects of one relation.

    >>> space = AnswerSpace("capital", (Candidate("Q90", "Paris"), Candidate("Q64", "Berlin")))
    >>> space.index["Q64"]
    1
    """

    id: str
    candidates: tuple[Candidate, ...]

    @cached_property
    def index(self) -> dict[str, int]:
        """Candidate key -> position."""
        return {candidate.key: position for position, candidate in enumerate(self.candidates)}

    def positions(self, keys: Iterable[str]) -> np.ndarray:
        """Where those of the keys stand that are candidates, (K,) int."""
        return np.array([self.index[key] for key in keys if key in self.index], dtype=np.int64)

    @cached_property
    def digest(self) -> str:
        """A hash of the candidates and their order."""
        return hashlib.sha256(json.dumps(self.candidates, ensure_ascii=False).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ProbeItem:
    """One question with its candidates and its truth.

    Candidates are either the item's own `choices` or the shared `answer_space`, never both. Of the fact
    (`subject`, `relation`, `object`) behind the item, one end is asked for (`asks`) and must be among the candidates;
    `gold` holds the keys that count as right, `also_true` other true answers, which rank nowhere. A question about a
    picture has no `subject` at all, so nothing but the picture can say what it is about.

    A scorer gets `item.blind()`. A model reads `query` and `image`; `relation` and the end that is given are for the
    floors that have no eyes for text (majority, the graph alone).

    Attributes:
        query: text with one `[MASK]` where the answer belongs, or a plain question.
        image: the path of a picture, if there is one.
        split: which part of the facts it tests (A, B-test, ...), or a part of the task's own (new, old).
        provenance: where the truth comes from, for the reader of a report.
        meta: what reports or slices need besides, strings and numbers only; never read by a scorer.
    """

    id: str
    task: str
    split: str
    query: str
    gold: tuple[str, ...] = ()
    image: str | None = None
    choices: tuple[Candidate, ...] | None = None
    answer_space: str | None = None
    also_true: tuple[str, ...] = ()
    relation: str | None = None
    subject: str | None = None
    object: str | None = None
    asks: Literal["object", "subject"] = "object"
    provenance: str | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if (self.choices is None) == (self.answer_space is None):
            raise InputError(f"probe item {self.id!r}: give either choices or answer_space")
        if self.asks not in ("object", "subject"):
            raise InputError(f"probe item {self.id!r}: asks is 'object' or 'subject', not {self.asks!r}")

    def blind(self) -> ProbeItem:
        """The same question without its truth: all that a scorer may see."""
        subject, object_ = (None, self.object) if self.asks == "subject" else (self.subject, None)
        return replace(self, gold=(), also_true=(), provenance=None, meta={}, subject=subject, object=object_)

    def space(self, spaces: Mapping[str, AnswerSpace]) -> AnswerSpace:
        """Its candidates, own or shared; raises InputError when the shared space is unknown."""
        if self.choices is not None:
            return AnswerSpace(self.id, self.choices)
        try:
            return spaces[self.answer_space or ""]
        except KeyError:
            raise InputError(f"probe item {self.id!r}: no answer space is called {self.answer_space!r}") from None

    def to_json(self) -> dict[str, Any]:
        """A JSON object; what is absent stays absent."""
        empty: tuple[Any, ...] = (None, (), {})
        return {name: value for name, value in asdict(self).items() if value not in empty}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ProbeItem:
        """The inverse of `to_json`; raises InputError on a missing or unknown key."""
        unknown = set(value) - {known.name for known in fields(cls)}
        if unknown:
            raise InputError(f"unknown key {min(unknown)!r}")
        missing = {"id", "task", "split", "query"} - set(value)
        if missing:
            raise InputError(f"key {min(missing)!r} is missing")
        known = dict(value)
        for name in ("gold", "also_true"):
            known[name] = tuple(value.get(name, ()))
        if value.get("choices") is not None:
            known["choices"] = _candidates(value["choices"])
        return cls(**known)


@dataclass(frozen=True)
class ProbeSet:
    """The items of one task with the answer spaces they share, and what was left out and why."""

    task: str
    version: str
    items: tuple[ProbeItem, ...]
    spaces: Mapping[str, AnswerSpace] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)

    def check(self) -> ProbeSet:
        """Itself, if every item is sound: unique ids, a gold answer, and all golds among the candidates.

        Raises:
            InputError: naming the item.
        """
        seen: set[str] = set()
        for item in self.items:
            if item.id in seen:
                raise InputError(f"{self.task}: two items are called {item.id!r}")
            seen.add(item.id)
            keys = item.space(self.spaces).index
            if not item.gold:
                raise InputError(f"{self.task}: item {item.id!r} has no gold answer")
            for gold in item.gold:
                if gold not in keys:
                    raise InputError(f"{self.task}: the gold answer {gold!r} of {item.id!r} is not a candidate")
        return self

    def save(self, folder: Path) -> None:
        """Write `items.jsonl` (a header line, then one item a line) and `spaces.jsonl`, whole or not at all."""
        header = {"task": self.task, "version": self.version, "dropped": dict(self.dropped)}
        spaces = ({"id": space.id, "candidates": space.candidates} for space in self.spaces.values())
        with atomic_directory(folder) as partial:
            _write_lines(partial / ITEMS, (header, *(item.to_json() for item in self.items)))
            _write_lines(partial / SPACES, spaces)

    @classmethod
    def load(cls, folder: Path) -> ProbeSet:
        """Read what `save` wrote; raises InputError naming the file and line of what is wrong."""
        lines = _read_lines(folder / ITEMS)
        _, header = next(lines, (0, None))
        if header is None or not {"task", "version"} <= set(header):
            raise InputError(f"{folder / ITEMS}:1: the first line gives the task and its version")
        items = tuple(_parsed(folder / ITEMS, number, ProbeItem.from_json, value) for number, value in lines)
        spaces = [_parsed(folder / SPACES, number, _space, value) for number, value in _read_lines(folder / SPACES)]
        named = {space.id: space for space in spaces}
        return cls(header["task"], header["version"], items, named, header.get("dropped", {})).check()


def _space(value: Mapping[str, Any]) -> AnswerSpace:
    return AnswerSpace(value["id"], _candidates(value["candidates"]))


def _candidates(pairs: Iterable[Any]) -> tuple[Candidate, ...]:
    return tuple(Candidate(*pair) for pair in pairs)


def _parsed(path: Path, number: int, parse: Any, value: Mapping[str, Any]) -> Any:
    try:
        return parse(value)
    except InputError as error:
        raise InputError(f"{path}:{number}: {error}") from None
    except KeyError as error:
        raise InputError(f"{path}:{number}: key {error} is missing") from None
    except TypeError:
        raise InputError(f"{path}:{number}: candidates are pairs [key, name], gold is a list of keys") from None


def _write_lines(path: Path, values: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as handle:
        for value in values:
            handle.write(json.dumps(value, ensure_ascii=False) + "\n")


def _read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers (from 1) and JSON objects."""
    try:
        with path.open(encoding="utf-8") as handle:
            for number, line in enumerate(handle, start=1):
                try:
                    value = json.loads(line)
                except json.JSONDecodeError as error:
                    raise InputError(f"{path}:{number}: not valid JSON ({error.msg})") from None
                if not isinstance(value, dict):
                    raise InputError(f"{path}:{number}: not a JSON object")
                yield number, value
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text") from None
