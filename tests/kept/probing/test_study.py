from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from kept.probing.rows import Figure, select
from kept.probing.run import Outcome
from kept.probing.study import ARMS, Study, known, verdict

N = 120


def outcome(right: dict[str, float], *, task: str = "facts", seed: int = 0, route: str = "answer") -> Outcome:
    """N items a split, of which a share is answered right; relations alternate."""
    splits = np.repeat(list(right), N)
    ids = np.array([f"{task}/{split}/{n}" for split in right for n in range(N)])
    rng = np.random.default_rng(seed)
    better = np.concatenate([(rng.permutation(N) >= round(share * N)).astype(int) * 4 for share in right.values()])
    relations = np.tile(["capital", "border"], N * len(right) // 2)
    slices = np.where(splits == "D", np.tile(["inferable", "other", "other", "other"], len(ids) // 4), "")
    return Outcome(task, route, ids, splits, slices, relations, better, np.ones_like(better), np.full_like(better, 50))


def study(arms: dict[str, Sequence[dict[str, float]]], model: str = "demo") -> Study:
    made = Study(draws=400)
    for arm, seeds in arms.items():
        for seed, right in enumerate(seeds):
            made.add(arm, seed, {"answer": outcome(right, seed=seed)}, model=model)
    return made


def test_rows_are_means_with_their_counts() -> None:
    rows = study({"text": [{"A": 1.0, "B-test": 0.1}, {"A": 1.0, "B-test": 0.2}]}).figures()
    [total] = select(rows, split="B-test", relation=None, metric="p@1")
    assert total.value == pytest.approx(0.15)
    assert total.low is not None and total.high is not None and total.low < 0.15 < total.high
    assert (total.n, total.seeds, total.arm, total.model) == (N, (0, 1), "text", "demo")
    by_relation = [row for row in select(rows, split="B-test", metric="p@1") if row.relation]
    assert {row.relation: row.n for row in by_relation} == {"capital": N // 2, "border": N // 2}
    assert np.mean([row.value for row in by_relation]) == pytest.approx(0.15)
    [macro] = select(rows, split="B-test", metric="macro p@1")
    assert macro.value == pytest.approx(0.15)
    [mrr] = select(rows, split="B-test", metric="mrr")
    assert mrr.value == pytest.approx(0.15 + 0.85 / 5)


def test_slices_have_rows_of_their_own() -> None:
    rows = study({"text": [{"A": 1.0, "D": 0.2}]}).figures()
    cut = {row.split: row for row in rows if "/" in row.split}
    assert {split: row.n for split, row in cut.items()} == {"D/inferable": N // 4, "D/other": 3 * N // 4}
    assert (cut["D/inferable"].value + 3 * cut["D/other"].value) / 4 == pytest.approx(0.2)


def compared(arms: dict[str, Sequence[dict[str, float]]], first: str, second: str) -> tuple[Figure, str]:
    made = study(arms)
    differences = made.differences(first, [second])
    [row] = select(differences, split="B-test")
    return row, verdict(made.figures() + differences, row)


KNOWN, WEAK = {"A": 1.0, "B-test": 0.1}, {"A": 0.9, "B-test": 0.1}
STRONG = {"A": 0.99, "B-test": 0.95}


def test_a_win_needs_an_interval_outside_zero() -> None:
    row, said = compared({"fused": [STRONG] * 3, "text": [KNOWN] * 3}, "fused", "text")
    assert (row.arm, row.metric, said) == ("fused vs text", "p@1 difference", "higher")
    assert row.value == pytest.approx(0.85, abs=0.01)
    assert compared({"fused": [KNOWN], "text": [STRONG]}, "fused", "text")[1] == "lower"
    assert compared({"fused": [KNOWN], "text": [KNOWN]}, "fused", "text")[1] == "no difference"


@pytest.mark.parametrize("arms", [("fused", "text"), ("text", "fused")])
def test_no_win_against_an_arm_that_does_not_know_what_it_was_trained_on(arms: tuple[str, str]) -> None:
    _, said = compared({"fused": [STRONG], "text": [WEAK]}, *arms)
    assert said == "not comparable: A = 0.900 (text)"


def test_an_arm_without_a_is_not_comparable() -> None:
    _, said = compared({"fused": [STRONG], "text": [{"B-test": 0.1}]}, "fused", "text")
    assert said == "not comparable: A = unknown (text)"


def test_floors_and_switches_have_no_gate_of_their_own() -> None:
    assert compared({"fused": [STRONG], "graph-alone": [WEAK]}, "fused", "graph-alone")[1] == "higher"
    assert compared({"fused": [STRONG], "off": [WEAK]}, "fused", "off")[1] == "higher"
    assert compared({"fused": [WEAK], "chance": [WEAK]}, "fused", "chance")[1].startswith("not comparable")


def test_routes_are_compared_with_their_own_kind() -> None:
    made = Study(draws=200)
    for arm, shares in (("fused", (0.9, 0.2)), ("text", (0.1, 0.15))):
        routes = zip(("entities", "tokens"), shares, strict=True)
        made.add(arm, 0, {r: outcome({"A": 1.0, "B-test": share}, route=r) for r, share in routes}, model="demo")
    made.add("majority", 0, {"answer": outcome({"A": 0.1, "B-test": 0.1})}, model="floor")
    rows = select(made.differences("fused", ["text", "majority"]), split="B-test")
    values = {(row.arm, row.model): row.value for row in rows}
    assert values["fused vs text", "demo:entities"] == pytest.approx(0.8, abs=0.01)
    assert values["fused vs text", "demo:tokens"] == pytest.approx(0.05, abs=0.01)
    assert values["fused vs majority", "demo:entities"] == pytest.approx(0.8, abs=0.01)
    assert known(made.figures(), "fused", "demo:tokens") == 1.0
    assert known(made.figures(), "fused", "another") is None


def test_the_arms_of_the_design_are_all_named() -> None:
    named = "text, text-params, text-steps, fused, shuffled, random-graph, random-vectors, verbalised, off, swapped"
    assert set(f"{named}, graph-alone, majority, chance".split(", ")) <= set(ARMS)
