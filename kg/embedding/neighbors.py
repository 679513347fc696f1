"""Nearest vectors, with FAISS: exact where there are few, approximate where there are many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kg.errors import InputError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

FLAT_UP_TO, HNSW_UP_TO = 200_000, 5_000_000
KINDS = ("auto", "flat", "hnsw", "ivf-pq")
LINKS, CODE_BYTES, TRAINED_ON = 32, 32, 100
"""HNSW's links of a vector; bytes of a vector in IVF-PQ; vectors for each list that its lists are learned from."""


class Neighbor(NamedTuple):
    """A neighbouring entity: its row, its label, its similarity (a cosine in [-1, 1], or a score)."""

    id: int
    label: str
    similarity: float


class NeighborIndex:
    """Search by inner product; over vectors of length 1 that is cosine similarity.

    Args:
        vectors: (N, d) floats.
        labels: N names.
        cosine: bring the vectors to length 1 first.
        kind: "flat" compares with every vector and is exact; "hnsw" follows links between near ones (Malkov & Yashunin
            2018), and "ivf-pq" looks into some lists of vectors that are kept in 32 bytes each (Jegou et al. 2011);
            "auto" takes them by size, up to 200,000, up to 5 million, and above.

        >>> index = NeighborIndex(np.eye(3, dtype=np.float32) + 0.1, ["a", "b", "c"])
        >>> [neighbor.label for neighbor in index.neighbors(0, 1)]
        ['b']
    """

    def __init__(self, vectors: np.ndarray, labels: Sequence[str], *, cosine: bool = True, kind: str = "auto") -> None:
        import faiss

        if kind not in KINDS:
            raise InputError(f"index: no kind is called {kind!r}; {nearest(kind, KINDS)}")
        self.labels, self.cosine = labels, cosine
        self.kind = kind if kind != "auto" else suitable(len(vectors))
        self.vectors = np.array(vectors, dtype=np.float32, order="C")
        if cosine:
            faiss.normalize_L2(self.vectors)
        self.index = build_index(self.vectors, self.kind)

    def neighbors(self, row: int, k: int) -> list[Neighbor]:
        """The `k` nearest entities to a row, itself left out, nearest first."""
        if not 0 <= row < len(self.labels):
            raise InputError(f"entity id {row}: there are {len(self.labels)} entities")
        found = self.search(self.vectors[row], k + 1)
        return [neighbor for neighbor in found if neighbor.id != row][:k]

    def search(self, query: np.ndarray, k: int) -> list[Neighbor]:
        """The `k` vectors most similar to a query (d,), most similar first."""
        import faiss

        asked = np.array(query, dtype=np.float32).reshape(1, -1)
        if self.cosine:
            faiss.normalize_L2(asked)
        similarities, found = self.index.search(asked, min(k, len(self.labels)))
        return [
            Neighbor(int(row), self.labels[row], float(similarity))
            for similarity, row in zip(similarities[0], found[0], strict=True)
            if row >= 0
        ]


def suitable(count: int) -> str:
    """The kind of index for so many vectors.

    >>> suitable(1000), suitable(1_000_000), suitable(50_000_000)
    ('flat', 'hnsw', 'ivf-pq')
    """
    if count <= FLAT_UP_TO:
        return "flat"
    return "hnsw" if count <= HNSW_UP_TO else "ivf-pq"


def build_index(vectors: np.ndarray, kind: str) -> Any:
    """A FAISS index of (N, d) vectors by inner product."""
    import faiss

    count, width = vectors.shape
    if kind == "flat":
        index: Any = faiss.IndexFlatIP(width)
    elif kind == "hnsw":
        index = faiss.IndexHNSWFlat(width, LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction, index.hnsw.efSearch = 100, 128
    else:
        lists = max(1, int(4 * count**0.5))
        parts = next(bytes_ for bytes_ in range(min(CODE_BYTES, width), 0, -1) if width % bytes_ == 0)
        bits = 8 if count >= 256 else 4
        index = faiss.index_factory(width, f"IVF{lists},PQ{parts}x{bits}", faiss.METRIC_INNER_PRODUCT)
        index.nprobe = max(8, lists // 32)
        chosen = np.random.default_rng(0).permutation(count)[: lists * TRAINED_ON]
        index.train(vectors[np.sort(chosen)])
    index.add(vectors)
    return index
