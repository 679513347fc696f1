"""Nearest entities by cosine similarity, with FAISS."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kg.errors import InputError


class Neighbor(NamedTuple):
    """A neighbouring entity: its row, its label, its cosine similarity in [-1, 1]."""

    id: int
    label: str
    similarity: float


class NeighborIndex:
    """Exact search by inner product over vectors of length 1, which is cosine similarity.

    Args:
        vectors: (N, d) floats.
        labels: N names.

        >>> index = NeighborIndex(np.eye(3, dtype=np.float32) + 0.1, ["a", "b", "c"])
        >>> [neighbor.label for neighbor in index.neighbors(0, 1)]
        ['b']
    """

    def __init__(self, vectors: np.ndarray, labels: list[str]) -> None:
        import faiss

        self.labels = labels
        self.vectors = np.array(vectors, dtype=np.float32, order="C")
        faiss.normalize_L2(self.vectors)
        self.index = faiss.IndexFlatIP(self.vectors.shape[1])
        self.index.add(self.vectors)

    def neighbors(self, row: int, k: int) -> list[Neighbor]:
        """The `k` nearest entities to a row, itself left out, nearest first."""
        if not 0 <= row < len(self.labels):
            raise InputError(f"entity id {row}: there are {len(self.labels)} entities")
        similarities, found = self.index.search(self.vectors[[row]], min(k + 1, len(self.labels)))
        nearest = [
            Neighbor(int(other), self.labels[other], float(similarity))
            for similarity, other in zip(similarities[0], found[0], strict=True)
            if other != row
        ]
        return nearest[:k]
