from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg import InputError
from kg.verbalize import Templates, about_picture, caption, verbalize

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
words = st.text("abc, ", max_size=8)


@given(words, words, words, st.booleans(), names, names)
def test_spans_hold_the_names(before: str, between: str, after: str, head_first: bool, head: str, tail: str) -> None:
    slots = ("{head}", "{tail}") if head_first else ("{tail}", "{head}")
    template = f"{before}{slots[0]}{between}{slots[1]}{after}"
    sentence = verbalize(template, head, tail)
    assert sentence.text[slice(*sentence.head_span)] == head
    assert sentence.text[slice(*sentence.tail_span)] == tail
    first, second = (head, tail) if head_first else (tail, head)
    assert sentence.text == f"{before}{first}{between}{second}{after}"


def test_a_name_that_ends_in_a_stop_ends_the_sentence() -> None:
    text, _, span = verbalize("{head} is ruled from {tail}.", "United States", "Washington D.C.")
    assert text == "United States is ruled from Washington D.C."
    assert text[slice(*span)] == "Washington D.C."


@given(names)
def test_captions_hold_the_name(name: str) -> None:
    text, span = caption("The flag of {name}, here.", name)
    assert text[slice(*span)] == name


def shape(template: str) -> tuple[str, ...]:
    """What remains of a wording when its words are hidden: which slot is first, and how many words lie where."""
    parts = re.split(r"\{(head|tail)\}", template)
    return (parts[1], *(str(len(re.findall(r"\w+|[^\w\s]", text))) for text in parts[::2]))


class TestWordingsOfTheWorld:
    templates = Templates.load(Path(str(files("data_scripts"))) / "world_templates.yaml")

    def test_there_are_enough_and_one_is_held_out(self) -> None:
        assert len(self.templates) == 9
        for wordings in self.templates.values():
            assert len(set(wordings.train)) >= 6
            assert len(wordings.held_out) == 1
            assert not set(wordings.held_out) & set(wordings.train)

    def test_held_out_wordings_use_words_of_training(self) -> None:
        for wordings in self.templates.values():
            known = set(re.findall(r"\w+", " ".join(wordings.train)))
            assert set(re.findall(r"\w+", wordings.held_out[0])) - known <= {"say", "that", "records"}

    def test_no_shape_tells_the_relation(self) -> None:
        shapes = [sorted(map(shape, wordings.train)) for wordings in self.templates.values()]
        assert all(one == shapes[0] for one in shapes)

    def test_lengths_and_orders_vary(self) -> None:
        for wordings in self.templates.values():
            lengths = {len(template.split()) for template in wordings.train}
            assert min(lengths) <= 5 and max(lengths) >= 12
            assert any(template.index("{tail}") < template.index("{head}") for template in wordings.train)
            assert any(not template.rstrip(".").endswith("{tail}") for template in wordings.train)

    def test_a_picture_question_names_no_subject(self) -> None:
        wordings = self.templates["http://example.org/world/capital"]
        texts = [about_picture(wordings, template, "Paris").text for template in wordings.train]
        assert all("this country" in text.lower() and text[0].isupper() for text in texts)


GOOD = '  capital: {subject: it, train: ["{head} has {tail}."]}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "relations:\n  capital: {train: ['{head} only']}",
            r"capital.train: '.* only' must hold \{tail\} exactly",
        ),
        ("relations:\n  capital: {train: ['{head} {tail} {tail}']}", r"must hold \{tail\} exactly once"),
        ("relations:\n  capital: [a]", "relations.capital must be a mapping"),
        ("relations: 3", "relations must map keys to wordings"),
        ("relations:\n  capital: {train: 3}", "capital.train must be a list of sentences"),
        (f"relation:\n{GOOD}", "unknown key 'relation'; did you mean 'relations'"),
        ("captions:\n  Country: {train: ['a flag']}", r"must hold \{name\} exactly once"),
        ("a: [", "not valid YAML"),
        ("3", "holds no relations"),
    ],
)
def test_a_bad_file_is_named_with_its_key(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "wordings.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        Templates.load(path)
    assert str(caught.value).startswith(str(path))


def test_unknown_relations_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "wordings.yaml").write_text(f"base: 'http://example.org/'\nrelations:\n{GOOD}")
    templates = Templates.load(tmp_path / "wordings.yaml")
    assert list(templates) == ["http://example.org/capital"]
    with pytest.raises(InputError, match=r"did you mean 'http://example\.org/capital'"):
        templates["http://example.org/captal"]
    with pytest.raises(InputError, match="no such file"):
        Templates.load(tmp_path / "absent.yaml")
