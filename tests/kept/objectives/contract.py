"""What every objective promises, inherited unchanged by each member's test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
import torch

from kept.data.batch import Batch
from kept.data.noise import Noise
from kept.data.tokenized import TokenizedRecords
from kept.modeling.model import KeptModel
from kept.objectives import OBJECTIVES, Forward, Loss, Objective, View
from tests.contracts import Contract
from tests.kept import tiny
from tests.kept.objectives.real import RealRecords, train_on

ROUNDING = 1e-7
"""The gradient of what has no influence is not above this."""


def assert_same(found: Loss, expected: Loss, rtol: float = 1e-4) -> None:
    """Equal terms with equal counts and sums."""
    assert set(found) == set(expected)
    for name, term in expected.items():
        assert found[name].count == term.count, name
        torch.testing.assert_close({name: found[name].sum}, {name: term.sum}, rtol=rtol, atol=1e-4)


class ObjectiveContract(Contract):
    """Every objective: its loss depends on the records alone, and it can be learned from its baseline to its floor.

    A member's test sets `heads`, the parts of the model that its gradient must reach, and `constant`, the mean loss of
    the best constant predictor of each term, worked out from the view's targets by other means.
    """

    family = OBJECTIVES
    options: ClassVar[Mapping[str, Any]] = {}
    heads: ClassVar[tuple[str, ...]]
    draws: ClassVar[bool] = True
    four: ClassVar[tuple[int, ...]] = tuple(tiny.FULL)

    def constant(self, view: View) -> Mapping[str, float]:
        raise NotImplementedError

    def make(self) -> Objective:
        return OBJECTIVES[self.member](**self.options)

    def model(self) -> KeptModel:
        return tiny.model(heads=self.make().heads())

    def corpus(self) -> TokenizedRecords:
        return tiny.corpus()

    def batch(self, *rows: int) -> Batch:
        return self.corpus().batch(tiny.rows(*rows), tiny.NOISE)

    def view(self, batch: Batch, noise: Noise = tiny.NOISE) -> View:
        return self.make().prepare(batch, tiny.context(noise, self.corpus()))

    def terms(self, batch: Batch, noise: Noise = tiny.NOISE) -> Loss:
        return self.make().loss(self.view(batch, noise), Forward(self.model()))

    @property
    def everything(self) -> Batch:
        return self.batch(*range(len(tiny.RECORDS)))

    def test_terms_are_counted_before_any_forward(self) -> None:
        objective, view = self.make(), self.view(self.everything)
        assert set(view.counts) >= set(objective.parts)
        assert sum(view.counts[part] for part in objective.parts) > 0
        for name, term in self.terms(self.everything).items():
            assert name.split("/")[0] in objective.parts
            assert term.count == view.counts[name.split("/")[0]]

    def test_padding_changes_nothing(self) -> None:
        assert_same(self.terms(tiny.padded(self.everything)), self.terms(self.everything))

    def test_order_changes_nothing(self) -> None:
        order = torch.randperm(len(tiny.RECORDS), generator=torch.Generator().manual_seed(1))
        assert_same(self.terms(self.everything.take(order)), self.terms(self.everything))

    def test_the_batch_is_not_changed(self) -> None:
        batch, again = self.everything, self.everything
        self.terms(batch)
        for name in ("ids", "mask", "special", "words"):
            assert torch.equal(getattr(batch.text, name), getattr(again.text, name)), name
        for name in ("entity", "start", "end", "mask", "visible", "known"):
            assert torch.equal(getattr(batch.mentions, name), getattr(again.mentions, name)), name

    def test_no_target_is_an_exact_zero_with_a_graph(self) -> None:
        model = self.model()
        terms = self.make().loss(self.view(self.batch(tiny.EMPTY)), Forward(model))
        for name, term in terms.items():
            assert term.count == 0, name
            assert term.sum.item() == 0.0, name
        sum(term.sum for term in terms.values()).backward()
        assert all(p.grad is None or not p.grad.any() for p in model.parameters())

    def test_no_target_has_a_graph_where_the_first_parts_are_frozen(self) -> None:
        model = self.model()
        model.towers.requires_grad_(False)
        for term in self.make().loss(self.view(self.batch(tiny.EMPTY)), Forward(model)).values():
            assert term.sum.requires_grad

    def test_it_repeats_under_its_seed(self) -> None:
        first = self.terms(self.everything)
        assert_same(self.terms(self.everything), first, rtol=0.0)
        if self.draws:
            others = [self.terms(self.everything, Noise(seed, epoch)) for seed, epoch in ((3, 1), (4, 0))]
            for other in others:
                assert any(not torch.equal(term.sum, first[name].sum) for name, term in other.items())

    def test_records_are_coupled_as_it_says(self) -> None:
        whole = self.terms(self.everything)
        parts = [self.terms(self.batch(row)) for row in range(len(tiny.RECORDS))]
        for name, term in whole.items():
            assert term.count == sum(part[name].count or 0 for part in parts), name
            total = torch.stack([part[name].sum for part in parts]).sum()
            added_up = torch.allclose(total, term.sum, rtol=1e-4, atol=1e-4)
            assert added_up == (self.make().couples == "sample"), name

    def test_the_baseline_is_that_of_a_constant_predictor(self) -> None:
        batch = self.everything
        terms, constant = self.terms(batch), self.constant(self.view(batch))
        assert set(constant) == {name for name, term in terms.items() if term.baseline is not None}
        for name, expected in constant.items():
            assert terms[name].baseline == pytest.approx(expected, abs=1e-5), name
            assert terms[name].floor <= expected + 1e-6, name

    @pytest.fixture(scope="class")
    def overfitted(self) -> tuple[KeptModel, View]:
        """A model after some hundred steps on four records with fixed noise."""
        model, objective, view = self.model(), self.make(), self.view(self.batch(*self.four))
        objective.attach(model)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for _ in range(300):
            terms = objective.loss(view, Forward(model)).values()
            total = sum(term.sum / max(1, term.count or 1) for term in terms)
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            objective.after_step(model)
            if any(term.baseline is not None for term in terms) and all(
                _share_above_floor(term) < 0.02 for term in terms
            ):
                break
        return model, view

    def test_four_records_are_learned_by_heart(self, overfitted: tuple[KeptModel, View]) -> None:
        model, view = overfitted
        for name, term in self.make().loss(view, Forward(model)).items():
            assert term.count, name
            assert _share_above_floor(term) <= 0.05, (
                name,
                float(term.sum.detach()) / term.count,
                term.baseline,
                term.floor,
            )

    def test_gradients_reach_every_head(self, overfitted: tuple[KeptModel, View]) -> None:
        model, view = overfitted
        model.zero_grad()
        sum(term.sum for term in self.make().loss(view, Forward(model)).values()).backward()
        for head in self.heads:
            parameters = list(model.get_submodule(head).named_parameters())
            assert parameters, head
            for name, parameter in parameters:
                assert parameter.grad is not None, f"{head}.{name}"
                assert parameter.grad.isfinite().all(), f"{head}.{name}"
                assert parameter.grad.abs().max() > ROUNDING, f"{head}.{name}"

    @pytest.mark.slow
    def test_real_records_teach_it_more_than_a_constant(self, real_records: RealRecords) -> None:
        for name, values in train_on(real_records, self.make()).items():
            assert values.mean < values.baseline, name


def _share_above_floor(term: Any) -> float:
    """How far a term's mean lies above its floor, as a share of the way to its baseline."""
    if not term.count or term.baseline is None or term.baseline - term.floor < 1e-6:
        return 0.0
    return (float(term.sum.detach()) / term.count - term.floor) / (term.baseline - term.floor)
