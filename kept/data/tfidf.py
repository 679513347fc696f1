"""Hard negatives by TF-IDF: texts that are close in words and yet say something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

if TYPE_CHECKING:
    from kept.data.tokenized import TokenizedRecords

BLOCK = 1024


def tfidf(corpus: TokenizedRecords) -> sparse.csr_matrix:
    """(N, features) unit rows of TF-IDF over 1- and 2-grams of word pieces.

    A piece that a text has n times, and that df of N texts have, weighs (1 + ln n) (1 + ln((1 + N) / (1 + df))).
    Source: Manning et al. 2008, "Introduction to Information Retrieval", section 6.4.
    """
    ids, rows = corpus.ids.astype(np.int64), np.repeat(np.arange(len(corpus)), corpus.lengths)
    real = corpus.words >= 0
    ids, rows = ids[real], rows[real]
    pairs = rows[:-1] == rows[1:]
    width = int(ids.max(initial=0)) + 1
    codes = np.concatenate([ids, width + ids[:-1][pairs] * width + ids[1:][pairs]])
    owners = np.concatenate([rows, rows[:-1][pairs]])
    _, columns = np.unique(codes, return_inverse=True)
    shape = (len(corpus), int(columns.max(initial=0)) + 1)
    matrix = sparse.csr_matrix((np.ones(len(columns)), (owners, columns)), shape=shape)
    matrix.sum_duplicates()
    frequency = np.bincount(matrix.indices, minlength=shape[1])
    idf = 1 + np.log((1 + shape[0]) / (1 + frequency))
    matrix.data = (1 + np.log(matrix.data)) * idf[matrix.indices]
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(norms, 1e-12)) @ matrix)


def hard_negatives(corpus: TokenizedRecords, *, top_k: int = 30, sim_max: float = 0.5) -> NDArray[np.int64]:
    """(N, top_k) the nearest other texts of each record, nearest first, -1 where there are fewer.

    Left out are texts of the same picture, the same words or a shared entity, and those at or above `sim_max`: they
    tend to be paraphrases, which are no negatives at all. `top_k=1, sim_max=1` is the plain reading of "the most
    similar text".
    Source: Lin et al. 2020, InterBERT, section 3.2 (image-text matching with hard negatives).
    """
    matrix = tfidf(corpus)
    entities, words = _entities(corpus), _words(corpus)
    found = np.full((len(corpus), top_k), -1, dtype=np.int64)
    for begin in range(0, len(corpus), BLOCK):
        rows = np.arange(begin, min(begin + BLOCK, len(corpus)))
        similarity = (matrix[rows] @ matrix.T).toarray()
        shared = (entities[rows] @ entities.T).toarray() > 0
        picture = corpus.picture[rows, None]
        same_picture = (picture == corpus.picture[None, :]) & (picture >= 0)
        same_words = words[rows, None] == words[None, :]
        similarity[shared | same_picture | same_words | (similarity >= sim_max)] = -1.0
        best = nearest(similarity, top_k)
        count = best.shape[1]
        good = np.take_along_axis(similarity, best, axis=1) > 0
        found[rows, :count] = np.where(good, best, -1)
    return found


def nearest(similarity: NDArray[np.float64], top_k: int) -> NDArray[np.int64]:
    """(B, top_k) the columns of the greatest values, greatest first, the earlier of equal ones first.

    >>> nearest(np.array([[0.1, 0.5, 0.5, 0.2]]), 3).tolist()
    [[1, 2, 3]]
    """
    count = min(top_k, similarity.shape[1])
    order = -similarity + np.arange(similarity.shape[1]) * 1e-13
    best = np.argpartition(order, count - 1, axis=1)[:, :count]
    return np.take_along_axis(best, np.argsort(np.take_along_axis(order, best, axis=1), axis=1), axis=1)


def _words(corpus: TokenizedRecords) -> NDArray[np.int64]:
    """(N,) a number for each text, equal for texts of the same words."""
    spans = zip(corpus.offsets[:-1], corpus.offsets[1:], strict=True)
    numbers: dict[bytes, int] = {}
    found = [numbers.setdefault(corpus.ids[start:end].tobytes(), len(numbers)) for start, end in spans]
    return np.asarray(found, dtype=np.int64)


def _entities(corpus: TokenizedRecords) -> sparse.csr_matrix:
    """(N, entities) which entities each text mentions."""
    rows = np.repeat(np.arange(len(corpus)), np.diff(corpus.mention_offsets))
    columns = corpus.mentions[:, 0]
    shape = (len(corpus), int(columns.max(initial=0)) + 1)
    return sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)
