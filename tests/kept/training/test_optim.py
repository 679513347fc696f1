"""Rates by part, frozen parts, and the schedule."""

from __future__ import annotations

import math

import pytest
from torch import nn

from kept.training.optim import check_prefixes, make_optimizer, named_trainable, one_cycle, set_rates
from kg.errors import InputError


def network() -> nn.ModuleDict:
    towers = nn.ModuleDict({"text": nn.Embedding(3, 2), "textual": nn.Linear(2, 2)})
    return nn.ModuleDict({"towers": towers, "head": nn.Linear(2, 2)})


def test_the_longest_prefix_gives_the_rate_and_vectors_do_not_decay() -> None:
    rates = {"default": 1.0, "towers": 2.0, "towers.text": 3.0}
    parameters = named_trainable([("", network())], ())
    optimizer = make_optimizer(parameters, rates, weight_decay=0.5)
    names = {id(parameter): name for name, parameter in parameters}
    found = {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert found == {
        "towers.text.weight": (3.0, 0.5),
        "towers.textual.weight": (2.0, 0.5),
        "towers.textual.bias": (2.0, 0.0),
        "head.weight": (1.0, 0.5),
        "head.bias": (1.0, 0.0),
    }
    set_rates(optimizer, 0.1)
    assert {round(group["lr"], 6) for group in optimizer.param_groups} == {0.1, 0.2, 0.3}


def test_frozen_parts_ask_for_no_gradient_until_they_are_thawed() -> None:
    model = network()
    assert [name for name, _ in named_trainable([("", model)], ["towers.text", "head"])] == [
        "towers.textual.weight",
        "towers.textual.bias",
    ]
    assert not model["head"].weight.requires_grad
    assert len(named_trainable([("", model)], ())) == 5
    assert model["head"].weight.requires_grad


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ("tower", "freeze: no part of the model is called 'tower'; did you mean 'towers'?"),
        ("towers.txt", "freeze: no part of the model is called 'towers.txt'; did you mean 'towers.text'?"),
        ("encoder", "freeze: no part of the model is called 'encoder'; choose from head, towers"),
    ],
)
def test_a_prefix_of_nothing_is_refused(prefix: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        check_prefixes("freeze", ["towers.text", prefix], [("", network())])
    assert str(caught.value) == message


def test_the_schedule_rises_and_falls() -> None:
    factors = [one_cycle(step, 100, 0.1) for step in range(100)]
    assert factors[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    for step in range(10, 100):
        assert factors[step] == pytest.approx(0.5 * (1 + math.cos(math.pi * (step - 10) / 89)))
    assert max(factors) == 1.0
    assert factors[-1] == pytest.approx(0.0, abs=1e-12)
    assert one_cycle(0, 1, 0.1) == 1.0
