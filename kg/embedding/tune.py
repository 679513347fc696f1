"""Random search for the settings of a fit within a time budget."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kg.embedding.build import options_of
from kg.embedding.config import FitConfig
from kg.embedding.fit import FitResult, fit
from kg.embedding.scorers import SCORERS
from kg.errors import Diverged, InputError
from kg.progress import progress
from kg.storage import read_json, write_json

TRIALS_IN_BUDGET = 12
"""A trial may take this part of the budget, so that there are some to choose from."""
LEDGER = "trials.json"
Draw = Callable[[np.random.Generator], Any]


def log_uniform(low: float, high: float) -> Draw:
    """A number whose logarithm is uniform, with two digits."""
    return lambda generator: float(f"{math.exp(generator.uniform(math.log(low), math.log(high))):.2g}")


def choice(*values: Any) -> Draw:
    """One of some values."""
    return lambda generator: values[int(generator.integers(len(values)))]


SPACE: Mapping[str, Draw] = {
    "batch": choice(128, 256, 512, 1024),
    "init_std": choice(0.001, 0.01, 0.1),
    "dropout": choice(0.0, 0.0, 0.1, 0.2, 0.3, 0.4),
    "relation_dropout": choice(0.0, 0.0, 0.1, 0.2),
}
PRODUCTS: Mapping[str, Draw] = {"mode": choice("1vsall", "1vsall", "kvsall"), "n3": log_uniform(1e-3, 0.2)}
DISTANCES: Mapping[str, Draw] = {
    "mode": choice("negatives", "1vsall"),
    "margin": choice(1.0, 3.0, 6.0, 9.0, 12.0),
    "negatives": choice(32, 64, 128),
    "l2": choice(0.0, 1e-5, 1e-4, 1e-3),
}
OPTIMIZERS: Mapping[str, tuple[float, float]] = {"adagrad": (0.02, 0.3), "adam": (2e-4, 0.01)}


@dataclass(frozen=True)
class Trial:
    """Settings that were tried, and what came of them."""

    settings: dict[str, Any]
    valid_mrr: float
    epochs: int
    seconds: float


@dataclass
class TuneResult:
    """The best trial's fit and settings, and all trials, best first."""

    best: FitResult
    config: FitConfig
    trials: list[Trial] = field(default_factory=list)


def tune(
    triples: np.ndarray,
    num_entities: int,
    num_relations: int,
    given: Mapping[str, Any],
    *,
    valid: np.ndarray,
    minutes: float,
    known: np.ndarray | None = None,
    features: np.ndarray | None = None,
    folder: Path | None = None,
    resume: bool = False,
    on_trial: Callable[[Trial], None] | None = None,
) -> TuneResult:
    """Try random settings until the time is over and keep the fit that validates best.

    The first trial has the settings as given, so a search is never worse than none. Each gets at most a twelfth of the
    time and stops early. Draws depend on the seed and the number of the trial alone.

    Args:
        triples, num_entities, num_relations, known, features: as for `fit`.
        given: settings that are not searched, the scorer among them.
        valid: facts whose filtered MRR decides.
        minutes: the budget of all trials.
        folder: where trials are noted and checkpoints kept; with `resume`, trials that are noted are not done again.
        on_trial: called with each trial.

    Source: Bergstra & Bengio 2012, "Random Search for Hyper-Parameter Optimization".

    Raises:
        InputError: no validation facts, or whatever `fit` refuses of the given settings.
    """
    if not len(valid):
        raise InputError("valid: a search needs validation facts to choose by")
    base = FitConfig.parse(dict(given))
    noted = noted_trials(folder, given) if resume else {}
    ends = time.monotonic() + 60 * minutes - sum(trial["seconds"] for trial in noted.values())

    def run(config: FitConfig) -> FitResult:
        return fit(triples, num_entities, num_relations, config, valid=valid, known=known, features=features)

    best: tuple[FitResult, FitConfig] | None = None
    best_mrr = -1.0
    trials: list[Trial] = []
    with progress() as display:
        bar = display.add_task("searching", total=None)
        for number, settings in enumerate(draws(base, given)):
            left, name = ends - time.monotonic(), key_of(settings)
            if trials and left <= 0 and name not in noted:
                break
            share = max(0.02, min(left / 60, minutes / TRIALS_IN_BUDGET))
            config = FitConfig.parse({**settings, "minutes": share, "epochs": settings.get("epochs", 10_000)})
            if name in noted and noted[name]["valid_mrr"] <= best_mrr:
                trial, fitted = Trial(**noted[name]), None
            else:
                trial, fitted = attempt(config, settings, run)
            if fitted is not None and trial.valid_mrr > best_mrr:
                best, best_mrr = (fitted, config), trial.valid_mrr
            trials.append(trial)
            noted[name] = vars(trial)
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                write_json(folder / LEDGER, {"given": dict(given), "trials": noted})
            text = f"trial {number + 1}: valid MRR {trial.valid_mrr:.3f}, best {max(0.0, best_mrr):.3f}"
            display.update(bar, description=text)
            if on_trial is not None:
                on_trial(trial)
    if best is None:
        raise InputError("the loss left all bounds in every trial; lower what is given as lr")
    return TuneResult(*best, sorted(trials, key=lambda trial: -trial.valid_mrr))


def attempt(
    config: FitConfig, settings: dict[str, Any], run: Callable[[FitConfig], FitResult]
) -> tuple[Trial, FitResult | None]:
    """One fit; settings under which the loss leaves all bounds are a trial that failed, not the end of the search."""
    started = time.monotonic()
    try:
        fitted = run(config)
    except Diverged:
        return Trial(settings, 0.0, 0, time.monotonic() - started), None
    best = max((row["valid_mrr"] for row in fitted.history if "valid_mrr" in row), default=0.0)
    return Trial(settings, best, len(fitted.history), time.monotonic() - started), fitted


def draws(base: FitConfig, given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Settings without end: those given, then those given with random others."""
    yield dict(given)
    scorer = SCORERS[base.scorer]
    product = scorer.defaults.get("mode") != "negatives"
    space = {**SPACE, **(PRODUCTS if product else DISTANCES)}
    number = 0
    while True:
        number += 1
        generator = np.random.default_rng((base.seed, number))
        optimizer = given.get("optimizer") or choice(*OPTIMIZERS)(generator)
        drawn = {name: draw(generator) for name, draw in space.items()}
        drawn |= {"optimizer": optimizer, "lr": log_uniform(*OPTIMIZERS[optimizer])(generator)}
        if base.encoder != "none":
            drawn.pop("init_std")
        if "distance" in options_of(scorer):
            options = {"distance": choice("l1", "l2", "squared")(generator), **given.get("scorer_options", {})}
            drawn["scorer_options"] = options
        yield {**drawn, **given}


def key_of(settings: Mapping[str, Any]) -> str:
    """A name for settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def noted_trials(folder: Path | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The trials of an interrupted search with the same settings given."""
    if folder is None or not (folder / LEDGER).exists():
        return {}
    ledger = read_json(folder / LEDGER)
    if ledger["given"] != json.loads(json.dumps(dict(given))):
        raise InputError(f"{folder / LEDGER}: is of a search with other settings; remove it or choose another --out")
    trials: dict[str, Any] = ledger["trials"]
    return trials
