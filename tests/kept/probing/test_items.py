from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kept.probing.items import ITEMS, SPACES, AnswerSpace, Candidate, ProbeItem, ProbeSet
from kg.errors import InputError

LINE = '{"id": "i", "task": "t", "split": "A", "query": "q", '
SPACE = AnswerSpace("capital", (Candidate("Q90", "Paris"), Candidate("Q64", "Berlin")))


def item(**changes: object) -> ProbeItem:
    given = {"id": "i", "task": "t", "split": "A", "query": "q", "answer_space": "capital", "gold": ("Q90",)}
    return ProbeItem(**{**given, **changes})  # type: ignore[arg-type]


def probe(*items: ProbeItem) -> ProbeSet:
    return ProbeSet("t", "1", items, {"capital": SPACE})


texts = st.text(st.characters(blacklist_categories=("Cs",)), max_size=12)
pairs = st.lists(st.tuples(texts, texts), min_size=1, max_size=4)


@given(
    query=texts,
    image=st.none() | texts,
    choices=pairs,
    also_true=st.lists(texts).map(tuple),
    relation=st.none() | texts,
    subject=st.none() | texts,
    asks=st.sampled_from(["object", "subject"]),
    meta=st.dictionaries(texts, st.booleans() | st.integers() | texts, max_size=3),
)
def test_json_round_trip(choices: list[tuple[str, str]], **fields: object) -> None:
    one = item(answer_space=None, choices=tuple(Candidate(*pair) for pair in choices), **fields)
    assert ProbeItem.from_json(json.loads(json.dumps(one.to_json()))) == one


def test_a_blind_item_tells_nothing_of_its_truth() -> None:
    fact = {"relation": "capital", "subject": "France", "object": "Paris"}
    one = item(also_true=("Q64",), provenance="France capital Paris", meta={"old": "Q64"}, **fact)
    blind = one.blind()
    assert (blind.gold, blind.also_true, blind.provenance, dict(blind.meta)) == ((), (), None, {})
    assert (blind.subject, blind.object) == ("France", None)
    other = item(asks="subject", **fact).blind()
    assert (other.subject, other.object) == (None, "Paris")
    assert blind.query == one.query and blind.id == one.id


def test_candidates_are_own_or_shared_never_both_or_neither() -> None:
    with pytest.raises(InputError, match="either choices or answer_space"):
        item(answer_space=None)
    with pytest.raises(InputError, match="either choices or answer_space"):
        item(choices=SPACE.candidates)


def test_the_digest_of_a_space_knows_order_and_names() -> None:
    turned = AnswerSpace("capital", SPACE.candidates[::-1])
    renamed = AnswerSpace("capital", (Candidate("Q90", "paris"), SPACE.candidates[1]))
    assert len({SPACE.digest, turned.digest, renamed.digest}) == 3
    assert AnswerSpace("other", SPACE.candidates).digest == SPACE.digest


def test_a_set_survives_the_disk(tmp_path: Path) -> None:
    whole = ProbeSet("t", "3", (item(), item(id="j", gold=("Q64",))), {"capital": SPACE}, {"too plain": 2})
    whole.save(tmp_path / "set")
    assert ProbeSet.load(tmp_path / "set") == whole


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ((item(), item()), "two items are called 'i'"),
        ((item(gold=()),), "'i' has no gold answer"),
        ((item(gold=("Q1",)),), "'Q1' of 'i' is not a candidate"),
        ((item(answer_space="city"),), "no answer space is called 'city'"),
    ],
)
def test_an_unsound_set_is_refused(wrong: tuple[ProbeItem, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        probe(*wrong).check()


@pytest.mark.parametrize(
    ("file", "line", "text", "message"),
    [
        (ITEMS, 1, "{}", f"{ITEMS}:1: the first line gives the task"),
        (ITEMS, 2, '{"id": "i", ', f"{ITEMS}:2: not valid JSON"),
        (ITEMS, 2, "[]", f"{ITEMS}:2: not a JSON object"),
        (ITEMS, 2, '{"id": "i", "task": "t", "split": "A"}', f"{ITEMS}:2: key 'query' is missing"),
        (
            ITEMS,
            2,
            LINE + '"golds": []}',
            f"{ITEMS}:2: unknown key 'golds'",
        ),
        (
            ITEMS,
            2,
            LINE + '"choices": [["a"]]}',
            f"{ITEMS}:2: candidates",
        ),
        (SPACES, 1, '{"id": "capital"}', f"{SPACES}:1: key 'candidates' is missing"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, file: str, line: int, text: str, message: str) -> None:
    probe(item()).save(tmp_path / "set")
    lines = (tmp_path / "set" / file).read_text().splitlines()
    lines[line - 1] = text
    (tmp_path / "set" / file).write_text("\n".join(lines) + "\n")
    with pytest.raises(InputError, match=message.replace("[", r"\[")):
        ProbeSet.load(tmp_path / "set")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere/items.jsonl: no such file"):
        ProbeSet.load(tmp_path / "nowhere")
