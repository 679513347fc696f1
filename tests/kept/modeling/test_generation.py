"""Decoding against the enumeration of a small language."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from kept.data.noise import Noise
from kept.modeling.generation import Hypothesis, Limits, beam_search, greedy, nucleus

VOCABULARY, END = 4, 3
START = torch.tensor([[0], [1], [2], [0]])


def language(seed: int) -> Tensor:
    """(rows, V, V, V): the next piece by row and the two last pieces."""
    logits = 1.5 * torch.randn(len(START), *[VOCABULARY] * 3, generator=torch.Generator().manual_seed(seed))
    return logits.log_softmax(-1)


def markov(table: Tensor):
    def step(prefixes: Tensor, rows: Tensor) -> Tensor:
        before = prefixes[:, -2] if prefixes.shape[1] > 1 else torch.full_like(rows, END)
        return table[rows, before, prefixes[:, -1]]

    return step


def repeats(ids: list[int], n: int) -> bool:
    runs = [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]
    return n > 0 and len(set(runs)) < len(runs)


def all_of(table: Tensor, row: int, max_length: int, penalty: float, least: int = 0, n: int = 0) -> list[Hypothesis]:
    """Every continuation that keeps to the rules, best first."""
    found = []
    for length in range(max_length + 1):
        for ids in itertools.product(range(VOCABULARY - 1), repeat=length):
            ended = length < max_length
            if (ended and length < least) or repeats([*START[row].tolist(), *ids], n):
                continue
            whole = [END, int(START[row, 0]), *ids, *([END] if ended else [])]
            total = sum(float(table[row, a, b, c]) for a, b, c in zip(whole, whole[1:], whole[2:], strict=False))
            score = total / (length + ended) ** penalty
            found.append(Hypothesis(list(ids), total, score, ended))
    return sorted(found, key=lambda one: -one.score)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize(("least", "n"), [(0, 0), (2, 0), (0, 2), (1, 3)])
def test_a_wide_beam_finds_the_whole_language(seed: int, penalty: float, least: int, n: int) -> None:
    table = language(seed)
    found = beam_search(
        markov(table), START, end_id=END, max_length=4, beams=200, length_penalty=penalty, min_length=least, no_repeat=n
    )
    for row, hypotheses in enumerate(found):
        wanted = all_of(table, row, 4, penalty, least, n)
        assert [one.ids for one in hypotheses[:5]] == [one.ids for one in wanted[:5]]
        known = {(tuple(one.ids), one.ended): one for one in wanted}
        assert {(tuple(one.ids), one.ended) for one in hypotheses} == known.keys()
        for one in hypotheses:
            assert one.score == pytest.approx(known[tuple(one.ids), one.ended].score, abs=1e-4)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_one_beam_is_greedy(seed: int, penalty: float) -> None:
    step = markov(language(seed))
    beams = beam_search(step, START, end_id=END, max_length=6, beams=1, length_penalty=penalty, no_repeat=3)
    for [beam], plain in zip(beams, greedy(step, START, end_id=END, max_length=6, no_repeat=3), strict=True):
        assert beam.ids == plain.ids
        assert beam.ended == plain.ended
        assert beam.log_probability == pytest.approx(plain.log_probability, abs=1e-5)


@pytest.mark.parametrize("seed", range(4))
def test_greedy_by_plain_python(seed: int) -> None:
    table = language(seed)
    for row, found in enumerate(greedy(markov(table), START, end_id=END, max_length=6)):
        whole, total = [END, int(START[row, 0])], 0.0
        while len(whole) < 8 and (len(whole) == 2 or whole[-1] != END):
            best = int(table[row, whole[-2], whole[-1]].argmax())
            total += float(table[row, whole[-2], whole[-1], best])
            whole.append(best)
        assert found.ended == (whole[-1] == END)
        assert found.ids == (whole[2:-1] if found.ended else whole[2:])
        assert found.log_probability == pytest.approx(total, abs=1e-5)
        assert found.score == found.log_probability


@pytest.mark.parametrize("beams", [1, 2, 3])
def test_rows_do_not_disturb_each_other(beams: int) -> None:
    table = language(7)
    whole = beam_search(markov(table), START, end_id=END, max_length=5, beams=beams)
    for row in range(len(START)):
        alone = beam_search(markov(table[row : row + 1]), START[row : row + 1], end_id=END, max_length=5, beams=beams)
        assert alone[0] == whole[row]
        assert 1 <= len(whole[row]) <= beams


def test_the_score_is_the_probability_of_the_ids() -> None:
    table = language(8)
    for row, found in enumerate(beam_search(markov(table), START, end_id=END, max_length=5, beams=3)):
        known = {(tuple(one.ids), one.ended): one for one in all_of(table, row, 5, 1.0)}
        for one in found:
            assert one.score == pytest.approx(known[tuple(one.ids), one.ended].score, abs=1e-4)
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_a_long_prompt_counts_for_repeats_but_not_for_length() -> None:
    table = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    prompt = torch.tensor([[0, 0, 1, 0]])
    [found] = greedy(lambda prefixes, rows: table.expand(len(rows), 4), prompt, end_id=END, max_length=3, no_repeat=2)
    # Behind 0 neither 0 nor 1 may follow again: 2 does, then 0, and then it ends, as 0 2 is there too.
    assert found.ids == [2, 0]
    assert found.ended


def test_where_nothing_may_follow_it_ends() -> None:
    uniform = torch.full((1, 3), 1 / 3).log()
    found = greedy(
        lambda prefixes, rows: uniform, torch.tensor([[0]]), end_id=2, max_length=9, min_length=5, no_repeat=1
    )
    assert found == [Hypothesis([1], pytest.approx(2 * math.log(1 / 3)), pytest.approx(2 * math.log(1 / 3)), True)]
    [beam] = beam_search(
        lambda prefixes, rows: uniform, torch.tensor([[0]]), end_id=2, max_length=9, min_length=5, no_repeat=1
    )
    assert [one.ids for one in beam] == [[1]]


def test_it_ends_even_where_the_end_is_impossible() -> None:
    table = torch.tensor([[0.5, 0.5, 0.0]]).log()
    rules = {"end_id": 2, "max_length": 9, "no_repeat": 1}
    [found] = greedy(lambda prefixes, rows: table, torch.tensor([[0]]), **rules)
    [beam] = beam_search(lambda prefixes, rows: table.expand(len(rows), 3), torch.tensor([[0]]), beams=3, **rules)
    assert found.ids == [1]
    assert found.ended
    assert [one.ids for one in beam] == [[1]]


def test_impossible_pieces_stay_impossible() -> None:
    table = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]).log()
    [found] = beam_search(
        lambda prefixes, rows: table[prefixes[:, -1]], torch.tensor([[0]]), end_id=2, max_length=4, beams=9
    )
    assert [(one.ids, one.log_probability) for one in found] == [([1], 0.0)]


@pytest.mark.parametrize(("p", "temperature"), [(1.0, 1.0), (0.75, 1.0), (0.6, 2.0), (0.01, 1.0)])
def test_nucleus_frequencies(p: float, temperature: float) -> None:
    probabilities, times = torch.tensor([0.15, 0.4, 0.05, 0.3, 0.1], dtype=torch.float64), 20_000
    draws = Noise(1, 0).uniform(torch.arange(times), 1, "nucleus")
    logs = probabilities.log().expand(times, 5)
    found = nucleus(
        lambda prefixes, rows: logs[rows],
        torch.zeros(times, 1, dtype=torch.int64),
        end_id=4,
        draws=draws,
        p=p,
        temperature=temperature,
    )
    seen = torch.bincount(torch.tensor([one.ids[0] if one.ids else 4 for one in found]), minlength=5) / times
    cooled = [float(x) ** (1 / temperature) for x in probabilities]
    order, wanted, held = sorted(range(5), key=lambda i: -cooled[i]), [0.0] * 5, 0.0
    for i in order:
        if held < p * sum(cooled) or held == 0:
            wanted[i] = cooled[i]
            held += cooled[i]
    for got, weight in zip(seen.tolist(), wanted, strict=True):
        share = weight / sum(wanted)
        assert abs(got - share) <= 4 * math.sqrt(share * (1 - share) / times)
    likely = {one.ids[0]: one.log_probability for one in found if one.ids}
    assert likely[1] == pytest.approx(math.log(0.4))


def test_a_sample_belongs_to_its_record() -> None:
    table = language(9)
    draws = Noise(2, 0).uniform(torch.arange(4), 6, "nucleus")
    whole = nucleus(markov(table), START, end_id=END, draws=draws, p=0.95)
    for row in range(4):
        alone = nucleus(
            markov(table[row : row + 1]), START[row : row + 1], end_id=END, draws=draws[row : row + 1], p=0.95
        )
        assert alone == [whole[row]]


@pytest.mark.parametrize("limits", [(0, 0, 0), (3, 3, 0), (3, 0, -1)])
def test_limits_that_no_text_can_keep(limits: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="keep to"):
        Limits(0, *limits)


def test_no_rows() -> None:
    step = markov(language(0))
    assert greedy(step, START[:0], end_id=END, max_length=3) == []
    assert beam_search(step, START[:0], end_id=END, max_length=3) == []
    with pytest.raises(ValueError, match="beams"):
        beam_search(step, START, end_id=END, max_length=3, beams=0)
    with pytest.raises(ValueError, match="temperature"):
        nucleus(step, START, end_id=END, draws=torch.zeros(4, 3), temperature=0.0)
