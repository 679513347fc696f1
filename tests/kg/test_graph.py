"""`KnowledgeGraph` against plain Python sets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg import InputError, KnowledgeGraph
from kg.arrays import sort_triples
from kg.literals import Literal
from kg.predicates import DIRECT_CLAIM, RDF_TYPE, RDFS_LABEL, Predicates
from kg.vocabulary import local_name

Facts = set[tuple[str, str, str]]

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4) | st.sampled_from("abcdefgh")
facts = st.lists(st.tuples(keys, st.sampled_from("pqr"), keys), max_size=30)


def world() -> KnowledgeGraph:
    return KnowledgeGraph.from_triples(
        [
            ("Paris", "capital of", "France"),
            ("Berlin", "capital of", "Germany"),
            ("France", "borders", "Germany"),
            ("Germany", "borders", "France"),
            ("France", "borders", "Spain"),
            ("Narcissus", "loves", "Narcissus"),
        ],
        labels={"Paris": "City of Light", "capital of": "is the capital of", "Atlantis": "The Lost City"},
        aliases={"Paris": ["Paname", "Ville Lumière"]},
        types={"Paris": "City", "Berlin": "City", "France": "Country"},
        literals=[
            ("Paris", Literal(RDFS_LABEL, "Parigi", None, "it")),
            ("Germany", Literal(RDFS_LABEL, "Deutschland", None, "de")),
            ("Germany", Literal(RDFS_LABEL, "Germany", None, "en-gb")),
            ("Paris", Literal("http://schema.org/description", "capitale", None, "fr")),
            ("Paris", Literal("http://schema.org/description", "a city", None, "en")),
            ("Paris", Literal("http://schema.org/image", "paris.png")),
        ],
    )


# Triples against a set of tuples


@given(facts)
@settings(deadline=None)
def test_neighbours_and_degrees(triples: list[tuple[str, str, str]]) -> None:
    kg = KnowledgeGraph.from_triples(triples)
    known: Facts = set(triples)
    assert kg.num_triples == len(known)
    assert set(kg.statements()) == known
    for entity, key in enumerate(kg.entities):
        relations, tails = kg.out(entity)
        assert {(key, kg.relations.key(r), kg.entities.key(t)) for r, t in zip(relations, tails, strict=True)} == {
            fact for fact in known if fact[0] == key
        }
        relations, heads = kg.into(entity)
        assert {(kg.entities.key(h), kg.relations.key(r), key) for r, h in zip(relations, heads, strict=True)} == {
            fact for fact in known if fact[2] == key
        }
        degree = sum((h == key) + (t == key) for h, _, t in known)
        assert kg.degree(entity) == degree == kg.adjacency.degrees()[entity]
    for relation, key in enumerate(kg.relations):
        assert len(kg.rows_of(relation)) == sum(r == key for _, r, _ in known)


@given(facts, st.sets(st.sampled_from("abcdefgh"), max_size=3), st.integers(0, 3))
@settings(deadline=None)
def test_subgraph(triples: list[tuple[str, str, str]], start: set[str], hops: int) -> None:
    kg = KnowledgeGraph.from_triples(triples, entities="abcdefgh")
    found = {tuple(row) for row in kg.triples[kg.subgraph([kg.entities.id(key) for key in start], hops)].tolist()}
    reached, expected = set(start), set()
    for _ in range(hops):
        expected = {fact for fact in triples if fact[0] in reached or fact[2] in reached}
        reached |= {end for head, _, tail in expected for end in (head, tail)}
    if hops == 0:
        expected = {fact for fact in triples if fact[0] in reached and fact[2] in reached}
    assert found == {(kg.entities.id(h), kg.relations.id(r), kg.entities.id(t)) for h, r, t in expected}


@given(facts, st.data())
@settings(deadline=None)
def test_without_and_with_triples(triples: list[tuple[str, str, str]], data: st.DataObject) -> None:
    kg = KnowledgeGraph.from_triples(triples)
    rows = np.array(
        sorted(data.draw(st.sets(st.integers(0, max(0, kg.num_triples - 1)), max_size=kg.num_triples))), int
    )
    all_facts = list(kg.statements())
    rest = kg.without(rows)
    assert set(rest.statements()) == {fact for row, fact in enumerate(all_facts) if row not in rows}
    assert list(rest.entities) == list(kg.entities) and rest.num_relations == kg.num_relations
    assert (rest.hash == kg.hash) == (len(rows) == 0)
    assert rest.meta.triples == rest.num_triples
    shuffled = np.random.default_rng(0).permutation(np.concatenate((kg.triples, kg.triples)))
    assert kg.without(np.arange(kg.num_triples)).with_triples(shuffled).hash == kg.hash


@given(facts)
@settings(deadline=None)
def test_the_order_of_triples_does_not_matter(triples: list[tuple[str, str, str]]) -> None:
    kg, reverse = KnowledgeGraph.from_triples(triples), KnowledgeGraph.from_triples(reversed(triples))
    assert kg.hash == reverse.hash
    assert list(kg.entities) == sorted({end for head, _, tail in triples for end in (head, tail)})
    np.testing.assert_array_equal(kg.triples, reverse.triples)


def test_triples_ascend_and_are_read_only() -> None:
    kg = world()
    rows = list(map(tuple, kg.triples.tolist()))
    assert rows == sorted(set(rows)) and kg.triples.dtype == np.int32
    with pytest.raises(ValueError, match="read-only"):
        kg.triples[0, 0] = 1


@pytest.mark.parametrize("size", [5, 2**33])
def test_sorting_with_and_without_packing(size: int) -> None:
    rng = np.random.default_rng(1)
    triples = rng.integers(0, 5, (200, 3)) * (size // 5)
    expected = sorted(set(map(tuple, triples.tolist())))
    ordered = sort_triples(triples, size, size)
    assert list(map(tuple, ordered.tolist())) == expected
    assert ordered.dtype == (np.int32 if size == 5 else np.int64)


def test_ids_outside_are_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        world().with_triples(np.array([[0, 0, 99]]))


def test_an_empty_graph() -> None:
    kg = KnowledgeGraph.from_triples([])
    assert (kg.num_entities, kg.num_relations, kg.num_triples) == (0, 0, 0)
    assert kg.type_relation is None and kg.search("a") == [] and list(kg.find("a")) == []
    assert len(kg.subgraph([])) == 0


# Names


def test_labels_by_language() -> None:
    kg = world()
    paris, germany = kg.entities.id("Paris"), kg.entities.id("Germany")
    assert kg.label(paris) == "City of Light"
    assert kg.label(paris, "it") == "Parigi"
    assert kg.label(germany) == "Germany", "a region of the language comes before other languages"
    assert kg.label(germany, "de") == "Deutschland"
    assert kg.label(kg.entities.id("Spain")) == "Spain"
    assert kg.labels([paris, germany], "fr") == ["City of Light", "Deutschland"]


def test_languages_are_tried_in_their_order() -> None:
    said = [("x", Literal(RDFS_LABEL, text, None, tag)) for text, tag in (("eins", "de"), ("un", "fr"), ("één", "nl"))]
    said.append(("x", Literal(RDFS_LABEL, "I")))
    kg = KnowledgeGraph.from_triples([("x", "p", "x")], literals=said, language="en,fr,de")
    assert kg.label(0) == "un" and kg.label(0, "de,fr") == "eins" and kg.label(0, "en") == "I"
    assert set(kg.names(0)) == {"un", "eins", "I"}


def test_names_aliases_and_descriptions() -> None:
    kg = world()
    paris = kg.entities.id("Paris")
    assert kg.names(paris) == ["City of Light", "Paname", "Ville Lumière"]
    assert kg.aliases(paris, "it") == ["City of Light", "Paname", "Ville Lumière"]
    assert kg.description(paris) == "a city"
    assert kg.description(paris, "fr") == "capitale"
    assert kg.description(kg.entities.id("Spain")) is None
    assert kg.images(paris) == ["paris.png"]
    assert len(kg.literals(paris)) == 7


def test_a_relation_that_is_only_named_is_no_entity() -> None:
    kg = world()
    assert "capital of" not in kg.entities and "Atlantis" in kg.entities
    assert kg.relation_label(kg.relations.id("capital of")) == "is the capital of"
    assert kg.relation_label(kg.relations.id("borders")) == "borders"
    assert ("capital of", Literal(RDFS_LABEL, "is the capital of")) in kg.all_literals()


def test_a_relation_is_described_by_its_entity_or_its_claim() -> None:
    wdt, wd = "http://www.wikidata.org/prop/direct/P36", "http://www.wikidata.org/entity/P36"
    kg = KnowledgeGraph.from_triples(
        [("a", wdt, "b"), (wd, DIRECT_CLAIM, wdt), ("a", "made", "b"), ("made", RDF_TYPE, "Property")],
        labels={wd: "capital", "made": "made by"},
    )
    assert kg.relation_label(kg.relations.id(wdt)) == "capital"
    assert kg.relation_label(kg.relations.id("made")) == "made by"
    assert "made" in kg.entities


def test_find_and_search() -> None:
    kg = world()
    paris = kg.entities.id("Paris")
    assert kg.find("PANAME").tolist() == [paris]
    assert kg.find("ville lumière").tolist() == [paris]
    assert kg.find("parigi").tolist() == [paris], "in any language"
    assert kg.find("Paris").tolist() == [], "a key is no name where there is a label"
    assert kg.find("spain").tolist() == [kg.entities.id("Spain")]
    assert kg.search("p") == [paris]
    assert kg.search("") and len(kg.search("", limit=3)) == 3
    assert kg.search("zzz") == []


def test_short_and_well_connected_names_come_first() -> None:
    kg = KnowledgeGraph.from_triples(
        [("x", "p", "hub"), ("y", "p", "hub"), ("z", "p", "far"), ("z", "p", "long")],
        labels={"hub": "Main", "far": "Main", "long": "Main Street"},
    )
    assert kg.search("main") == [kg.entities.id(key) for key in ("hub", "far", "long")]
    assert kg.find("MAIN").tolist() == sorted([kg.entities.id("hub"), kg.entities.id("far")])


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.text(st.characters(exclude_categories=["Cs"]), max_size=5)))
@settings(deadline=None)
def test_every_label_is_found_and_searched(labels: dict[str, str]) -> None:
    kg = KnowledgeGraph.from_triples([("a", "p", "b")], labels=labels)
    for entity in range(kg.num_entities):
        label = kg.label(entity)
        assert entity in kg.find(label) and entity in kg.find(label.casefold())
        assert entity in kg.search(label[:2], limit=100)


def distance(left: str, right: str) -> int:
    """Levenshtein's, from its definition."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        before, row = row, [i]
        for j, b in enumerate(right, start=1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b)))
    return row[-1]


@given(
    st.dictionaries(st.sampled_from([f"e{n}" for n in range(9)]), st.text("abcéß東😀", max_size=9), min_size=1),
    st.text("abcéß東😀", max_size=9),
    st.integers(0, 3),
)
@settings(max_examples=150, deadline=None)
def test_near_names_are_those_at_that_distance(labels: dict[str, str], wanted: str, most: int) -> None:
    kg = KnowledgeGraph.from_triples([(key, "p", key) for key in labels], labels=labels)
    found = kg.entities.keys(np.array(kg.search_near(wanted, 100, most=most), np.int64))
    near = {key: distance(label.casefold(), wanted.casefold()) for key, label in labels.items()}
    expected = {key for key, far in near.items() if far <= most} if wanted else set()
    assert set(found) == expected and [near[key] for key in found] == sorted(near[key] for key in found)


def test_near_names_by_default() -> None:
    kg = KnowledgeGraph.from_triples([("a", "p", "b")], labels={"a": "Switzerland", "b": "Swaziland"})
    assert kg.search_near("switserland") == [kg.entities.id("a")] and kg.search_near("x" * 90) == []


def test_full_case_folding() -> None:
    kg = KnowledgeGraph.from_triples([], labels={"s": "Straße", "g": "Σίσυφος"})
    assert kg.labels(kg.find("STRASSE")) == ["Straße"]
    assert kg.labels(kg.find("ΣΊΣΥΦΟΣ")) == ["Σίσυφος"]


def test_types() -> None:
    kg = world()
    city = kg.entities.id("City")
    assert kg.type_relation == kg.relations.id(RDF_TYPE)
    assert kg.types(kg.entities.id("Paris")).tolist() == [city]
    assert kg.labels(kg.of_type(city)) == ["Berlin", "City of Light"]
    assert len(kg.types(kg.entities.id("Spain"))) == 0


def test_types_of_ones_own() -> None:
    predicates = Predicates().preferring("type", "kind").preferring("label", "called")
    kg = KnowledgeGraph.from_triples(
        [("a", "kind", "K")], literals=[("a", Literal("called", "Anna"))], predicates=predicates
    )
    assert kg.label(kg.of_type(kg.entities.id("K"))[0]) == "Anna"
    with pytest.raises(InputError, match="did you mean 'label'"):
        Predicates().preferring("lable", "x")


# Keys


def test_resolve_by_key_name_and_id() -> None:
    kg = world()
    paris = kg.entities.id("Paris")
    assert kg.resolve("Paris") == kg.resolve("paname") == kg.resolve(str(paris)) == kg.resolve(paris) == paris
    with pytest.raises(InputError, match=r"no entity .*'Pariss'; did you mean"):
        kg.resolve("Pariss")
    with pytest.raises(InputError, match="no entity"):
        kg.resolve(99)
    twins = KnowledgeGraph.from_triples([], labels={"http://e.org/1": "Georgia", "http://e.org/2": "Georgia"})
    with pytest.raises(InputError, match=r"2 entities are called 'georgia': http://e.org/1, http://e.org/2"):
        twins.resolve("georgia")


def test_resolve_by_a_short_key() -> None:
    kg = KnowledgeGraph.from_triples([("http://www.wikidata.org/entity/Q90", "p", "wd:Q91")])
    assert kg.entities.key(kg.resolve("wd:Q90")).endswith("Q90") and kg.entities.key(kg.resolve("wd:Q91")) == "wd:Q91"
    with pytest.raises(InputError, match="wd:Q92"):
        kg.resolve("wd:Q92")


def test_vocabulary() -> None:
    words = world().entities
    assert words.keys(words.ids(["Paris", "Spain"])) == ["Paris", "Spain"]
    assert words.get("nowhere") is None and "nowhere" not in words and 3 not in words
    with pytest.raises(InputError, match=r"no entity has the key 'Berlim'; did you mean 'Berlin'\?"):
        words.id("Berlim")
    with pytest.raises(InputError, match="no relation has the key"):
        world().relations.id("border")


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("http://dbpedia.org/resource/New_York", "New York"),
        ("http://example.org/onto#hasPart", "hasPart"),
        ("http://example.org/caf%C3%A9/", "café"),
        ("urn:isbn:123", "123"),
        ("/film/film/genre", "/film/film/genre"),
        ("a b", "a b"),
        ("_:b0", "_:b0"),
    ],
)
def test_local_names(key: str, name: str) -> None:
    assert local_name(key) == name


# On disk


def assert_same(kg: KnowledgeGraph, other: KnowledgeGraph) -> None:
    assert other.hash == kg.hash and other.meta == kg.meta
    np.testing.assert_array_equal(other.triples, kg.triples)
    assert list(other.all_literals()) == list(kg.all_literals())
    for entity in range(kg.num_entities):
        assert other.names(entity) == kg.names(entity)
        for here, there in zip(
            (*kg.out(entity), *kg.into(entity)), (*other.out(entity), *other.into(entity)), strict=True
        ):
            np.testing.assert_array_equal(here, there)
    for relation in range(kg.num_relations):
        assert other.relation_label(relation) == kg.relation_label(relation)


@pytest.mark.parametrize("kg", [world(), KnowledgeGraph.from_triples([]), world().without(np.array([0, 3]))])
def test_saved_and_opened(kg: KnowledgeGraph, tmp_path: Path) -> None:
    kg.save(tmp_path / "a.kg")
    opened = KnowledgeGraph.open(tmp_path / "a.kg")
    assert_same(kg, opened)
    assert [path.name for path in tmp_path.iterdir()] == ["a.kg"]
    opened.save(tmp_path / "b.kg")
    for file in (tmp_path / "a.kg").iterdir():
        assert file.read_bytes() == (tmp_path / "b.kg" / file.name).read_bytes(), file.name


def test_saving_over_itself(tmp_path: Path) -> None:
    world().save(tmp_path / "a.kg")
    opened = KnowledgeGraph.open(tmp_path / "a.kg")
    opened.without(np.array([0])).save(tmp_path / "a.kg")
    assert KnowledgeGraph.open(tmp_path / "a.kg").num_triples == world().num_triples - 1
    assert opened.num_triples == world().num_triples and opened.label(0)


def test_nothing_is_read_on_open(tmp_path: Path) -> None:
    world().save(tmp_path / "a.kg")
    kg = KnowledgeGraph.open(tmp_path / "a.kg")
    assert isinstance(kg.triples, np.memmap) and isinstance(kg.adjacency.in_order, np.memmap)


def test_no_pickle_on_disk(tmp_path: Path) -> None:
    world().save(tmp_path / "a.kg")
    assert {file.suffix for file in (tmp_path / "a.kg").iterdir()} == {".json", ".arrow", ".npy"}
    for file in (tmp_path / "a.kg").glob("*.npy"):
        np.load(file, allow_pickle=False)


def test_a_directory_of_another_version(tmp_path: Path) -> None:
    world().save(tmp_path / "a.kg")
    meta = tmp_path / "a.kg" / "meta.json"
    meta.write_text(json.dumps({**json.loads(meta.read_text()), "version": 99}))
    with pytest.raises(InputError, match=r"a\.kg: format version 99, but this kept reads version 1"):
        KnowledgeGraph.open(tmp_path / "a.kg")


def test_what_is_no_graph(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such graph directory"):
        KnowledgeGraph.open(tmp_path / "absent.kg")
    with pytest.raises(InputError, match="not a graph directory"):
        KnowledgeGraph.open(tmp_path)
    (tmp_path / "meta.json").write_text("{}")
    with pytest.raises(InputError, match="not a graph directory"):
        KnowledgeGraph.open(tmp_path)
    (tmp_path / "meta.json").write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        KnowledgeGraph.open(tmp_path)


def test_a_folder_of_other_things_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "letter.txt").write_text("dear")
    with pytest.raises(InputError, match="not a graph directory"):
        world().save(tmp_path / "precious")
    assert (tmp_path / "precious" / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize("name", ["triples.npy", "entities.arrow", "names.arrow", "literals.offsets.npy"])
def test_an_incomplete_directory(name: str, tmp_path: Path) -> None:
    world().save(tmp_path / "a.kg")
    (tmp_path / "a.kg" / name).unlink()
    with pytest.raises(InputError, match=name):
        KnowledgeGraph.open(tmp_path / "a.kg")


def test_files_that_do_not_fit_each_other(tmp_path: Path) -> None:
    world().save(tmp_path / "a.kg")
    np.save(tmp_path / "a.kg" / "triples.npy", np.zeros((1, 3), dtype=np.int32))
    with pytest.raises(InputError, match="do not fit"):
        KnowledgeGraph.open(tmp_path / "a.kg")


def test_a_graph_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world().save(tmp_path / "a.kg")
    before = KnowledgeGraph.open(tmp_path / "a.kg").hash
    monkeypatch.setattr("kg.directory.write_json", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        world().without(np.array([0])).save(tmp_path / "a.kg")
    assert [path.name for path in tmp_path.iterdir()] == ["a.kg"]
    assert KnowledgeGraph.open(tmp_path / "a.kg").hash == before
