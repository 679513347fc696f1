"""scipy.sparse: one matrix a relation, or all in one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from kg.backends.base import BACKENDS, Backend
from kg.graph import KnowledgeGraph

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class Matrices(Mapping[int, "csr_array"]):
    """The adjacency matrix (N, N) of each relation by its id, made when asked for; a true entry is a triple."""

    def __init__(self, kg: KnowledgeGraph) -> None:
        self.kg = kg
        self._order = np.argsort(kg.triples[:, 1], kind="stable")
        self._starts = np.searchsorted(kg.triples[self._order, 1], np.arange(kg.num_relations + 1))

    def __getitem__(self, relation: int) -> csr_array:
        if not 0 <= relation < self.kg.num_relations:
            raise KeyError(relation)
        rows = self._order[self._starts[relation] : self._starts[relation + 1]]
        return self._matrix(rows, bool)

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.kg.num_relations))

    def __len__(self) -> int:
        return self.kg.num_relations

    def whole(self) -> csr_array:
        """(N, N) how many triples lead from one entity to another, int32."""
        return self._matrix(np.arange(self.kg.num_triples), np.int32)

    def _matrix(self, rows: np.ndarray, dtype: type) -> csr_array:
        from scipy.sparse import coo_array

        heads, _, tails = self.kg.triples[rows].T
        shape = (self.kg.num_entities, self.kg.num_entities)
        return coo_array((np.ones(len(rows), dtype=dtype), (heads, tails)), shape=shape).tocsr()


@BACKENDS.register("scipy")
class SciPy(Backend):
    """scipy.sparse CSR matrices by relation id, made when asked for; `.whole()` counts over all relations."""

    loads = False
    keeps_literals = False

    def export(self, kg: KnowledgeGraph) -> Matrices:
        return Matrices(kg)
