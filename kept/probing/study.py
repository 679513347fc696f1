"""Arms x splits x seeds: figures with intervals, differences between arms, and when a difference may be called one.

An arm that does not know the facts it was trained on (part A) lost for want of training, not of knowledge. So each
trained arm shows its A, and a difference with an arm whose A is below `GATE` is never called higher or lower.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kept.probing.bootstrap import DRAWS, Interval, Sample, difference, intervals
from kept.probing.rows import Figure
from kept.probing.run import Outcome
from kept.probing.scorers import ANSWER
from kept.probing.tasks import TASKS

GATE = 0.98
GATE_TASK, GATE_SPLIT, GATE_METRIC = "facts", "A", "p@1"
DIFFERENCE, VERSUS, MACRO, SLICE = " difference", " vs ", "macro ", "/"

TRAINED = {
    "text": "text alone",
    "text-params": "text alone, with as many parameters as fused (a trainable table)",
    "text-steps": "text alone, twice the steps",
    "fused": "text, with the graph's vectors",
    "shuffled": "text, with the vectors dealt to wrong entities of the same type",
    "random-graph": "text, with vectors of a graph whose facts were drawn at random",
    "random-vectors": "text, with random vectors",
    "verbalised": "text, and the graph's facts as sentences",
}
UNTRAINED = {
    "off": "the fused model with its knowledge switched off",
    "swapped": "the fused model after facts of the graph changed",
    "swapped-scratch": "the same, with vectors fitted from scratch: the control",
    "graph-alone": "the vectors without a model, told subject and relation",
    "majority": "the most frequent answer in training",
    "chance": "guessing",
}
ARMS = TRAINED | UNTRAINED
"""What each arm is, in the order of tables."""


@dataclass(frozen=True)
class Run:
    """What one model of one arm and seed answered to one task by one route."""

    arm: str
    seed: int
    model: str
    outcome: Outcome


@dataclass
class Study:
    """Collects outcomes and makes rows of them.

    >>> study = Study()
    >>> study.figures()
    []
    """

    runs: list[Run] = field(default_factory=list)
    draws: int = DRAWS

    def add(self, arm: str, seed: int, outcomes: Mapping[str, Outcome], *, model: str) -> None:
        """Take in what `evaluate` gave for one task, all routes."""
        for route, outcome in outcomes.items():
            name = model if route == ANSWER else f"{model}:{route}"
            self.runs.append(Run(arm, seed, name, outcome))

    def figures(self) -> list[Figure]:
        """All totals and, for each task's headline metric, the macro mean, every relation and every slice."""
        rows = []
        for (task, split), runs in self._parts().items():
            headline, *others = TASKS[task].metrics
            for (arm, model), own in _by_model(runs).items():
                sample = _sample(own, split, headline)
                found = intervals(sample, draws=self.draws)
                about = (task, split, None, arm, model)
                rows.append(_figure(*about, headline, found.micro, sample))
                for metric in others:
                    other = _sample(own, split, metric)
                    rows.append(_figure(*about, metric, intervals(other, draws=self.draws).micro, other))
                for part in dict.fromkeys(own[0].outcome.slices[own[0].outcome.splits == split].tolist()):
                    if part:
                        cut = _sample(own, split, headline, part)
                        bounds = intervals(cut, draws=self.draws).micro
                        rows.append(_figure(task, split + SLICE + part, None, arm, model, headline, bounds, cut))
                if len(found.within) > 1:
                    rows.append(_figure(*about, MACRO + headline, found.macro, sample))
                for relation, bounds in found.within.items():
                    if relation:
                        facts = sample.of(sample.facts[sample.relations == relation])
                        rows.append(_figure(task, split, relation, arm, model, headline, bounds, facts))
        return rows

    def differences(self, arm: str, others: Iterable[str]) -> list[Figure]:
        """One row for each task, split, route and other arm: how much higher the headline metric is in `arm`.

        An arm is compared by the same route where the other has it, else by the other's first.
        """
        rows = []
        for (task, split), runs in self._parts().items():
            models = _by_model(runs)
            for (own, model), mine in models.items():
                for other in others if own == arm else ():
                    rival = _same_route(model, [name for name_arm, name in models if name_arm == other])
                    if rival is None:
                        continue
                    metric = TASKS[task].metrics[0]
                    one, two = _sample(mine, split, metric), _sample(models[other, rival], split, metric)
                    found = difference(one, two, draws=self.draws).micro
                    name = f"{arm}{VERSUS}{other}"
                    rows.append(_figure(task, split, None, name, model, metric + DIFFERENCE, found, one))
        return rows

    def _parts(self) -> dict[tuple[str, str], list[Run]]:
        """(task, split) -> its runs; arms of one part follow each other, for they share resamples."""
        parts: defaultdict[tuple[str, str], list[Run]] = defaultdict(list)
        for run in self.runs:
            for split in dict.fromkeys(run.outcome.splits.tolist()):
                parts[run.outcome.task, split].append(run)
        return parts


def _by_model(runs: Sequence[Run]) -> dict[tuple[str, str], list[Run]]:
    models: defaultdict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        models[run.arm, run.model].append(run)
    return models


def _sample(runs: Sequence[Run], split: str, metric: str, part: str | None = None) -> Sample:
    """One metric of one arm on a split, or on a slice of it."""
    parts = []
    for run in sorted(runs, key=lambda run: run.seed):
        keep = run.outcome.splits == split
        own = run.outcome.of(keep if part is None else keep & (run.outcome.slices == part))
        parts.append((run.seed, own.values(metric), own.ids, own.relations))
    return Sample.stack(parts)


def _same_route(model: str, names: Sequence[str]) -> str | None:
    route = model.partition(":")[2]
    return next((name for name in names if name.partition(":")[2] == route), names[0] if names else None)


def _figure(
    task: str,
    split: str,
    relation: str | None,
    arm: str,
    model: str,
    metric: str,
    found: Interval,
    sample: Sample,
) -> Figure:
    value, low, high = (round(bound, 6) for bound in found)
    return Figure(task, split, relation, arm, model, metric, value, low, high, len(sample.facts), sample.seeds)


def known(rows: Iterable[Figure], arm: str, model: str) -> float | None:
    """The A of an arm: how many of the facts it was trained on it gives back; None where that was not asked.

    The least over its seeds would be stricter; the mean is what the table shows.
    """
    wanted = (GATE_TASK, GATE_SPLIT, None, arm, model, GATE_METRIC)
    for row in rows:
        if (row.task, row.split, row.relation, row.arm, row.model, row.metric) == wanted:
            return row.value
    return None


def verdict(rows: Sequence[Figure], row: Figure) -> str:
    """What a difference says: "higher", "lower", "no difference", or "not comparable: A = ..." with the arm's name.

    Only an interval outside 0 is a difference, and only between arms that know what they were trained on.
    """
    for arm in row.arm.split(VERSUS):
        if arm in TRAINED:
            models = [row.model, *dict.fromkeys(other.model for other in rows if other.arm == arm)]
            model = _same_route(row.model, [name for name in models if known(rows, arm, name) is not None])
            level = known(rows, arm, model) if model else None
            if level is None or level < GATE:
                return f"not comparable: A = {'unknown' if level is None else f'{level:.3f}'} ({arm})"
    if row.low is not None and row.low > 0:
        return "higher"
    if row.high is not None and row.high < 0:
        return "lower"
    return "no difference"
