"""Tab-separated triples, the format of link-prediction benchmarks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kg.backends.base import BACKENDS, Backend
from kg.errors import InputError
from kg.graph import KnowledgeGraph


@BACKENDS.register("tsv")
class TSVLines(Backend):
    """Lines `head TAB relation TAB tail` of keys, without literals; what FB15k-237 and its kin are written in."""

    keeps_literals = False

    def export(self, kg: KnowledgeGraph) -> Iterator[str]:
        """Triples by ascending id, in constant memory.

        Raises:
            InputError: for a key with a tab or line end in it.
        """
        for place, triple in enumerate(kg.statements()):
            line = "\t".join(triple)
            if line.count("\t") != 2 or "\n" in line or "\r" in line:
                raise InputError(f"triple {place}: a key with a tab or line end cannot be written as TSV")
            yield line

    def load(self, other: Iterable[str]) -> KnowledgeGraph:
        """From lines; raises InputError with the number of a line that has not three fields."""

        def fields(number: int, line: str) -> tuple[str, str, str]:
            parts = line.rstrip("\r\n").split("\t")
            if len(parts) != 3:
                raise InputError(f"line {number}: {len(parts)} fields instead of head, relation, tail")
            return parts[0], parts[1], parts[2]

        return KnowledgeGraph.from_triples(fields(number, line) for number, line in enumerate(other, start=1))
