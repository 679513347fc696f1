"""Every reader keeps one contract; the traps of RDF parsing, each as a test."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kg import InputError
from kg.compression import Dump
from kg.dumps import find_dumps, reader_of
from kg.literals import IRI_VALUE
from kg.rdf import FORMULA, LONGEST_LINE, QUOTED, READERS, Statement, reason_of
from tests.contracts import Contract
from tests.kg.test_compression import COMPRESSORS

E = "http://example.org/"
XSD = "http://www.w3.org/2001/XMLSchema#"

FACTS = (
    Statement(E + "Paris", E + "in", E + "France", IRI_VALUE),
    Statement(E + "Paris", E + "name", "Paris"),
    Statement(E + "Paris", E + "name", "Paříž", None, "cs"),
    Statement(E + "Paris", E + "inhabitants", "007", XSD + "integer"),
    Statement(E + "Paris", E + "near", "_:x", IRI_VALUE),
    Statement("_:x", E + "said", 'a "b" \\ c\nd'),
)


def refuse(line: int | None, reason: str) -> None:
    raise InputError(f"{line}: {reason}")


def read(reader: str, data: bytes, *, scope: str = "", base: str | None = None) -> list[Statement]:
    return list(READERS[reader]().statements(io.BytesIO(data), reject=refuse, scope=scope, base=base))


def read_leniently(reader: str, data: bytes) -> tuple[list[Statement], list[tuple[int | None, str]]]:
    rejected: list[tuple[int | None, str]] = []
    found = READERS[reader]().statements(io.BytesIO(data), reject=lambda *place: rejected.append(place))
    return list(found), rejected


def renamed(statements: Iterable[Statement]) -> list[Statement]:
    """Statements in order, with blank nodes named by what is said of them."""
    statements = list(statements)
    said: dict[str, list[tuple[str, ...]]] = defaultdict(list)

    def masked(key: str) -> str:
        return "_:" if key.startswith("_:") else key

    for place, statement in enumerate(statements):
        for side in (0, 2):
            if statement[side].startswith("_:") and not (side == 2 and statement.datatype != IRI_VALUE):
                said[statement[side]].append((str(side), *map(masked, statement[:3]), str(statements[place].language)))
    names = {node: f"_:{place}" for place, node in enumerate(sorted(said, key=lambda node: sorted(said[node])))}
    replaced = (
        s._replace(subject=names.get(s.subject, s.subject), object=names.get(s.object, s.object)) for s in statements
    )
    return sorted(replaced, key=repr)


class Trickle(io.RawIOBase):
    """A stream that gives a few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self.inner = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        return self.inner.read(min(size, 7) if size >= 0 else 7)

    def readinto(self, buffer: Any, /) -> int:
        return self.inner.readinto(memoryview(buffer)[:7])

    def readline(self, size: int | None = -1, /) -> bytes:
        return self.inner.readline(-1 if size is None else size)


class ReaderContract(Contract):
    """What every reader of statements promises.

    `sample` holds `expected`; `broken` is not of the syntax in line `broken_line`, and `survives` is what a lenient
    reading still finds in it.
    """

    family = READERS
    sample: ClassVar[bytes]
    expected: ClassVar[tuple[Statement, ...]] = FACTS
    broken: ClassVar[bytes]
    broken_line: ClassVar[int | None]
    survives: ClassVar[int]

    def test_reads_its_sample(self) -> None:
        assert renamed(read(self.member, self.sample, base=E)) == renamed(self.expected)

    def test_the_same_bytes_give_the_same_statements(self) -> None:
        assert read(self.member, self.sample, base=E) == read(self.member, self.sample, base=E)

    def test_the_size_of_reads_does_not_matter(self) -> None:
        reader = READERS[self.member]()
        stream: Any = Trickle(self.sample)
        assert list(reader.statements(stream, reject=refuse, base=E)) == read(self.member, self.sample, base=E)

    def test_blank_nodes_are_scoped(self) -> None:
        here, there = (read(self.member, self.sample, scope=scope, base=E) for scope in ("f0.", "f1."))
        assert renamed(here) == renamed(there)
        blank = [{term for s in part for term in s[:3:2] if term.startswith("_:")} for part in (here, there)]
        assert not blank[0] & blank[1]
        assert all(node.startswith("_:f0.") for node in blank[0])

    def test_nothing_in_nothing(self) -> None:
        if self.member not in ("rdfxml", "jsonld"):
            assert read(self.member, b"") == read(self.member, b"\n\n") == []

    def test_a_byte_order_mark_is_no_statement(self) -> None:
        assert renamed(read(self.member, b"\xef\xbb\xbf" + self.sample, base=E)) == renamed(self.expected)

    def test_an_error_names_its_line(self) -> None:
        with pytest.raises(InputError, match=rf"^{self.broken_line}: \w"):
            read(self.member, self.broken, base=E)

    def test_an_error_can_be_passed_over(self) -> None:
        found, rejected = read_leniently(self.member, self.broken)
        assert len(found) == self.survives
        assert rejected[0][0] == self.broken_line and all(reason for _, reason in rejected)

    def test_is_found_by_its_suffixes(self) -> None:
        for suffix in READERS[self.member].suffixes:
            for name in (f"dump{suffix}", f"dump{suffix.upper()}.gz", f"a.b/dump{suffix}.zst"):
                assert type(reader_of(name)) is READERS[self.member]

    def test_every_compression(self, tmp_path: Path) -> None:
        for suffix, compress in COMPRESSORS.items():
            path = tmp_path / f"dump{suffix}"
            path.write_bytes(compress(self.sample))
            stream: Any = io.BufferedReader(Dump(path))
            found = READERS[self.member]().statements(stream, reject=refuse, base=E)
            assert list(found) == read(self.member, self.sample, base=E)


NT = b"""<http://example.org/Paris> <http://example.org/in> <http://example.org/France> .
# a comment
<http://example.org/Paris> <http://example.org/name> "Paris" .   # another
<http://example.org/Paris> <http://example.org/name> "Pa\\u0159\xc3\xad\xc5\xbe"@CS .

<http://example.org/Paris>\t<http://example.org/inhabitants>\t"007"^^<http://www.w3.org/2001/XMLSchema#integer>.
<http://example.org/Paris> <http://example.org/near> _:x .\r
_:x <http://example.org/said> "a \\"b\\" \\\\ c\\nd" .
"""
NT_BROKEN = b"""<urn:a> <urn:p> <urn:b> .
<urn:a> <urn:p> <urn:b>
<urn:c> <urn:p> "x\\z" .
<urn:c> <urn:p> "\xff" .
<urn:c> <urn:p> <urn:b> ."""


class TestNTriples(ReaderContract):
    member = "ntriples"
    sample, broken, broken_line, survives = NT, NT_BROKEN, 2, 2

    def test_exactly_the_broken_lines_are_refused(self) -> None:
        found, rejected = read_leniently(self.member, NT_BROKEN + b"\n<urn:d> <urn:p> <urn:b> <urn:g> .\nnonsense")
        assert [statement.subject for statement in found] == ["urn:a", "urn:c"]
        assert [line for line, _ in rejected] == [2, 3, 4, 6, 7]

    def test_lines_are_counted_across_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("kg.rdf.BLOCK", 64)
        lines = [b"<urn:a> <urn:p> <urn:%d> ." % number for number in range(100)]
        lines[70] = b"broken"
        found, rejected = read_leniently(self.member, b"\n".join(lines))
        assert [line for line, _ in rejected] == [71]
        assert [s.object for s in found] == [f"urn:{number}" for number in range(100) if number != 70]

    def test_a_line_beyond_all_bounds(self) -> None:
        data = b'<urn:a> <urn:p> "' + b"x" * (LONGEST_LINE + (4 << 20)) + b'" .\n<urn:a> <urn:p> <urn:b> .\nbad\n'
        found, rejected = read_leniently(self.member, data)
        assert [statement.object for statement in found] == ["urn:b"]
        assert [line for line, _ in rejected] == [1, 3]
        assert rejected[0][1] == "a line longer than 16 MiB"


class TestNQuads(ReaderContract):
    member = "nquads"
    sample, broken, broken_line, survives = NT, NT_BROKEN, 2, 2

    def test_graphs_are_told(self) -> None:
        data = b"<urn:a> <urn:p> <urn:b> <urn:g> .\n<urn:a> <urn:p> <urn:b> _:g .\n<urn:a> <urn:p> <urn:b> ."
        assert [statement.graph for statement in read(self.member, data, scope="f0.")] == ["urn:g", "_:f0.g", None]


TTL = """@prefix : <http://example.org/> .
:Paris :in :France ; :name "Paris", "Paříž"@cs ;
    :inhabitants 007 ;
    :near [ :said '''a "b" \\\\ c
d''' ] .
""".encode()
TTL_BROKEN = b"""@prefix : <urn:> .
:a :p :b .
:a :p nowhere:b .
:c :p :b ."""


class TestTurtle(ReaderContract):
    member = "turtle"
    sample, broken, broken_line, survives = TTL, TTL_BROKEN, 3, 2

    def test_relative_iris(self) -> None:
        assert read(self.member, b"<> <#p> <b> .", base="file:///dump.ttl") == [
            Statement("file:///dump.ttl", "file:///dump.ttl#p", "file:///b", IRI_VALUE)
        ]

    def test_blank_nodes_without_a_label_are_the_same_in_every_run(self) -> None:
        data = b"@prefix : <urn:> . [] :p [ :q () ] . _:mine :p _:b0 ."
        assert read(self.member, data) == read(self.member, data)
        assert len({term for s in read(self.member, data) for term in s[:3:2] if term.startswith("_:")}) == 4


class TestTriG(ReaderContract):
    member = "trig"
    sample, broken, broken_line, survives = TTL, TTL_BROKEN, 3, 2

    def test_graphs_are_told(self) -> None:
        assert [s.graph for s in read(self.member, b"@prefix : <urn:> . :g { :a :p :b } :a :p :c .")] == ["urn:g", None]


class TestN3(ReaderContract):
    member = "n3"
    sample, broken, broken_line, survives = TTL, TTL_BROKEN, 3, 2

    def test_formulas_are_no_facts(self) -> None:
        data = b"@prefix : <urn:> . :a :says { :b :p :c } . :a = :b ."
        assert {(s.predicate, s.object[:2], s.graph) for s in read(self.member, data)} == {
            ("urn:says", "_:", None),
            ("urn:p", "ur", FORMULA),
            ("http://www.w3.org/2002/07/owl#sameAs", "ur", None),
        }


class TestRdfXml(ReaderContract):
    member = "rdfxml"
    sample = """<?xml version="1.0"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://example.org/" xmlns:e="http://example.org/">
  <rdf:Description rdf:about="Paris" e:name="Paris">
    <in rdf:resource="http://example.org/France"/>
    <name xml:lang="cs">Paříž</name>
    <inhabitants rdf:datatype="http://www.w3.org/2001/XMLSchema#integer">007</inhabitants>
    <near rdf:parseType="Resource"><said>a "b" \\ c&#10;d</said></near>
  </rdf:Description>
</rdf:RDF>""".encode()
    broken = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://example.org/">
  <rdf:Description rdf:about="urn:a"><p rdf:resource="urn:b"/></rdf:Description>
  <rdf:Description rdf:about="urn:a"><p>text</q></rdf:Description>
  <rdf:Description rdf:about="urn:a"><p rdf:resource="urn:c"/></rdf:Description>
</rdf:RDF>"""
    broken_line, survives = 3, 1

    def test_long_lines_are_counted_once(self) -> None:
        padded = self.broken.replace(b"<rdf:RDF ", b"<rdf:RDF " + b" " * 9000).replace(
            b"</rdf:Desc", b" " * 9000 + b"</rdf:Desc"
        )
        assert read_leniently(self.member, padded)[1][0][0] == 3

    def test_the_rest_is_said_to_be_lost(self) -> None:
        assert "not read past" in read_leniently(self.member, self.broken)[1][0][1]


class TestJsonLd(ReaderContract):
    member = "jsonld"
    sample = """{
  "@context": {"@vocab": "http://example.org/", "in": {"@type": "@id"}},
  "@id": "http://example.org/Paris",
  "in": "http://example.org/France",
  "name": ["Paris", {"@value": "Paříž", "@language": "cs"}],
  "inhabitants": {"@value": "007", "@type": "http://www.w3.org/2001/XMLSchema#integer"},
  "near": {"said": "a \\"b\\" \\\\ c\\nd"}
}""".encode()
    broken = b'[{"@id": "urn:a", "urn:p": {"@id": "urn:b"}},\n{"@id": "urn:a" "urn:p"}]'
    broken_line, survives = 2, 1

    def test_a_context_elsewhere_is_not_fetched(self) -> None:
        with pytest.raises(InputError, match="remote contexts"):
            read(self.member, b'{"@context": "https://schema.org/", "name": "x"}')


# Traps, each of which some parser falls into


def one(line: str | bytes) -> Statement:
    (statement,) = read("ntriples", line.encode() if isinstance(line, str) else line)
    return statement


def test_escapes_in_iris_are_decoded() -> None:
    assert one(r"<urn:caf\u00e9> <urn:p> <urn:caf\U000000E9> .")[:3] == ("urn:café", "urn:p", "urn:café")


def test_language_tags_are_lower_case() -> None:
    assert one('<urn:a> <urn:p> "x"@EN-gb .').language == "en-gb"


def test_surrogate_pairs_are_refused() -> None:
    with pytest.raises(InputError, match="D83D"):
        one(r'<urn:a> <urn:p> "\uD83D\uDE00" .')


def test_nul_does_not_end_a_literal() -> None:
    assert one('<urn:a> <urn:p> "a\\u0000b" .').object == "a\0b"


def test_numbers_keep_their_spelling() -> None:
    data = "".join(f'<urn:a> <urn:p> "{text}"^^<{XSD}integer> .\n' for text in ("007", "7")).encode()
    assert [statement.object for statement in read("ntriples", data)] == ["007", "7"]


@pytest.mark.parametrize(
    "line",
    [
        r'<urn:a> <urn:p> "a\z" .',
        "<urn:a> <urn:p> <urn:b>",
        "<urn:a> <urn:p> <urn:b> <urn:g> .",
        "<urn:a> <urn:p> <urn: b> .",
        "<a> <urn:p> <urn:b> .",
        '<urn:a> "p" <urn:b> .',
        '<urn:a> <urn:p> "open .',
        '<urn:a> <urn:p> "x"@ .',
    ],
)
def test_malformed_lines_are_refused(line: str) -> None:
    with pytest.raises(InputError, match=r"^1: "):
        one(line)


def test_unicode_forms_stay_apart() -> None:
    assert one("<urn:\u00e9> <urn:p> <urn:b> .").subject != one("<urn:e\u0301> <urn:p> <urn:b> .").subject


def test_statements_about_statements() -> None:
    found = one('<urn:a> <urn:p> <<( _:s <urn:q> "o"@en )>> .')
    assert (found.object, found.datatype) == ('<<( _:s <urn:q> "o"@en )>>', QUOTED)
    assert one('<urn:a> <urn:p> "x"@ar--rtl .').language == "ar--rtl"


def test_xsd_string_is_a_plain_literal() -> None:
    assert one(f'<urn:a> <urn:p> "x"^^<{XSD}string> .') == one('<urn:a> <urn:p> "x" .')


def test_reasons_are_short() -> None:
    assert reason_of(SyntaxError("ill-formed document: no end")) == "ill-formed document: no end"


# Which files are read


def test_folders_globs_and_files(tmp_path: Path) -> None:
    for name in ("a.nt", "b.ttl.gz", "notes.txt", "deep/c.nq", "deep/d.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    names = [str(tmp_path / name) for name in ("a.nt", "b.ttl.gz", "deep/c.nq")]
    assert find_dumps([tmp_path]) == names
    assert find_dumps([f"{tmp_path}/*.nt", tmp_path / "a.nt", f"{tmp_path}/**/*.nq"]) == [names[0], names[2]]
    assert find_dumps(["-"]) == ["-"]
    assert type(reader_of("-")) is READERS["nquads"]
    for bad, match in ((tmp_path / "absent.nt", "absent.nt: no such file"), (f"{tmp_path}/*.xyz", "no dump there")):
        with pytest.raises(InputError, match=match):
            find_dumps([bad])
    with pytest.raises(InputError, match="no dump given"):
        find_dumps([])


def test_unknown_suffix_and_syntax() -> None:
    with pytest.raises(InputError, match=r"dump\.tll: no reader for the suffix '\.tll'; did you mean '\.ttl'"):
        reader_of("dump.tll")
    with pytest.raises(InputError, match=r"no reader is called 'turtel'; did you mean 'turtle'"):
        reader_of("dump.nt", "turtel")
    assert type(reader_of("dump.txt", "turtle")) is READERS["turtle"]
