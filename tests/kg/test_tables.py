"""Readers for graphs that are no RDF."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from kg import InputError, KnowledgeGraph
from kg.build import build
from kg.literals import IRI_VALUE
from kg.predicates import RDF_TYPE, RDFS_LABEL, SKOS, SKOS_ALT_LABEL
from kg.rdf import Statement
from kg.tables import WORDNET
from kg.update import update
from tests.kg.test_rdf import ReaderContract, read, read_leniently

ROWS = (
    Statement("Paris", "capital of", "France", IRI_VALUE),
    Statement("_:x", "near", "Lyon", IRI_VALUE),
)


class TestTsv(ReaderContract):
    member = "tsv"
    sample = b"Paris\tcapital of\tFrance\n\n_:x\tnear\tLyon\r\n"
    expected = ROWS
    broken = b"a\tb\tc\na\tb\na\tb\tc\td\n\tb\tc\n\xff\tb\tc\nd\te\tf"
    broken_line = 2
    survives = 2

    @pytest.mark.parametrize("head", ["head\trelation\ttail", "Subject\tPredicate\tObject", "h\tr\tt"])
    def test_a_header(self, head: str) -> None:
        assert read("tsv", f"{head}\na\tb\tc\n".encode()) == [Statement("a", "b", "c", IRI_VALUE)]

    def test_a_header_gives_the_order_and_may_name_more(self) -> None:
        data = b"weight\ttarget\trel\tsource\n1.0\tc\tb\ta\n"
        assert read("tsv", data) == [Statement("a", "b", "c", IRI_VALUE)]

    def test_every_refusal_names_what_is_wrong(self) -> None:
        _, rejected = read_leniently("tsv", self.broken)
        assert [line for line, _ in rejected] == [2, 3, 4, 5]
        assert "2 found" in rejected[0][1] and "empty" in rejected[2][1] and "UTF-8" in rejected[3][1]

    def test_long_lines(self) -> None:
        data = b"a\tb\t" + b"x" * (1 << 24) + b"\nc\td\te\n"
        found, rejected = read_leniently("tsv", data)
        assert found == [Statement("c", "d", "e", IRI_VALUE)] and "16 MiB" in rejected[0][1]


class TestAtomic(ReaderContract):
    member = "atomic"
    sample = b"PersonX pays\txIntent\tto be fair\nPersonX pays\toReact\tnone\nPersonX pays\txWant\t to leave \n"
    expected = (
        Statement("PersonX pays", "xIntent", "to be fair", IRI_VALUE),
        Statement("PersonX pays", "xWant", "to leave", IRI_VALUE),
    )
    broken = b"a\tb\tc\na\tb\n"
    broken_line = 2
    survives = 1


ASSERTIONS = (
    b"/a/[/r/IsA/,/c/en/hot_dog/n/,/c/en/food/]\t/r/IsA\t/c/en/hot_dog/n\t/c/en/food\t"
    b'{"dataset": "/d/conceptnet/4/en", "license": "cc:by/4.0", "weight": 2.5}\n'
    b"/a/[/r/Synonym/,/c/fr/chien/,/c/en/dog/]\t/r/Synonym\t/c/fr/chien\t/c/en/dog\t"
    b'{"dataset": "/d/wiktionary/fr", "weight": 1.0}\n'
)


class TestConceptNet(ReaderContract):
    member = "conceptnet"
    sample = ASSERTIONS
    expected = (
        Statement("/c/en/hot_dog/n", "/r/IsA", "/c/en/food", IRI_VALUE, "en", None, 2.5),
        Statement("/c/en/hot_dog/n", RDFS_LABEL, "hot dog", None, "en"),
        Statement("/c/en/food", RDFS_LABEL, "food", None, "en"),
        Statement("/c/fr/chien", "/r/Synonym", "/c/en/dog", IRI_VALUE, "fr+en"),
        Statement("/c/fr/chien", RDFS_LABEL, "chien", None, "fr"),
        Statement("/c/en/dog", RDFS_LABEL, "dog", None, "en"),
    )
    broken = ASSERTIONS + b"/a/x\t/r/IsA\t/c/en/a\t/c/en/b\t{}\n/c/en/a\t/r/IsA\t/c/en/b\n"
    broken_line = 3
    survives = 6

    def test_weights_stay_with_their_triples(self, tmp_path: Path) -> None:
        heavier = ASSERTIONS.replace(b"2.5", b"9.0") + ASSERTIONS
        (tmp_path / "a.csv").write_bytes(heavier)
        build([tmp_path / "a.csv"], tmp_path / "a.kg", syntax="conceptnet")
        kg = KnowledgeGraph.open(tmp_path / "a.kg")
        weight = dict(zip(kg.statements(), np.asarray(kg.weights).tolist(), strict=True))
        assert weight == {
            ("/c/en/hot_dog/n", "/r/IsA", "/c/en/food"): 9.0,
            ("/c/fr/chien", "/r/Synonym", "/c/en/dog"): 1.0,
        }
        without = kg.without(np.array([0]))
        assert np.asarray(without.weights).tolist() == np.asarray(kg.weights)[1:].tolist() and without.hash != kg.hash
        edges = kg.to_networkx().edges(data="weight")
        assert sorted(weight for _, _, weight in edges) == [1.0, 9.0]
        assert kg.to_pyg(inverse=True).edge_weight.shape == (4,)
        more = ASSERTIONS.replace(b"food", b"meal").replace(b"2.5", b"0.5")
        (tmp_path / "b.csv").write_bytes(more)
        update(tmp_path / "a.kg", [tmp_path / "b.csv"], syntax="conceptnet")
        now = KnowledgeGraph.open(tmp_path / "a.kg")
        assert dict(zip(now.statements(), np.asarray(now.weights).tolist(), strict=True)) == {
            **weight,
            ("/c/en/hot_dog/n", "/r/IsA", "/c/en/meal"): 0.5,
        }

    def test_only_some_languages(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").write_bytes(ASSERTIONS)
        meta = build([tmp_path / "a.csv"], tmp_path / "a.kg", languages=["en"], syntax="conceptnet")
        assert (meta.triples, meta.skipped) == (1, {"language": 2})


DOG = f"{WORDNET}wn30/02084071-n"
LICENCE = b"  1 This software and database is being provided to you, the LICENSEE, by\n"
SYNSET = (
    b"02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 003 @ 02083346 n 0000 "
    b"#m 07994941 n 0000 + 00015388 a 0101 | a member of the genus Canis  \n"
)


class TestWordNet(ReaderContract):
    member = "wordnet"
    sample = LICENCE + SYNSET
    expected = (
        Statement(DOG, RDF_TYPE, f"{WORDNET}ontology#noun", IRI_VALUE),
        Statement(DOG, RDFS_LABEL, "dog", None, "en"),
        Statement(DOG, SKOS_ALT_LABEL, "domestic dog", None, "en"),
        Statement(DOG, SKOS_ALT_LABEL, "Canis familiaris", None, "en"),
        Statement(DOG, f"{WORDNET}ontology#hypernym", f"{WORDNET}wn30/02083346-n", IRI_VALUE),
        Statement(DOG, f"{WORDNET}ontology#member_holonym", f"{WORDNET}wn30/07994941-n", IRI_VALUE),
        Statement(DOG, f"{WORDNET}ontology#derivationally_related_form", f"{WORDNET}wn30/00015388-a", IRI_VALUE),
        Statement(DOG, f"{SKOS}definition", "a member of the genus Canis", None, "en"),
    )
    broken = SYNSET + b"dog n 1 3 @ ~ #m 1 1 02084071\n"
    broken_line = 2
    survives = 8


@pytest.mark.data
def test_wordnet_whole(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    """Every synset, word and pointer of WordNet 3.0, by its own counts (wnstats(7WN))."""
    folder = real_data("kg/wordnet30")
    meta = build([folder], tmp_path / "wn.kg", workers=2)  # the index files beside the data are passed over
    assert not meta.skipped.get("malformed")
    kg = KnowledgeGraph.open(tmp_path / "wn.kg")
    counts = {
        kind: len(kg.of_type(kg.entities.id(f"{WORDNET}ontology#{kind}")))
        for kind in ("noun", "verb", "adjective", "adverb")
    }
    assert counts == {"noun": 82_115, "verb": 13_767, "adjective": 18_156, "adverb": 3_621}
    dog = kg.entities.id(DOG)
    assert kg.names(dog) == ["dog", "Canis familiaris", "domestic dog"] and "domesticated by man" in str(
        kg.description(dog)
    )
    hypernym = kg.relations.id(f"{WORDNET}ontology#hypernym")
    relations, tails = kg.out(dog)
    assert {kg.label(tail) for tail in tails[relations == hypernym]} == {"canine", "domestic animal"}


@pytest.mark.data
def test_wn18rr_is_a_part_of_wordnet(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    """A benchmark's triples, read as they are."""
    folder = real_data("kg/wn18rr")
    train = next(folder.rglob("train.t*"))
    meta = build([train], tmp_path / "a.kg", syntax="tsv")
    assert (meta.triples, meta.relations, meta.skipped) == (86_835, 11, {})


def test_an_index_is_no_data_file() -> None:
    with pytest.raises(InputError, match=r"^1: not a synset"):
        read("wordnet", b"dog n 1 3 @ ~ #m 1 1 02084071\n")
