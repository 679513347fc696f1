"""Contrast against its formula, and what counts as the same content."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from kept.data.record import Record
from kept.objectives.contrast import contrast_loss
from kept.objectives.identity import NOTHING, content, same_content
from tests.kept import tiny
from tests.kept.tiny import record


def unit(rows: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(rows, 6, generator=generator, dtype=torch.float64), dim=1)


def test_one_positive_each_is_clip() -> None:
    image, text, scale = unit(5, 0), unit(5, 1), torch.tensor(7.0)
    logits, gold = scale * image @ text.T, torch.arange(5)
    clip = (cross_entropy(logits, gold, reduction="sum") + cross_entropy(logits.T, gold, reduction="sum")) / 2
    found = contrast_loss(image, text, image, text, torch.eye(5, dtype=torch.bool), scale)
    torch.testing.assert_close(found, clip)


def test_several_positives_by_the_formula() -> None:
    image, text = unit(4, 2), unit(4, 3)
    same = torch.eye(4, dtype=torch.bool)
    same[0, 2] = same[2, 0] = True
    total = 0.0
    for i in range(4):
        positives = [j for j in range(4) if same[i, j]]
        for own, others in ((image, text), (text, image)):
            scores = [math.exp(3.0 * float(own[i] @ others[j])) for j in range(4)]
            total -= sum(math.log(scores[j] / sum(scores)) for j in positives) / len(positives) / 2
    found = contrast_loss(image, text, image, text, same, torch.tensor(3.0, dtype=torch.float64))
    assert float(found) == pytest.approx(total)


def test_rows_of_one_process_and_the_rest_add_up_to_the_whole() -> None:
    image, text, same = unit(5, 4), unit(5, 5), torch.eye(5, dtype=torch.bool)
    whole = contrast_loss(image, text, image, text, same, torch.tensor(4.0))
    parts = [contrast_loss(image[p], text[p], image, text, same[p], torch.tensor(4.0)) for p in ([0, 1, 2], [3, 4])]
    torch.testing.assert_close(parts[0] + parts[1], whole)


def test_gradients_are_right() -> None:
    same = torch.eye(3, dtype=torch.bool)
    inputs = [unit(3, 6).requires_grad_(), unit(3, 7).requires_grad_()]
    assert torch.autograd.gradcheck(lambda x, y: contrast_loss(x, y, x, y, same, torch.tensor(2.0)), inputs)


RECORDS = [
    record("a", "A flag of France.", 0, image="0.png"),
    record("b", "Stripes of Spain.", 2, image="0.png"),
    record("c", "A flag of France.", image="1.png"),
    record("d", "Here is Spain, again.", 2),
    record("e", "Here is France, too.", 0),
    record("f", "Unlike all others.", image="3.png"),
    record("g", "A picture of nobody.", image="2.png"),
]


def alike(left: Record, right: Record) -> bool:
    """The same picture, the same words, or a shared entity, from the records themselves."""
    shared = {mention.entity for mention in left.mentions} & {mention.entity for mention in right.mentions}
    return (left.image is not None and left.image == right.image) or left.text == right.text or bool(shared)


def test_same_content_against_the_records_themselves() -> None:
    batch = tiny.corpus(RECORDS, tiny.encoded()).batch(np.arange(len(RECORDS)), tiny.NOISE)
    codes = content(batch)
    found = same_content(codes, codes)
    for (i, left), (j, right) in itertools.product(enumerate(RECORDS), repeat=2):
        assert bool(found[i, j]) == alike(left, right), (left.id, right.id)


def test_content_does_not_depend_on_padding_or_company() -> None:
    corpus = tiny.corpus(RECORDS)
    whole = content(corpus.batch(np.arange(len(RECORDS)), tiny.NOISE))
    wide = content(tiny.padded(corpus.batch(np.arange(len(RECORDS)), tiny.NOISE)))
    assert torch.equal(wide[:, : whole.shape[1]], whole)
    assert (wide[:, whole.shape[1] :] == NOTHING).all()
    for row in range(len(RECORDS)):
        alone = content(corpus.batch(np.array([row]), tiny.NOISE))
        assert torch.equal(alone[0], whole[row, : alone.shape[1]])


def test_words_in_another_order_are_other_words() -> None:
    texts = [record("x", "flag of here"), record("y", "here of flag"), record("z", "flag of here here")]
    codes = content(tiny.corpus(texts).batch(np.arange(3), tiny.NOISE))
    assert same_content(codes, codes).int().tolist() == torch.eye(3, dtype=torch.int).tolist()
