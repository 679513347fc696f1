"""An updated graph says what one built from all says, and what stays keeps its ids."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg import InputError, KnowledgeGraph
from kg.build import build
from kg.predicates import RDFS_LABEL, Predicates
from kg.terms import ntriples_literal, ntriples_node
from kg.update import update
from tests.kg.test_build import SAME, TWINS, E, contents, opened, write

node = st.sampled_from([E + name for name in "abcdpq"])
word = st.sampled_from(['"x"', '"y"@en', '"y"@fr', '"7"^^<urn:t>', '"z\\n"'])
predicate = st.sampled_from([E + "p", E + "q", RDFS_LABEL, "http://schema.org/image"])
line = st.builds(lambda s, p, o: f"<{s}> <{p}> <{o}> .", node, predicate, node) | st.builds(
    lambda s, p, o: f"<{s}> <{p}> {o} .", node, predicate, word
)
lines = st.lists(line, max_size=25)


def said(kg: KnowledgeGraph) -> set[str]:
    """All statements, as lines."""
    found = {f"<{h}> <{r}> {ntriples_node(t)} ." for h, r, t in kg.statements()}
    return found | {f"<{key}> <{x.predicate}> {ntriples_literal(x)} ." for key, x in kg.all_literals()}


@given(before=lines, added=lines, removed=lines, many=st.booleans())
@settings(max_examples=100, deadline=None)
def test_the_same_statements_as_a_build(
    before: list[str], added: list[str], removed: list[str], many: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("update")
    removed = removed + random.Random(len(before)).sample(before, len(before) // 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kg.strings.MANY", 0 if many else 1 << 60)
        patch.setattr("kg.reading.COMPILED_FROM", 0 if many else 1 << 60)
        dumps = [write(place / f"{name}.nt", some) for name, some in (("b", before), ("a", added), ("r", removed))]
        build([dumps[0]], place / "a.kg")
        old = KnowledgeGraph.open(place / "a.kg")
        old_keys, old_relations, old_said = list(old.entities), list(old.relations), said(old)
        meta, change = update(place / "a.kg", [dumps[1]], remove=[dumps[2]], workers=2)
    kg = KnowledgeGraph.open(place / "a.kg")
    wanted = (set(before) - set(removed)) | set(added)
    assert said(kg) == wanted
    assert list(kg.entities)[: len(old_keys)] == old_keys and list(kg.relations)[: len(old_relations)] == old_relations
    assert all(kg.entities.id(key) == place for place, key in enumerate(kg.entities))
    assert change.added == len(wanted - (old_said - set(removed)))
    assert change.removed == len(old_said & set(removed)) and change.absent == len(set(removed) - old_said)
    assert (meta.entities, meta.triples) == (kg.num_entities, kg.num_triples) and kg.meta == meta

    build([write(place / "all.nt", sorted(wanted))], place / "all.kg")
    rebuilt = KnowledgeGraph.open(place / "all.kg")
    for key in rebuilt.entities:
        if key not in kg.entities:
            assert key in old_relations, "a relation that no triple uses any more is still a relation"
            continue
        mine, theirs = kg.entities.id(key), rebuilt.entities.id(key)
        assert (kg.label(mine), kg.degree(mine), kg.literals(mine)) == (
            rebuilt.label(theirs),
            rebuilt.degree(theirs),
            rebuilt.literals(theirs),
        )
        assert mine in kg.find(rebuilt.label(theirs))


def test_policies_are_those_of_the_build(tmp_path: Path) -> None:
    first = write(tmp_path / "a.nt", [f'<{E}a> <{E}name> "Anna"@en .', f"<{E}a> <{E}p> <{E}b> ."])
    build([first], tmp_path / "a.kg", languages=["en"], predicates=Predicates().preferring("label", E + "name"))
    more = write(tmp_path / "b.nt", [f'<{E}b> <{E}name> "Bea"@en .', f'<{E}b> <{E}name> "Béa"@fr .'])
    meta, change = update(tmp_path / "a.kg", [more])
    kg = KnowledgeGraph.open(tmp_path / "a.kg")
    assert kg.label(kg.entities.id(E + "b")) == "Bea" and change.added == 1 and meta.skipped == {"language": 1}
    assert [Path(source.path).name for source in meta.sources] == ["a.nt", "b.nt"]


def test_blank_nodes_of_two_dumps_stay_apart(tmp_path: Path) -> None:
    dump = write(tmp_path / "a.nt", [f"_:x <{E}p> <{E}b> ."])
    build([dump], tmp_path / "a.kg")
    _, change = update(tmp_path / "a.kg", [dump])
    assert change.added == change.new_entities == 1
    _, change = update(tmp_path / "a.kg", remove=[dump])
    assert (change.removed, change.absent) == (0, 1)


def test_another_place_leaves_the_graph(tmp_path: Path) -> None:
    build([write(tmp_path / "a.nt")], tmp_path / "a.kg")
    before = contents(tmp_path / "a.kg")
    update(tmp_path / "a.kg", [write(tmp_path / "b.nt", [f"<{E}z> <{E}p> <{E}z> ."])], out=tmp_path / "b.kg")
    assert contents(tmp_path / "a.kg") == before and KnowledgeGraph.open(tmp_path / "b.kg").num_triples == 3


@pytest.mark.parametrize("bad", ["nonsense", "", None])
def test_a_failed_update_leaves_the_graph(bad: str | None, tmp_path: Path) -> None:
    build([write(tmp_path / "a.nt")], tmp_path / "a.kg")
    before = contents(tmp_path / "a.kg")
    with pytest.raises(InputError, match=r"b\.nt:1: |nothing to add|no such file"):
        if bad == "":
            update(tmp_path / "a.kg")
        else:
            update(tmp_path / "a.kg", [write(tmp_path / "b.nt", [bad]) if bad else tmp_path / "absent.nt"])
    assert contents(tmp_path / "a.kg") == before and not list(tmp_path.glob(".*"))


def test_an_update_knows_who_was_merged(tmp_path: Path) -> None:
    kg = opened(tmp_path, TWINS, same_as="merge")
    more = [
        f"<{E}a> <{E}p> <{E}x> .",
        f"<{E}new> <{SAME}> <{E}c> .",
        f"<{E}new> <{E}q> <{E}new> .",
        f"<{E}b> <{SAME}> <{E}d> .",
    ]
    update(tmp_path / "a.kg", [write(tmp_path / "more.nt", more)])
    now = KnowledgeGraph.open(tmp_path / "a.kg")
    assert list(now.entities) == list(kg.entities), "a known entity that is no more keeps its place"
    assert now.degree(now.entities.id(E + "d")) == 0
    b = E + "b"
    assert set(now.statements()) == {(b, E + "p", b), (b, E + "q", b), (E + "x", E + "p", b), (b, E + "p", E + "x")}


@pytest.mark.parametrize(
    ("options", "said"),
    [({"on_error": "skp"}, "on_error: 'skp' is no choice"), ({"remove": ["s3://b/a.nt"]}, "only the engine spark")],
)
def test_refused(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    dump = write(tmp_path / "a.nt")
    build([dump], tmp_path / "a.kg")
    before = contents(tmp_path / "a.kg")
    with pytest.raises(InputError, match=said):
        update(tmp_path / "a.kg", [dump], **options)
    assert contents(tmp_path / "a.kg") == before
