"""Keys and their ids: sorted, memory-mapped, searched without building anything."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote

import numpy as np

from kg.arrays import MANY, id_type
from kg.arrow import PADDING, bytes_of, of_numbers, of_texts, strings_of
from kg.errors import InputError
from kg.loops import Loop
from kg.strings import replaced, take

if TYPE_CHECKING:
    import pyarrow as pa

NEIGHBOURHOOD = 200
"""How many keys on each side of a wrong key are looked at for a suggestion."""
read_off = Loop("kg.folding", "local_names")


def local_name(key: str) -> str:
    """The last segment of an IRI, readable; any other key is its own name.

    >>> local_name("http://dbpedia.org/resource/New_York"), local_name("capital_of")
    ('New York', 'capital_of')
    """
    if "://" not in key and not key.startswith("urn:"):
        return key
    end = key.rstrip("/#:")
    name = end[max(end.rfind("/"), end.rfind("#"), end.rfind(":")) + 1 :]
    return unquote(name).replace("_", " ").strip() or key


def local_names(keys: pa.LargeStringArray) -> pa.LargeStringArray:
    """`local_name` of every key."""
    if len(keys) < MANY:
        return of_texts([local_name(key) for key in keys.to_pylist()])
    data, starts = bytes_of(keys)
    held, ends = np.empty(int(starts[-1] - starts[0]) + PADDING, np.uint8), np.empty(len(starts), np.int64)
    hard = np.empty(len(keys), np.bool_)
    used = read_off(data, starts, held, ends, hard)
    held[used : used + PADDING] = 0
    places = np.flatnonzero(hard)
    texts = [local_name(key) for key in take(keys, places).to_pylist()]
    return replaced(strings_of(held, ends, len(keys)), places, texts)


def fold(name: str) -> str:
    """The form in which names are compared: full Unicode case folding."""
    return name.casefold()


class Vocabulary:
    """Keys and their ids, `0 .. len - 1`.

    Looking a key up is a binary search over the sorted order, so an opened vocabulary costs no memory of its own.

    Args:
        keys: Arrow large strings, one a key, unique.
        order: ids in ascending order of their keys (Unicode code points).
        kind: what the keys name, for messages.

    >>> Vocabulary.of(["France", "Paris"], "entity").id("Paris")
    1
    """

    def __init__(self, keys: pa.LargeStringArray, order: np.ndarray, kind: str = "entity") -> None:
        self.array = keys
        self.order = order
        self.kind = kind

    @classmethod
    def of(cls, keys: Sequence[str], kind: str = "entity") -> Vocabulary:
        """A vocabulary whose ids follow the order of `keys`."""
        import pyarrow as pa
        import pyarrow.compute as pc

        array = pa.array(keys, pa.large_string())
        return cls(array, np.asarray(pc.sort_indices(array)).astype(np.int64), kind)

    @classmethod
    def ascending(cls, keys: pa.LargeStringArray, kind: str = "entity") -> Vocabulary:
        """A vocabulary of keys that are in ascending order already."""
        return cls(keys, np.arange(len(keys), dtype=id_type(len(keys))), kind)

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[str]:
        """All keys by ascending id, in constant memory."""
        for start in range(0, len(self), 1 << 16):
            yield from self.array.slice(start, 1 << 16).to_pylist()

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

    def key(self, index: int) -> str:
        """The key of one id; raises IndexError past the end."""
        return self.array[int(index)].as_py()

    def keys(self, indices: Iterable[int] | np.ndarray) -> list[str]:
        """The keys of many ids."""
        chosen = np.asarray(indices if isinstance(indices, np.ndarray) else list(indices), dtype=np.int64)
        return self.array.take(of_numbers(chosen)).to_pylist()

    def get(self, key: str) -> int | None:
        """The id of a key, or None."""
        place = self._place(key)
        if place == len(self):
            return None
        index = int(self.order[place])
        return index if self.array[index].as_py() == key else None

    def id(self, key: str) -> int:
        """The id of a key.

        Raises:
            InputError: when there is no such key, with those that look like it.
        """
        index = self.get(key)
        if index is None:
            raise InputError(f"no {self.kind} has the key {key!r}{did_you_mean(self.near(key))}")
        return index

    def ids(self, keys: Iterable[str]) -> np.ndarray:
        """The ids of many keys, (n,) int64."""
        return np.fromiter((self.id(key) for key in keys), dtype=np.int64)

    def near(self, key: str, limit: int = 3) -> list[str]:
        """Keys that look like `key`: the closest among its neighbours in sorted order."""
        place = self._place(key)
        neighbours = self.keys(self.order[max(0, place - NEIGHBOURHOOD) : place + NEIGHBOURHOOD])
        return difflib.get_close_matches(key, neighbours, n=limit, cutoff=0.6)

    def _place(self, key: str) -> int:
        return bisect_left(range(len(self)), key, key=lambda place: self.array[int(self.order[place])].as_py())


class NameIndex:
    """Case-folded names in sorted order, each beside its entity: the index behind `find` and `search`.

    Args:
        names: Arrow large strings, ascending, repeated where several entities share a name.
        entities: the entity of each name, (n,) int.
    """

    def __init__(self, names: pa.LargeStringArray, entities: np.ndarray) -> None:
        self.names = names
        self.entities = entities

    def find(self, name: str) -> np.ndarray:
        """The ids of all entities with exactly this name, ascending."""
        wanted = fold(name)
        start = self._place(wanted)
        stop = start
        while stop < len(self.names) and self.names[stop].as_py() == wanted:
            stop += 1
        return np.unique(self.entities[start:stop])

    def prefixed(self, prefix: str, most: int = 2000) -> list[tuple[str, int]]:
        """(folded name, entity) of the first `most` names that start with `prefix`."""
        wanted = fold(prefix)
        start = self._place(wanted)
        found: list[tuple[str, int]] = []
        for row in range(start, min(len(self.names), start + most)):
            name = self.names[row].as_py()
            if not name.startswith(wanted):
                break
            found.append((name, int(self.entities[row])))
        return found

    def near(self, name: str, limit: int = 3) -> list[str]:
        """Names that look like `name`, from its neighbourhood in sorted order."""
        place = self._place(fold(name))
        start = max(0, place - NEIGHBOURHOOD)
        neighbours = self.names.slice(start, 2 * NEIGHBOURHOOD).to_pylist()
        return difflib.get_close_matches(fold(name), list(dict.fromkeys(neighbours)), n=limit, cutoff=0.6)

    def _place(self, folded: str) -> int:
        return bisect_left(range(len(self.names)), folded, key=lambda row: self.names[row].as_py())


def did_you_mean(names: Sequence[str]) -> str:
    """The end of a message about a wrong name; empty when nothing looks like it."""
    return f"; did you mean {', '.join(map(repr, names))}?" if names else ""
