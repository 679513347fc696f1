from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from kept.probing.items import AnswerSpace, ProbeItem, ProbeSet
from kept.probing.run import evaluate
from kept.probing.scores import ScoreStore
from kept.probing.tasks import TASKS
from tests.kept.probing.worlds import Guesser, make_world


@pytest.fixture(scope="module")
def probe() -> ProbeSet:
    return TASKS["facts"]().build(make_world())


class Killed(Guesser):
    """Dies after some items."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.after = after

    def score(self, items: Sequence[ProbeItem], spaces: Mapping[str, AnswerSpace]) -> dict[str, list[np.ndarray]]:
        if self.calls >= self.after:
            raise KeyboardInterrupt
        return super().score(items, spaces)


def same(one: object, other: object) -> bool:
    pairs = zip(vars(one).items(), vars(other).items(), strict=True)
    return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for (_, a), (_, b) in pairs)


def test_a_killed_run_goes_on_and_ends_alike(probe: ProbeSet, tmp_path: Path) -> None:
    whole = evaluate(Guesser(), probe, ScoreStore(tmp_path / "whole"), batch=4)
    with pytest.raises(KeyboardInterrupt):
        evaluate(Killed(after=8), probe, ScoreStore(tmp_path / "killed"), batch=4)
    rest = Guesser()
    resumed = evaluate(rest, probe, ScoreStore(tmp_path / "killed"), batch=4)
    assert 0 < rest.calls < len(probe.items)
    assert all(same(resumed[route], whole[route]) for route in Guesser.routes)
    again = Guesser()
    evaluate(again, probe, ScoreStore(tmp_path / "killed"))
    assert again.calls == 0


def test_the_batch_size_changes_nothing(probe: ProbeSet, tmp_path: Path) -> None:
    small, large = (evaluate(Guesser(), probe, ScoreStore(tmp_path / str(n)), batch=n) for n in (1, 1000))
    assert all(same(small[route], large[route]) for route in Guesser.routes)


def test_another_scorer_is_asked_anew(probe: ProbeSet, tmp_path: Path) -> None:
    store = ScoreStore(tmp_path / "scores")
    one, other = evaluate(Guesser(0), probe, store), evaluate(Guesser(1), probe, store)
    assert not np.array_equal(one["tokens"].better, other["tokens"].better)


class Broken:
    """Gives what it must not."""

    fingerprint, routes = "broken", ("answer",)

    def __init__(self, wrong: str) -> None:
        self.wrong = wrong

    def score(self, items: Sequence[ProbeItem], spaces: Mapping[str, AnswerSpace]) -> dict[str, list[np.ndarray]]:
        arrays = [np.zeros(len(item.space(spaces).candidates)) for item in items]
        if self.wrong == "nan":
            arrays[0][0] = np.nan
        if self.wrong == "short":
            arrays[0] = arrays[0][1:]
        return {"answer" if self.wrong != "route" else "other": arrays}


@pytest.mark.parametrize(("wrong", "message"), [("nan", "is NaN"), ("short", "scores for its"), ("route", "promised")])
def test_wrong_scores_are_refused_and_not_kept(probe: ProbeSet, tmp_path: Path, wrong: str, message: str) -> None:
    store = ScoreStore(tmp_path / "scores")
    with pytest.raises(ValueError, match=message):
        evaluate(Broken(wrong), probe, store)
    assert len(store) == 0
