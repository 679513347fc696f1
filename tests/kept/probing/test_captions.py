"""Caption scores by hand, by their formulas, and against sacrebleu, nltk and COCO's own where they are installed."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from kept.probing.captions import bleu, cider_d, rouge_l

WORDS = ["a", "the", "cat", "dog", "sat", "ran", "on", "mat", "red", "of"]


def corpus(seed: int, count: int = 12, references: int = 3) -> tuple[list[str], list[list[str]]]:
    """References, and candidates that are one of them with some words changed, dropped or doubled."""
    random = np.random.default_rng(seed)
    truth, found = [], []
    for _ in range(count):
        start = random.choice(WORDS, random.integers(6, 11)).tolist()
        truth.append([" ".join(random.choice(WORDS) if random.random() < 0.3 else w for w in start)])
        for _ in range(references - 1):
            truth[-1].append(" ".join(random.choice(WORDS) if random.random() < 0.5 else w for w in start))
        noisy = itertools.chain(*([w] * int(random.choice([0, 1, 1, 1, 1, 1, 2])) for w in start))
        found.append(" ".join(noisy))
    return found, truth


def test_bleu_by_hand() -> None:
    """Papineni's example: "the" may count twice, as one reference has it twice."""
    found = bleu(["the the the the the the the"], [["the cat is on the mat", "there is a cat on the mat"]])
    assert found == (pytest.approx(2 / 7), 0.0, 0.0, 0.0)
    # Four words of five, three pairs of four, two triples of three, one of two; no reference is longer.
    found = bleu(["a b c d x"], [["a b c d y"]])
    wanted = [math.prod([4 / 5, 3 / 4, 2 / 3, 1 / 2][:n]) ** (1 / n) for n in (1, 2, 3, 4)]
    assert found == pytest.approx(wanted)


def test_brevity_takes_the_closest_reference_and_the_shorter_of_two() -> None:
    assert bleu(["a b"], [["a b c", "a b c d e"]])[0] == pytest.approx(math.exp(1 - 3 / 2))
    assert bleu(["a b c"], [["a b c d", "a b"]])[0] == pytest.approx(1.0)
    # Over a corpus lengths add up: a long caption makes up for a short one.
    assert bleu(["a b", "c d e f"], [["a b x"], ["c d e"]])[0] == pytest.approx(5 / 6)


@pytest.mark.parametrize("seed", range(4))
def test_bleu_like_sacrebleu(seed: int) -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    found, truth = corpus(seed)
    turned = [list(column) for column in zip(*truth, strict=True)]
    for n, score in enumerate(bleu(found, truth), 1):
        peer = sacrebleu.BLEU(tokenize="none", smooth_method="none", max_ngram_order=n).corpus_score(found, turned)
        assert score == pytest.approx(peer.score / 100)


@pytest.mark.parametrize("seed", range(4))
def test_bleu_like_nltk(seed: int) -> None:
    peer = pytest.importorskip("nltk.translate.bleu_score")
    found, truth = corpus(seed)
    for n, score in enumerate(bleu(found, truth), 1):
        words = [[other.split() for other in others] for others in truth], [caption.split() for caption in found]
        assert score == pytest.approx(peer.corpus_bleu(*words, weights=[1 / n] * n))


def longest_common(left: list[str], right: list[str]) -> int:
    for length in range(len(left), 0, -1):
        if set(itertools.combinations(left, length)) & set(itertools.combinations(right, length)):
            return length
    return 0


@pytest.mark.parametrize("seed", range(3))
def test_rouge_by_enumeration(seed: int) -> None:
    found, truth = corpus(seed, count=5)
    for caption, others, score in zip(found, truth, rouge_l(found, truth), strict=True):
        words = caption.split()
        shared = [(longest_common(words, other.split()), len(other.split())) for other in others]
        p, r = max(c for c, _ in shared) / len(words), max(c / n for c, n in shared)
        assert score == pytest.approx((1 + 1.44) * p * r / (r + 1.44 * p))


def test_rouge_by_hand() -> None:
    """Lin's example: three words of four stand in order, or two."""
    found = rouge_l(["police kill the gunman", "the gunman kill police"], [["police killed the gunman"]] * 2, beta=1.0)
    assert found.tolist() == [0.75, 0.5]
    assert rouge_l(["x", ""], [["a"], ["a"]]).tolist() == [0, 0]


def test_cider_by_hand() -> None:
    """Two pictures: "a" is in both and weighs nothing, all else weighs log 2."""
    found = cider_d(["a cat cat", "a dog"], [["a cat"], ["a dog"]])
    # Unigrams: cat twice against once, clipped to 1: 1 * 1 / (2 * 1). Bigrams: "a cat", "cat cat" against "a cat".
    close = math.exp(-1 / 72)
    assert found[0] == pytest.approx(10 / 4 * close * (1 / 2 + 1 / math.sqrt(2)))
    assert found[1] == pytest.approx(10 / 4 * (1 + 1))


@pytest.mark.parametrize("seed", range(3))
def test_cider_by_its_formula(seed: int) -> None:
    found, truth = corpus(seed, count=6)
    pictures = len(found)

    def grams(text: str, n: int) -> list[str]:
        words = text.split()
        return [" ".join(words[i : i + n]) for i in range(len(words) - n + 1)]

    for i, score in enumerate(cider_d(found, truth)):
        total = 0.0
        for n in (1, 2, 3, 4):
            names = sorted({gram for text in [found[i], *truth[i]] for gram in grams(text, n)})
            in_pictures = np.array([sum(any(g in grams(t, n) for t in others) for others in truth) for g in names])
            rarity = np.log(pictures / np.maximum(in_pictures, 1))
            own, *others = (np.array([grams(t, n).count(g) for g in names]) * rarity for t in [found[i], *truth[i]])
            for text, other in zip(truth[i], others, strict=True):
                gap = len(found[i].split()) - len(text.split())
                like = np.minimum(own, other) @ other / (np.linalg.norm(own) * np.linalg.norm(other) + 1e-300)
                total += math.exp(-(gap**2) / 72) * like / len(truth[i]) / 4
        assert score == pytest.approx(10 * total)


@pytest.mark.parametrize("seed", range(3))
def test_like_cocos_own(seed: int) -> None:
    cider = pytest.importorskip("pycocoevalcap.cider.cider_scorer")
    rouge = pytest.importorskip("pycocoevalcap.rouge.rouge")
    found, truth = corpus(seed)
    scorer = cider.CiderScorer()
    for caption, others in zip(found, truth, strict=True):
        scorer += (caption, others)
    mean, each = scorer.compute_score()
    assert cider_d(found, truth).tolist() == pytest.approx(each.tolist())
    assert cider_d(found, truth).mean() == pytest.approx(mean)
    peer = [rouge.Rouge().calc_score([caption], others) for caption, others in zip(found, truth, strict=True)]
    assert rouge_l(found, truth).tolist() == pytest.approx(peer)


def test_what_was_said_and_nothing() -> None:
    found, truth = corpus(9)
    copied = [others[0] for others in truth]
    assert bleu(copied, truth) == pytest.approx((1, 1, 1, 1))
    assert rouge_l(copied, truth).tolist() == pytest.approx([1] * len(found))
    assert cider_d(copied, [[one] for one in copied]).tolist() == pytest.approx([10] * len(found))
    silent = [""] * len(found)
    assert bleu(silent, truth) == (0, 0, 0, 0)
    assert not rouge_l(silent, truth).any()
    assert not cider_d(silent, truth).any()
    assert cider_d(["a cat"], [["a cat"]]).tolist() == [0]


@pytest.mark.parametrize("score", [bleu, rouge_l, cider_d])
@pytest.mark.parametrize(
    ("found", "truth", "message"),
    [([], [], "0 captions"), (["a"], [], "pictures"), (["a"], [[]], "no reference"), (["a"], ["a"], "list")],
)
def test_refuses(score, found: list[str], truth: list[list[str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score(found, truth)
