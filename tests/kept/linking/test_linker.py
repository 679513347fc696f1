from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kept.linking import Linker
from kept.linking.case import case_fits
from kg import KnowledgeGraph
from tests.worlds import real_world, toy_graph

TOKEN = re.compile(r"\w+|[^\w\s]")


def labels(kg: KnowledgeGraph, linker: Linker, text: str) -> list[str]:
    return [kg.entities.key(mention.entity) for mention in linker.link(text)]


@pytest.fixture(scope="module")
def kg() -> KnowledgeGraph:
    return toy_graph()


@pytest.fixture(scope="module")
def linker(kg: KnowledgeGraph) -> Linker:
    return Linker.from_graph(kg)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Paris is the capital of France.", ["Paris", "FR"]),
        ("Conakry is not in Papua New Guinea, but in Guinea.", ["Conakry", "PG", "GN"]),
        ("The FRENCH REPUBLIC and FRANCE", ["FR", "FR"]),
        ("a turkey in Turkey", ["turkey", "TR"]),
        ("Turkey has birds. Owl and owl!", ["TR", "owl", "owl"]),
        ("my Dog", []),
        ("france, paris and this country", []),
        ("Frankreich", []),
        ("Parisian Franceville", []),
        ("(Paris),Berlin;Rome's", ["Paris", "Berlin", "Rome"]),
        ("", []),
    ],
)
def test_which_names_are_found(kg: KnowledgeGraph, linker: Linker, text: str, expected: list[str]) -> None:
    assert labels(kg, linker, text) == expected


def test_mentions_say_where(linker: Linker) -> None:
    text = "In Papua New Guinea,  Port Moresby."
    assert [text[m.start : m.end] for m in linker.link(text)] == ["Papua New Guinea", "Port Moresby"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One can speak French in France.", ["lang/fr", "FR"]),
        ("The people of France are called French.", ["FR", "demonym/French"]),
        ("They speak Spanish. What the people are called is Italian.", ["lang/es", "demonym/Italian"]),
        ("Luxembourg is small.", ["LU"]),
    ],
)
def test_words_nearby_settle_who_is_meant(kg: KnowledgeGraph, linker: Linker, text: str, expected: list[str]) -> None:
    assert labels(kg, linker, text) == expected


def test_ambiguity_is_reported_and_an_expected_type_wins(kg: KnowledgeGraph, linker: Linker) -> None:
    found = linker.explain("Luxembourg")[0]
    assert found.ambiguous
    assert [kg.entities.key(entity) for entity, _ in found.candidates] == ["LU", "city/LU"]
    assert sum(share for _, share in found.candidates) == pytest.approx(1)
    city = linker.link("Luxembourg", expect=[kg.entities.id("City")])
    assert [kg.entities.key(mention.entity) for mention in city] == ["city/LU"]
    assert not linker.explain("Paris")[0].ambiguous


def test_links_do_not_depend_on_the_edges_between_candidates(kg: KnowledgeGraph) -> None:
    """A linker that looked at edges would tell which facts the graph holds."""
    spain, relation, demonym = (kg.entities.id("ES"), kg.relations.id("demonym"), kg.entities.id("demonym/Spanish"))
    rows = [row for row, fact in enumerate(kg.triples.tolist()) if fact == [spain, relation, demonym]]
    text = "The people of Spain are called Spanish."
    without = kg.without(rows)
    assert labels(kg, Linker.from_graph(kg), text) == labels(without, Linker.from_graph(without), text)


def test_hasty_input(kg: KnowledgeGraph) -> None:
    hasty = Linker.from_graph(kg, ignore_case=True)
    assert labels(kg, hasty, "paris, PARIS and papua new guinea") == ["Paris", "Paris", "PG"]


def test_short_and_common_words_do_not_link() -> None:
    kg = KnowledgeGraph.from_triples([("a", "p", "b")], labels={"a": "on", "b": "ox"}, aliases={"a": ["ON", "owl"]})
    assert labels(kg, Linker.from_graph(kg), "an ox on the ON owl") == ["a", "a"]
    assert labels(kg, Linker.from_graph(kg, min_lower=2), "an ox on it") == ["b"]


parts = st.sampled_from(["Ann", "Bob", "New", "York", "St.", "D.C.", "o'Neill", "ann", "x-ray", "Ürü"])
name_lists = st.lists(st.lists(parts, min_size=1, max_size=3).map(" ".join), min_size=1, max_size=6, unique=True)
texts = st.lists(parts | st.sampled_from([",", ".", "(", "Z"]), max_size=10).map(" ".join)


def brute_force(names: list[str], text: str) -> set[tuple[int, int]]:
    """All places where a name stands between token boundaries; of those that overlap the longest, then the first."""
    tokens = [match.span() for match in TOKEN.finditer(text)]
    starts, ends = {start for start, _ in tokens}, {end for _, end in tokens}
    spans = []
    for name in names:
        for start in range(len(text)):
            end = start + len(name)
            shouted = text[start:end].isupper() and sum(map(str.isalpha, name)) >= 4 and not name.islower()
            same = text[start:end] == name or (shouted and text[start:end].lower() == name.lower())
            first = not start or text[:start].rstrip()[-1:] in (".", "!", "?", ":", ";")
            same |= name.islower() and first and text[start:end] == name[0].upper() + name[1:]
            if same and start in starts and end in ends:
                count = sum(start <= token[0] < end for token in tokens)
                spans.append((-count, start, end))
    taken: set[int] = set()
    kept = set()
    for _, start, end in sorted(set(spans)):
        if taken.isdisjoint(range(start, end)):
            taken |= set(range(start, end))
            kept.add((start, end))
    return kept


@settings(max_examples=80, deadline=None)
@given(name_lists, texts)
def test_the_longest_names_are_found_as_by_brute_force(names: list[str], text: str) -> None:
    kg = KnowledgeGraph.from_triples([("x", "p", "y")], labels={f"e{i}": name for i, name in enumerate(names)})
    found = {(mention.start, mention.end) for mention in Linker.from_graph(kg).link(text)}
    assert found - brute_force(["x", "y"], text) == brute_force(names, text)


def test_case_of_names() -> None:
    assert case_fits("U.S. Virgin Islands", "U.S. VIRGIN ISLANDS", starts_sentence=False)
    assert not case_fits("Bob", "BOB", starts_sentence=True)
    assert not case_fits("McDonald", "Mcdonald", starts_sentence=True)


def test_the_spacy_component(kg: KnowledgeGraph, tmp_path: Path) -> None:
    import spacy

    import kept.linking.component  # noqa: F401

    kg.save(tmp_path / "toy.kg")
    nlp = spacy.blank("en")
    nlp.add_pipe("kg_linker", config={"graph": str(tmp_path / "toy.kg")})
    doc = nlp("Paris is the capital of France, in this country.")
    assert [(span.text, span.kb_id_, span.label_) for span in doc.ents] == [
        ("Paris", "Paris", "City"),
        ("France", "FR", "country"),
    ]


def test_sentences_of_the_real_world_link_to_what_they_say() -> None:
    """Every fact in every wording: the linker's mentions are the entities that were meant."""
    from importlib.resources import files

    from kg.verbalize import Templates, verbalize

    kg = KnowledgeGraph.open(real_world() / "world.kg")
    linker = Linker.from_graph(kg)
    templates = Templates.load(Path(str(files("data_scripts"))) / "world_templates.yaml")
    wrong = total = 0
    for row, (head, relation, tail) in enumerate(kg.triples.tolist()):
        key = kg.relations.key(relation)
        if key not in templates or kg.label(head) == kg.label(tail):
            continue
        wordings = (*templates[key].train, *templates[key].held_out)
        sentence = verbalize(wordings[row % len(wordings)], kg.label(head), kg.label(tail))
        meant = {(*sentence.head_span, head), (*sentence.tail_span, tail)}
        wrong += meant != {(m.start, m.end, m.entity) for m in linker.link(sentence.text)}
        total += 1
    assert total > 5000
    assert wrong <= total * 0.001
