"""Settings, and what is said about wrong ones."""

from __future__ import annotations

import pytest

from kg.embedding import FitConfig
from kg.errors import InputError


def test_what_is_not_given_suits_scorer_and_encoder() -> None:
    assert FitConfig().scorer == "complex"
    assert FitConfig(scorer="rotate").mode == "negatives"
    assert FitConfig(scorer="rotate", mode="1vsall").mode == "1vsall"
    assert FitConfig(encoder="rgcn").optimizer == "adam"


def test_settings_come_over_values_and_reach_into_groups() -> None:
    config = FitConfig.parse({"dim": 8, "lr": 0.1}, ["lr=1e-3", "encoder_options.dropout=1e-1", "encoder = rgcn"])
    assert (config.dim, config.lr, config.encoder, config.encoder_options) == (8, 1e-3, "rgcn", {"dropout": 0.1})


def test_a_config_survives_json() -> None:
    config = FitConfig(scorer="transe", scorer_options={"distance": "l1"}, minutes=2.5)
    assert FitConfig(**config.model_dump(mode="json")) == config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["epoch=3"], "no setting is called 'epoch'; did you mean 'epochs'"),
        (["lr=-1"], "lr = -1: .*greater than 0"),
        (["dim=many"], "dim = 'many': .*integer"),
        (["scorer=complx"], "no scorer is called 'complx'; did you mean 'complex'"),
        (["encoder=gnc"], "no encoder is called 'gnc'; did you mean"),
        (["optimizer=sgd"], "optimizer = 'sgd'"),
        (["dim=[1"], r"--set dim=\[1: the value cannot be read"),
        (["dim"], "--set dim: expected KEY=VALUE"),
        (["scorer_options=3"], "scorer_options = 3"),
    ],
)
def test_a_wrong_setting_is_named(settings: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FitConfig.parse({}, settings)
