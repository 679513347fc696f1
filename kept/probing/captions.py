"""How close generated captions come to those that people wrote: BLEU, ROUGE-L, CIDEr-D.

Captions are tokenised strings, split at white space and compared as they are: lower-case them and part the punctuation
from the words before, the same way on both sides. Figures made with different tokenisers do not compare.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

Gram = tuple[str, ...]
LONGEST = 4


def bleu(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[float, float, float, float]:
    """BLEU-1 to BLEU-4 of a corpus, in [0, 1]; without smoothing, so that one precision of 0 makes it 0.

        BLEU-N = min(1, exp(1 - r / c)) (p_1 ... p_N)^(1/N)

    p_n is the share of the candidates' n-grams that a reference has, each counted at most as often as in the reference
    that has it most; c is the candidates' length and r that of the references closest in length, the shorter of two.

    Args:
        candidates: one caption for each picture.
        references: the captions that people wrote for it, at least one each.

    Raises:
        ValueError: where the lists differ in length, are empty, or a picture has no reference.

    Source: Papineni et al. 2002, "BLEU: a method for automatic evaluation of machine translation", section 2.

        >>> [round(score, 3) for score in bleu(["the cat sat down there"], [["the cat sat on it", "a cat sat down"]])]
        [0.8, 0.775, 0.737, 0.0]
    """
    _check(candidates, references)
    right, all_of, length, closest = np.zeros(LONGEST), np.zeros(LONGEST), 0, 0
    for caption, others in zip(candidates, references, strict=True):
        words, truths = caption.split(), [other.split() for other in others]
        length += len(words)
        closest += min((len(truth) for truth in truths), key=lambda n: (abs(n - len(words)), n))
        for n in range(1, LONGEST + 1):
            most: Counter[Gram] = Counter()
            for truth in truths:
                most |= _grams(truth, n)
            grams = _grams(words, n)
            right[n - 1] += (grams & most).total()
            all_of[n - 1] += grams.total()
    brevity = 0.0 if not length else min(1.0, math.exp(1 - closest / length))
    with np.errstate(divide="ignore"):
        logs = np.log(right / np.maximum(all_of, 1)).cumsum() / np.arange(1, LONGEST + 1)
    one, two, three, four = (float(score) for score in brevity * np.exp(logs))
    return one, two, three, four


def rouge_l(candidates: Sequence[str], references: Sequence[Sequence[str]], *, beta: float = 1.2) -> np.ndarray:
    """(N,) ROUGE-L of each caption, in [0, 1], from the longest common subsequence with each of its references.

        F = (1 + beta^2) P R / (R + beta^2 P),  P = max LCS / |candidate|,  R = max LCS / |reference|

    The maxima of P and R may come from different references, as COCO's evaluation has it; so has it beta.

    Raises:
        ValueError: where the lists differ in length, are empty, or a picture has no reference.

    Source: Lin 2004, "ROUGE: a package for automatic evaluation of summaries", section 3.

        >>> rouge_l(["a cat sat"], [["a black cat sat"]], beta=1.0).round(3).tolist()
        [0.857]
    """
    _check(candidates, references)
    scores = np.zeros(len(candidates))
    for i, (caption, others) in enumerate(zip(candidates, references, strict=True)):
        words, truths = caption.split(), [other.split() for other in others]
        shared = [_common_subsequence(words, truth) for truth in truths]
        precision = max(shared) / max(len(words), 1)
        recall = max(common / max(len(truth), 1) for common, truth in zip(shared, truths, strict=True))
        if precision and recall:
            scores[i] = (1 + beta**2) * precision * recall / (recall + beta**2 * precision)
    return scores


def cider_d(candidates: Sequence[str], references: Sequence[Sequence[str]], *, sigma: float = 6.0) -> np.ndarray:
    """(N,) CIDEr-D of each caption, in [0, 10]: its likeness to the references in rare n-grams, n = 1 to 4.

        10/m sum_j exp(-(|c| - |s_j|)^2 / (2 sigma^2)) min(g(c), g(s_j)) . g(s_j) / (|g(c)| |g(s_j)|), averaged over n

    g weighs the count of each n-gram by log(N / how many of the N pictures have a reference with it), so that the score
    of one caption depends on all pictures that are judged with it; of a single picture it is 0. The corpus' CIDEr-D
    is the mean.

    Raises:
        ValueError: where the lists differ in length, are empty, or a picture has no reference.

    Source: Vedantam et al. 2015, "CIDEr: consensus-based image description evaluation", equations 1 to 3 and 6.

        >>> cider_d(["a b c d", "x y z"], [["a b c d"], ["e f g h"]]).tolist()
        [10.0, 0.0]
    """
    _check(candidates, references)
    pictures_with: Counter[Gram] = Counter()
    for others in references:
        pictures_with.update({gram for other in others for n in _LENGTHS for gram in _grams(other.split(), n)})
    pictures = len(candidates)

    def weighted(words: Sequence[str], n: int) -> dict[Gram, float]:
        counts = _grams(words, n)
        return {gram: count * math.log(pictures / max(pictures_with[gram], 1)) for gram, count in counts.items()}

    scores = np.zeros(pictures)
    for i, (caption, others) in enumerate(zip(candidates, references, strict=True)):
        words = caption.split()
        for n in _LENGTHS:
            own = weighted(words, n)
            for other in others:
                truth = other.split()
                close = math.exp(-((len(words) - len(truth)) ** 2) / (2 * sigma**2))
                scores[i] += close * _clipped_cosine(own, weighted(truth, n)) / len(others)
    return 10 * scores / LONGEST


_LENGTHS = range(1, LONGEST + 1)


def _check(candidates: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if isinstance(candidates, str) or any(isinstance(others, str) for others in references):
        raise ValueError("captions come as a list, and the references of each as a list of their own")
    if len(candidates) != len(references) or not candidates:
        raise ValueError(f"{len(candidates)} captions and references of {len(references)} pictures")
    if not all(references):
        raise ValueError("a picture has no reference")


def _grams(words: Sequence[str], n: int) -> Counter[Gram]:
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def _clipped_cosine(own: Mapping[Gram, float], truth: Mapping[Gram, float]) -> float:
    dot = sum(min(value, truth.get(gram, 0.0)) * truth.get(gram, 0.0) for gram, value in own.items())
    norms = math.hypot(*own.values()) * math.hypot(*truth.values())
    return dot / norms if norms else 0.0


def _common_subsequence(left: Sequence[str], right: Sequence[str]) -> int:
    """The length of the longest common subsequence."""
    before = [0] * (len(right) + 1)
    for word in left:
        row = [0]
        for j, other in enumerate(right):
            row.append(before[j] + 1 if word == other else max(before[j + 1], row[j]))
        before = row
    return before[-1]
