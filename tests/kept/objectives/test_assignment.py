"""Matching against all permutations, the losses against transformers' own."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from kept.data.batch import IGNORE
from kept.objectives.assignment import SetTerms, match_sets, set_costs, set_loss_terms

CLASSES, QUERIES = 5, 6


def scene(counts: list[int], seed: int) -> dict[str, object]:
    generator = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    return {
        "logits": 3 * rand(len(counts), QUERIES, CLASSES + 1),
        "boxes": 0.1 + 0.4 * rand(len(counts), QUERIES, 4),
        "labels": [torch.randint(CLASSES, (count,), generator=generator) for count in counts],
        "targets": [0.1 + 0.4 * rand(count, 4) for count in counts],
    }


def least_cost(cost: Tensor) -> float:
    queries, targets = cost.shape
    if queries < targets:
        return least_cost(cost.T)
    chosen = itertools.permutations(range(queries), targets)
    return min(sum(float(cost[q, t]) for t, q in enumerate(one)) for one in chosen)


@pytest.mark.parametrize(("queries", "targets"), [(1, 1), (4, 2), (5, 5), (6, 3), (2, 4), (3, 0)])
def test_no_permutation_is_cheaper(queries: int, targets: int) -> None:
    cost = torch.randn(queries, targets, generator=torch.Generator().manual_seed(queries), dtype=torch.float64)
    [(query, target)] = match_sets([cost])
    assert query.tolist() == sorted(set(query.tolist()))
    assert len(set(target.tolist())) == len(query) == min(queries, targets)
    assert float(cost[query, target].sum()) == pytest.approx(least_cost(cost))


def test_a_cost_that_is_no_number_is_chosen_last() -> None:
    cost = torch.tensor([[torch.nan, 3.0], [1.0, -torch.inf], [torch.inf, 9.0]])
    [(query, target)] = match_sets([cost])
    assert (query.tolist(), target.tolist()) == ([0, 1], [1, 0])
    [(query, _)] = match_sets([torch.full((2, 2), torch.nan)])
    assert len(query) == 2


def test_the_cost_by_hand() -> None:
    logits = torch.tensor([[math.log(3.0), 0.0]])
    found, truth = torch.tensor([[0.25, 0.5, 0.5, 1.0]]), torch.tensor([[0.5, 0.5, 1.0, 1.0]])
    cost = set_costs(logits, found, torch.tensor([0]), truth, class_weight=2, l1_weight=3, giou_weight=4)
    # p = 3/4; the box is off by 1/4 and 1/2; half of the hull is covered.
    assert cost.item() == pytest.approx(-2 * 0.75 + 3 * 0.75 - 4 * 0.5)


@pytest.mark.parametrize("counts", [[3, 1, 6], [0, 2, 4], [0, 0]])
def test_like_transformers(counts: list[int]) -> None:
    from transformers.loss.loss_for_object_detection import HungarianMatcher, ImageLoss

    one = scene(counts, sum(counts))
    peer_matcher = HungarianMatcher(class_cost=1, bbox_cost=5, giou_cost=2)
    targets = [{"class_labels": c, "boxes": b} for c, b in zip(one["labels"], one["targets"], strict=True)]
    outputs = {"logits": one["logits"], "pred_boxes": one["boxes"]}
    sets = zip(*(one[name] for name in ("logits", "boxes", "labels", "targets")), strict=True)
    for mine, peer in zip(match_sets(set_costs(*s) for s in sets), peer_matcher(outputs, targets), strict=True):
        assert mine[0].tolist() == peer[0].tolist()
        assert mine[1].tolist() == peer[1].tolist()
    peer = ImageLoss(peer_matcher, CLASSES, 0.1, ["labels", "boxes"])(outputs, targets)
    terms = set_loss_terms(**one)
    assert terms.boxes == sum(counts)
    torch.testing.assert_close(terms.class_sum / terms.class_weight_sum, peer["loss_ce"])
    torch.testing.assert_close(terms.l1_sum / max(terms.boxes, 1), peer["loss_bbox"])
    torch.testing.assert_close(terms.giou_sum / max(terms.boxes, 1), peer["loss_giou"])


def test_a_split_batch_equals_the_whole() -> None:
    one = scene([2, 0, 5], 1)
    whole = set_loss_terms(**one)
    parts = [set_loss_terms(**{name: value[rows] for name, value in one.items()}) for rows in (slice(1), slice(1, 3))]
    for name in SetTerms._fields:
        assert float(sum(getattr(part, name) for part in parts)) == pytest.approx(float(getattr(whole, name)))


def test_attributes_count_where_an_object_has_one() -> None:
    one = scene([2, 3], 4)
    guesses = torch.randn(2, QUERIES, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    attributes = [torch.tensor([IGNORE, 2]), torch.tensor([1, IGNORE, 0])]
    terms = set_loss_terms(**one, attribute_logits=guesses, attributes=attributes)
    sets = zip(*(one[name] for name in ("logits", "boxes", "labels", "targets")), strict=True)
    wanted = 0.0
    for row, (queries, objects) in enumerate(match_sets(set_costs(*s) for s in sets)):
        for q, t in zip(queries.tolist(), objects.tolist(), strict=True):
            if attributes[row][t] >= 0:
                wanted -= guesses[row, q].log_softmax(0)[attributes[row][t]].item()
    assert terms.attributes == 3
    assert terms.attribute_sum.item() == pytest.approx(wanted, rel=1e-5)
    assert torch.autograd.grad(terms.attribute_sum, guesses)[0].any()
    with pytest.raises(ValueError, match="together"):
        set_loss_terms(**one, attributes=attributes)


def test_no_object_at_all_gives_zero_with_a_graph() -> None:
    one = scene([0, 0], 5)
    boxes = one["boxes"].requires_grad_()
    nothing = torch.zeros(0, dtype=torch.int64)
    guesses = torch.zeros(2, QUERIES, 4, requires_grad=True)
    terms = set_loss_terms(**one, attribute_logits=guesses, attributes=[nothing, nothing])
    assert (terms.boxes, terms.attributes) == (0, 0)
    assert terms.class_weight_sum == pytest.approx(0.1 * 2 * QUERIES)
    for zero in (terms.l1_sum, terms.giou_sum, terms.attribute_sum):
        assert zero.item() == 0
        assert zero.requires_grad
    assert not torch.autograd.grad(terms.l1_sum + terms.giou_sum, boxes)[0].any()


def test_degenerate_boxes_and_more_objects_than_queries() -> None:
    one = scene([QUERIES + 2], 6)
    boxes = one["boxes"].clone()
    boxes[..., 2:] = torch.tensor([0.0, -0.1])
    boxes.requires_grad_()
    terms = set_loss_terms(**(one | {"boxes": boxes}))
    assert terms.boxes == QUERIES
    assert torch.autograd.grad(terms.l1_sum + terms.giou_sum, boxes)[0].isfinite().all()


def test_predictions_that_are_no_numbers_do_not_stop_the_matching() -> None:
    one = scene([2], 7)
    broken = one["logits"].clone()
    broken[0, 0] = torch.nan
    [(queries, _)] = match_sets([set_costs(broken[0], one["boxes"][0], one["labels"][0], one["targets"][0])])
    assert 0 not in queries.tolist()


def test_no_record_at_all() -> None:
    one = scene([2], 8)
    terms = set_loss_terms(one["logits"][:0], one["boxes"][:0], [], [])
    assert [float(value) for value in terms] == [0.0] * len(SetTerms._fields)
