"""The random search: never worse than no search, repeatable, within its time, and resumed."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from kg.embedding import FitConfig
from kg.embedding.tune import TuneResult, draws, tune
from kg.errors import InputError
from tests.kg.embedding.contract import ENTITIES, RELATIONS, random_facts

GIVEN = {"scorer": "complex", "dim": 8, "epochs": 3, "valid_every": 1, "seed": 0}


def searched(given: dict[str, Any] | None = None, **more: Any) -> TuneResult:
    facts = random_facts(60)
    return tune(facts[5:], ENTITIES, RELATIONS, given or GIVEN, valid=facts[:5], **{"minutes": 0.02, **more})


def test_the_best_trial_is_kept_and_the_given_settings_are_one_of_them() -> None:
    result = searched(minutes=0.1)
    assert len(result.trials) > 1
    assert [trial.valid_mrr for trial in result.trials] == sorted(
        (trial.valid_mrr for trial in result.trials), reverse=True
    )
    assert GIVEN in [trial.settings for trial in result.trials]
    assert max(row["valid_mrr"] for row in result.best.history) == result.trials[0].valid_mrr
    assert result.config.dim == 8


@pytest.mark.parametrize("scorer", ["complex", "transe", "conve"])
def test_draws_repeat_and_leave_what_is_given(scorer: str) -> None:
    given = {"scorer": scorer, "lr": 0.5, "seed": 3}
    base = FitConfig.parse(given)
    first, second = (list(itertools.islice(draws(base, given), 20)) for _ in range(2))
    assert first == second
    assert all(settings["lr"] == 0.5 for settings in first)
    assert len({settings.get("batch") for settings in first}) > 2
    for settings in first:
        FitConfig.parse(settings)
    assert first[1:] != list(itertools.islice(draws(FitConfig.parse({**given, "seed": 4}), given), 1, 20))


def test_a_loss_that_leaves_all_bounds_is_a_trial_that_failed() -> None:
    with pytest.raises(InputError, match="the loss left all bounds in every trial"):
        searched({**GIVEN, "lr": 1e30, "optimizer": "adam"}, minutes=0.005)


def test_an_interrupted_search_goes_on(tmp_path: Path) -> None:
    seen = []
    whole = searched(folder=tmp_path / "search", on_trial=lambda trial: seen.append(trial.settings))
    again = []
    resumed = searched(
        folder=tmp_path / "search", resume=True, minutes=1e-9, on_trial=lambda trial: again.append(trial.settings)
    )
    assert again == seen
    assert resumed.trials[0].valid_mrr == pytest.approx(whole.trials[0].valid_mrr)
    with pytest.raises(InputError, match=r"trials\.json: is of a search with other settings"):
        searched({**GIVEN, "dim": 16}, folder=tmp_path / "search", resume=True)


def test_a_search_needs_validation() -> None:
    with pytest.raises(InputError, match="valid: a search needs validation facts"):
        tune(random_facts(), ENTITIES, RELATIONS, GIVEN, valid=random_facts()[:0], minutes=1)
