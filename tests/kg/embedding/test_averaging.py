"""The running average of weights: its formula worked by hand, and what a fit makes of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kg.embedding import FitConfig, fit, rank
from kg.embedding.averaging import average_weights, weights_of
from kg.embedding.scorers.norm import BatchNorm
from tests.kg.embedding.contract import ENTITIES, RELATIONS, random_facts


def averaged(values: list[float], decay: float) -> float:
    model = torch.nn.Linear(1, 1, bias=False)
    average: dict[str, torch.Tensor] = {}
    for count, value in enumerate(values, start=1):
        torch.nn.init.constant_(model.weight, value)
        average_weights(average, model, decay, count)
    return average["weight"].item()


@pytest.mark.parametrize(
    ("values", "decay", "expected"),
    [
        ([5.0], 0.9, 5.0),
        ([0.0, 11.0], 0.9, 9.0),  # c_2 = 2/11
        ([0.0, 11.0, 1.0], 0.9, 9 * 3 / 12 + 9 / 12),  # c_3 = 3/12
        ([0.0, 11.0, 1.0], 0.1, (0.9 * 11) * 0.1 + 0.9),  # the decay from the second update on
    ],
)
def test_the_average_is_the_one_worked_by_hand(values: list[float], decay: float, expected: float) -> None:
    assert averaged(values, decay) == pytest.approx(expected)


def test_running_statistics_are_averaged_and_counts_are_not() -> None:
    norm = BatchNorm(2)
    average: dict[str, torch.Tensor] = {}
    for count in (1, 2):
        mean = torch.full((2,), 11.0 * (count - 1))
        norm.load_state_dict({**norm.state_dict(), "running_mean": mean, "num_batches_tracked": torch.tensor(count)})
        average_weights(average, norm, 0.9, count)
    assert average["running_mean"].tolist() == pytest.approx([9.0, 9.0])
    assert average["num_batches_tracked"].item() == 2


def test_weights_are_put_back_even_after_an_error() -> None:
    model = torch.nn.Linear(2, 2)
    before = model.weight.clone()
    with pytest.raises(ZeroDivisionError), weights_of(model, {k: v + 1 for k, v in model.state_dict().items()}):
        assert torch.equal(model.weight, before + 1)
        raise ZeroDivisionError
    assert torch.equal(model.weight, before)


def test_a_fit_keeps_the_average_of_its_epochs() -> None:
    """One epoch more adds the last weights to the average of those before; the steps themselves do not change."""

    def weights(epochs: int, average: float) -> torch.Tensor:
        config = FitConfig(dim=8, epochs=epochs, batch=8, average=average)
        return fit(random_facts(), ENTITIES, RELATIONS, config).model.entities.detach()

    raw = [weights(epochs, 0.0) for epochs in (1, 2, 3)]
    two = raw[0] * 2 / 11 + raw[1] * 9 / 11
    torch.testing.assert_close(weights(2, 0.9), two)
    torch.testing.assert_close(weights(3, 0.9), two * 3 / 12 + raw[2] * 9 / 12)


def test_validation_judges_the_average_and_training_goes_on_without_it() -> None:
    facts, valid = random_facts(), random_facts()[:5]
    config = FitConfig(dim=8, epochs=4, batch=8, valid_every=2)
    plain, result = (
        fit(facts, ENTITIES, RELATIONS, config.model_copy(update={"average": decay}), valid=valid)
        for decay in (0.0, 0.9)
    )
    assert [row["loss"] for row in result.history] == [row["loss"] for row in plain.history]
    best = max(row["valid_mrr"] for row in result.history if "valid_mrr" in row)
    assert rank(result.model, valid, np.concatenate([facts, valid])).mrr() == pytest.approx(best)
