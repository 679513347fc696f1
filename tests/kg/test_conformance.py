"""The W3C suites, from their manifests, through the readers of the house and the fast lane."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyoxigraph
import pytest

from kg import InputError
from kg.literals import IRI_VALUE, Literal
from kg.rdf import QUOTED, READERS, LineReader, Statement
from kg.terms import ntriples_literal
from tests.kg.test_lines import assert_same

pytestmark = pytest.mark.data

RDFT = "http://www.w3.org/ns/rdftest#"
MF = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
SYNTAX = {
    "NTriples": "ntriples",
    "NQuads": "nquads",
    "Turtle": "turtle",
    "TriG": "trig",
    "Trig": "trig",
    "XML": "rdfxml",
}
CANONICAL = "C14N"
"""Tests of writing canonical forms, which is no matter of reading."""

NAMESPACES = "an XML literal keeps declarations of namespaces that it does not use"
EXCEPTIONS = {
    "rdf11/rdf-xml: xml-canon-test001": NAMESPACES,
    "rdf11/rdf-xml: xml-canon-test002": NAMESPACES,
    "rdf12/rdf-xml/eval: rdf12-xml-an-13": NAMESPACES,
    "rdf12/rdf-xml/eval: rdf12-xml-an-14": NAMESPACES,
}
"""Tests that are not passed, by name, and why."""
REMOTE = "a context elsewhere is not fetched, on purpose"
DIRECTION = "the direction of a text is kept, as RDF 1.2 has it, where the test wants it dropped"
RELATIVE = "an unusual relative IRI or base (RFC 3986, section 5.4.2) is resolved otherwise"
JSON_LD_EXCEPTIONS = {
    **dict.fromkeys(("#tc031", "#tc034", "#te126", "#te127", "#te128"), REMOTE),
    **dict.fromkeys(("#tso05", "#tso06", "#tso08", "#tso09", "#tso11"), REMOTE),
    **dict.fromkeys(("#tdi02", "#tdi04", "#tdi05", "#tdi06"), DIRECTION),
    **dict.fromkeys(("#t0122", "#t0123", "#te062", "#te091"), RELATIVE),
    "#tli12": "a base that is no IRI is refused, where the test wants it passed over",
    "#tc013": "a type map takes the context of the containing type into account",
}
JSON_LD_OPTIONS = {"specVersion", "base", "normative", "useJCS", "processingMode"}
"""Tests with other options, such as a context from outside, ask for what the reader does not offer."""


@dataclass(frozen=True)
class Case:
    """One test of a manifest."""

    name: str
    syntax: str
    positive: bool
    action: Path
    result: Path | None
    base: str

    def read(self) -> list[Statement]:
        return read(self.syntax, self.action.read_bytes(), self.base)


def read(syntax: str, data: bytes, base: str | None) -> list[Statement]:
    def reject(line: int | None, reason: str) -> None:
        raise InputError(f"{line}: {reason}")

    return list(READERS[syntax]().statements(io.BytesIO(data), reject=reject, base=base))


def canonical(statements: list[Statement]) -> pyoxigraph.Dataset:
    """A data set in which equal graphs have equal blank nodes."""
    lines = []
    for subject, predicate, target, datatype, language, graph, _ in statements:
        literal = Literal(predicate, target, datatype, language)
        shown = node(target) if datatype == IRI_VALUE else target if datatype == QUOTED else ntriples_literal(literal)
        lines.append(f"{node(subject)} <{predicate}> {shown} {node(graph) if graph else ''} .")
    data = pyoxigraph.Dataset(pyoxigraph.parse("\n".join(lines).encode(), format=pyoxigraph.RdfFormat.N_QUADS))
    data.canonicalize(pyoxigraph.CanonicalizationAlgorithm.UNSTABLE)
    return data


def node(key: str) -> str:
    return key if key.startswith("_:") else f"<{key}>"


def cases(folder: Path) -> Iterator[Case]:
    """The tests of all manifests below a folder."""
    folder = folder / "rdf"
    for manifest in sorted(folder.rglob("manifest.ttl")):
        said = read("turtle", manifest.read_bytes(), manifest.as_uri())
        kinds = {s.subject: s.object for s in said if s.predicate == RDF + "type" and s.object.startswith(RDFT)}
        facts: dict[tuple[str, str], str] = {(s.subject, s.predicate): s.object for s in said}
        assumed = next((s.object for s in said if s.predicate == MF + "assumedTestBase"), None)
        for test, kind in kinds.items():
            name = kind.removeprefix(RDFT)
            if CANONICAL in name:
                continue
            (syntax,) = {SYNTAX[known] for known in SYNTAX if name.startswith(f"Test{known}")}
            action, result = local(facts[test, MF + "action"]), facts.get((test, MF + "result"))
            base = (assumed or manifest.parent.as_uri() + "/") + str(action.relative_to(manifest.parent))
            yield Case(
                f"{manifest.parent.relative_to(folder)}: {facts[test, MF + 'name']}",
                syntax,
                "Negative" not in name,
                action,
                local(result) if result else None,
                base,
            )


def local(address: str) -> Path:
    return Path(address.removeprefix("file://"))


def problem(case: Case) -> str | None:
    """What is wrong with how a case is read; None when it passes."""
    try:
        found = case.read()
    except InputError as error:
        return f"refused: {error}" if case.positive else None
    if not case.positive:
        return f"accepted: {found[:2]}" if case.result is None or not same(found, case) else None
    return None if case.result is None or same(found, case) else "another graph"


def same(found: list[Statement], case: Case) -> bool:
    assert case.result is not None
    syntax = {".nt": "ntriples", ".nq": "nquads"}[case.result.suffix]
    return canonical(found) == canonical(read(syntax, case.result.read_bytes(), None))


@pytest.mark.parametrize("suite", ["rdf11", "rdf12"])
def test_rdf(suite: str, real_data: Callable[[str], Path]) -> None:
    chosen = [case for case in cases(real_data("kg/w3c-rdf-tests")) if case.name.startswith(suite)]
    assert len(chosen) == {"rdf11": 992, "rdf12": 250}[suite]
    assert {case.syntax for case in chosen} == {*SYNTAX.values()}
    wrong = {case.name: said for case in chosen if (said := problem(case)) is not None}
    assert set(wrong) == {name for name in EXCEPTIONS if name.startswith(suite)}, wrong


def test_lines_in_the_fast_lane(real_data: Callable[[str], Path]) -> None:
    found = cases(real_data("kg/w3c-rdf-tests"))
    lines = [case for case in found if isinstance(READERS[case.syntax](), LineReader)]
    assert len(lines) > 200
    for case in lines:
        assert_same(case.action.read_bytes())
    assert_same(b"\n".join(case.action.read_bytes() for case in lines))


def test_json_ld(real_data: Callable[[str], Path]) -> None:
    folder = real_data("kg/w3c-json-ld-tests") / "tests"
    manifest = json.loads((folder / "toRdf-manifest.jsonld").read_text(encoding="utf-8"))
    wrong, count = {}, 0
    for test in manifest["sequence"]:
        options = test.get("option", {})
        old = "json-ld-1.0" in (options.get("specVersion"), options.get("processingMode"))
        if old or set(options) - JSON_LD_OPTIONS:
            continue
        count += 1
        positive = "jld:NegativeEvaluationTest" not in test["@type"]
        result = folder / test["expect"] if positive and "expect" in test else None
        base = options.get("base") or manifest["baseIri"] + test["input"]
        case = Case(test["@id"], "jsonld", positive, folder / test["input"], result, base)
        if (said := problem(case)) is not None:
            wrong[case.name] = said
    assert count == 443 and set(wrong) == set(JSON_LD_EXCEPTIONS), wrong
