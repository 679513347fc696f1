"""The fast lane gives what the parser gives, statement by statement and refusal by refusal."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kg import InputError, lines, paired
from kg.assemble import Run
from kg.interning import Table, intern
from kg.lines import scan_dump
from kg.literals import IRI_VALUE
from kg.policy import Policy, Tally
from kg.predicates import Predicates
from kg.rdf import FORMULA, QUOTED, READERS, LineReader

E = "http://example.org/"
IMAGE = "http://schema.org/image"
Found = tuple["Counter[tuple[str | None, ...]]", list[tuple[int | None, str]], Tally]

PLAIN = [
    f"<{E}a> <{E}p> <{E}b> .",
    f'<{E}a> <{E}p> "text"@en-GB .',
    f'<{E}a>\t<{E}p> "7"^^<http://www.w3.org/2001/XMLSchema#integer>.',
    f'<{E}b> <{E}q> "\\t\\"\\\\ \\u00e9 \\U0001F600 é 東京 😀" .',
    f"_:x <{E}p> _:y1 .",
    f"<{E}Zürich_(city)?a=b&c#d> <urn:p:q> <mailto:a@b.c> .",
    f"<{E}a> <{IMAGE}> <http://host:8080/%41.png> .",
    f'<{E}a> <{E}p> "x"^^<http://www.w3.org/2001/XMLSchema#string> .\r',
    f"<{E}a> <{E}p> <{E}b> <{E}graph> .",
    f'<{E}a> <{E}p> "z" _:g .',
]
ODD = [
    "",
    "   ",
    "# a comment",
    f"<{E}a> <{E}p> <{E}b> . # behind",
    f"<{E}a><{E}p><{E}b>.",
    f'<{E}a> <{E}p> "x"@EN-gb, .',
    f'<{E}a> <{E}p> "x"@ar--rtl .',
    f'<{E}a> <{E}p> "x"@toolongforatag .',
    f'<{E}a> <{E}p> "x"^^<relative> .',
    f'<{E}a> <{E}p> "x"^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#langString> .',
    f'<{E}a> <{E}p> "\\uD83D\\uDE00" .',
    f'<{E}a> <{E}p> "\\z" .',
    f'<{E}a> <{E}p> "open .',
    f"<{E}caf\\u00e9> <{E}p> <{E}b> .",
    f"<{E}a b> <{E}p> <{E}b> .",
    f"<{E}a> <{E}p> <{E}b>",
    f"<{E}a> <{E}p> <<( <{E}s> <{E}q> _:o )>> .",
    "<http://[::1]/> <http:> <a:> .",
    "<http://a@b:c/%zz> <http://a#b#c> <http://e.org:80> .",
    "<//no.scheme> <urn:p> <1a:b> .",
    f"_:a.b <{E}p> _:- .",
    f"<{E}a> <{IMAGE}> _:b .",
    f'<{E}a> _:p "x" .',
    "<<<>>> .",
    f"<_:x> <{E}p> <{E}b> .\n_:x <{E}p> <_:x> .\n<_{E}a> <{E}p> <{E}b> .",
    f"<{E}\u202e> <{E}\uf8ff> <{E}\U000e0001> .",
    f"<{E}a> <{E}p> <{E}b> .\r<{E}c> <{E}p> <{E}d> .",
]
HARD = [b"\x00", b"\xff", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc2\x85", b"\xef\xbb\xbf"]
BYTES = st.sampled_from([*HARD, *(bytes([code]) for code in b'<>"\\@^_:.# \t\r\n%/?{}|`a0Z-')])


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A line, some of whose bytes were replaced, put in or taken out."""
    line = draw(st.sampled_from(PLAIN + ODD)).encode()
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(line)))
        line = line[:place] + draw(BYTES) + line[place + draw(st.integers(0, 2)) :]
    return line


def slowly(data: bytes, syntax: str, policy: Policy) -> Found:
    """What the parser finds: statements, refusals, counters."""
    refused: list[tuple[int | None, str]] = []
    reader = READERS[syntax]()
    found: Counter[tuple[str | None, ...]] = Counter()
    total = quoted = foreign = unwanted = in_graphs = 0
    for statement in reader.statements(io.BytesIO(data), reject=lambda *place: refused.append(place)):
        assert statement.graph != FORMULA
        total += 1
        in_graphs += statement.graph is not None
        if statement.graph is not None and policy.named_graphs == "drop":
            continue
        if statement.datatype == QUOTED:
            quoted += 1
        elif statement.datatype != IRI_VALUE and not policy.speaks(statement.language):
            foreign += 1
        elif (statement.datatype != IRI_VALUE or statement.predicate in policy.predicates.image) and not policy.wants(
            statement.predicate
        ):
            unwanted += 1
        else:
            found[statement[:5]] += 1
    counts = {"quoted": quoted, "foreign": foreign, "unwanted": unwanted, "in_graphs": in_graphs}
    return found, refused, Tally.of(policy, total, **counts)


def fast(data: bytes, syntax: str, policy: Policy, threads: int = 1, scope: str = "") -> Found:
    """What the fast lane finds."""
    reader = READERS[syntax]()
    assert isinstance(reader, LineReader)
    refused: list[tuple[int | None, str]] = []
    stream = io.BytesIO(data)
    tally, parts = scan_dump(stream, reader, policy, lambda *place: refused.append(place), scope, threads)
    found: Counter[tuple[str | None, ...]] = Counter()
    for part in parts:
        found.update(statements(part.run()))
    return found, refused, tally


def statements(run: Run) -> Iterable[tuple[str | None, ...]]:
    entities, predicates, values = run.entities.to_pylist(), run.predicates.to_pylist(), run.values.to_pylist()
    assert len(set(entities)) == len(entities) and len(set(predicates)) == len(predicates)
    used = {*run.edges[:, 0].tolist(), *run.edges[:, 2].tolist(), *run.literals[:, 0].tolist()}
    assert used == set(range(len(entities))), "no name without a statement"
    for subject, predicate, target in run.edges.tolist():
        yield entities[subject], predicates[predicate], entities[target], IRI_VALUE, None
    for (subject, predicate, kind), value in zip(run.literals[:, :3].tolist(), values, strict=True):
        yield entities[subject], predicates[predicate], value, *run.kinds[kind]


def assert_same(data: bytes, policy: Policy | None = None) -> None:
    policy = policy or Policy()
    for syntax in ("ntriples", "nquads"):
        expected = slowly(data, syntax, policy)
        for threads in (1, 2):
            assert fast(data, syntax, policy, threads) == expected, (syntax, threads)


@pytest.mark.parametrize("line", [*PLAIN, *ODD])
def test_each_trap(line: str) -> None:
    assert_same(line.encode())
    assert_same(f"{line}\n{line}\n".encode())


@given(st.lists(mangled(), max_size=12), st.sampled_from([b"\n", b"\r\n"]))
@settings(max_examples=400, deadline=None)
@example([b"\xef\xbb\xbf" + PLAIN[0].encode()], b"\n")
@example([PLAIN[4].encode(), PLAIN[4].encode()], b"\n")
def test_any_bytes(some: list[bytes], end: bytes) -> None:
    assert_same(end.join(some))


@given(st.lists(mangled(), max_size=12))
@settings(max_examples=60, deadline=None)
def test_any_policy(some: list[bytes]) -> None:
    assert_same(b"\n".join(some), Policy(languages=("en",), named_graphs="drop"))
    assert_same(b"\n".join(some), Policy(Predicates(image=(E + "p",)), languages=()))
    for literals in (("image",), ("other",), ("label", "alias"), ()):
        assert_same(b"\n".join(some), Policy(Predicates(label=(E + "p",)), literals=literals))


@given(st.text(st.characters(codec="utf-8"), max_size=6), st.integers(0, 3))
@settings(max_examples=300, deadline=None)
def test_any_text_in_any_term(text: str, place: int) -> None:
    terms = [f"<{E}{text}>", f"<{E}p{text}>", f"<{E}{text}b>"] if place < 3 else [f"<{E}a>", f"<{E}p>", f'"{text}"']
    assert_same(f"{' '.join(terms)} .\n".encode())


RUNS = [
    "<{s}> <{e}p> <{e}{n}> .",
    '<{s}> <{e}label> "{n}"@en .',
    '<{s}> <{e}other> "{n} \\u00e9"@de .',
    '<{s}> <{e}other> "{n} é"^^<urn:t{n}> .',
    '<{s}> <{e}other> "\\ud800" .',
    "<{s}> <{e}p> <{e}b c> .",
    "<{s}> <{e}p> _:b{n} .",
    "_:b{n} <{e}p> <{s}> .",
    "<{s} > <{e}p> <{e}{n}> .",
    "",
    "# {n}",
    "nonsense",
]


@given(st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, len(RUNS) - 1), max_size=90)), max_size=6))
@settings(max_examples=80, deadline=None)
@example([(3, [1, 2]), (0, [2, 9, 1]), (1, [0]), (0, [0])])
def test_runs_of_one_subject(runs: list[tuple[int, list[int]]]) -> None:
    some = [RUNS[form].format(s=f"{E}{who}", e=E, n=(who * 7 + form) % 5) for who, forms in runs for form in forms]
    data = "\n".join(some).encode()
    assert_same(data)
    assert_same(data, Policy(Predicates(label=(E + "label",)), languages=("en",), literals=("label",)))


@pytest.mark.parametrize("letter", ['"', ">", "\\", "\\n", "\\\\", "\\u00e9", "\\u12", "\x01", "\n", "é", "😀", " "])
def test_a_letter_at_every_place(letter: str) -> None:
    for place in range(70):
        text = f"{'a' * place}{letter}{'b' * (70 - place)}"
        assert_same(f'<{E}a> <{E}p> "{text}" .\n<{E}b> <{E}p> "{text[: place + len(letter)]}" .'.encode())
        assert_same(f"<{E}{text}> <{E}p> <{E}c> .\n<{E}b> <{E}p> <{E}{text[: place + len(letter)]}>.".encode())


@pytest.mark.parametrize(("threads", "rows"), [(1, 1), (2, 65), (2, 3), (5, 500)])
def test_many_blocks_and_threads(threads: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BLOCK", 700)
    monkeypatch.setattr(paired, "BLOCK", 700)
    monkeypatch.setattr(paired, "ROWS", rows)
    rng = np.random.default_rng(0)
    pool = [line.encode() for line in PLAIN + ODD] + [
        f'<{E}{n}> <{E}p{n % 3000}> "{n}"^^<urn:t{n % 900}> .'.encode() for n in range(6000)
    ]
    data = b"\n".join(pool[place] for place in rng.permutation(len(pool)))
    assert fast(data, "nquads", Policy(), threads) == slowly(data, "nquads", Policy())


def test_more_names_than_a_table_starts_with() -> None:
    data = "".join(f"<{E}{n}> <{E}p{n % 5000}> <{E}x{n * n}> .\n" for n in range(70_000)).encode()
    expected = slowly(data, "ntriples", Policy())
    for threads in (1, 2):
        assert fast(data, "ntriples", Policy(), threads) == expected


@pytest.mark.parametrize("size", [1 << 20, (1 << 22) + 17, 20 << 20])
def test_long_lines(size: int) -> None:
    data = f'<{E}a> <{E}p> "{"x" * size}" .\n<{E}a> <{E}p> <{E}b> .\n<{E}a> <{E}p> "{"y" * 9}" .'.encode()
    assert_same(data)
    assert len(fast(data, "ntriples", Policy())[0]) == (3 if size < 1 << 24 else 2)


def test_blank_nodes_get_their_scope() -> None:
    found, _, _ = fast(f"_:x <{E}p> _:y .\n_:x <{IMAGE}> _:y .\n".encode(), "ntriples", Policy(), scope="f1.")
    assert {(row[0], row[2]) for row in found} == {("_:f1.x", "_:f1.y")}


def test_the_first_refusal_stops() -> None:
    def refuse(line: int | None, reason: str) -> None:
        raise InputError(f"{line}: {reason}")

    data = (PLAIN[0] + "\n").encode() * 500 + b"nonsense\n" + (PLAIN[0] + "\n").encode() * 500
    reader = READERS["ntriples"]()
    assert isinstance(reader, LineReader)
    with pytest.raises(InputError, match=r"^501: \w"):
        scan_dump(io.BytesIO(data), reader, Policy(), refuse, "", 2)


@given(st.lists(st.binary(max_size=40), max_size=60))
@settings(max_examples=60, deadline=None)
def test_interning(keys: list[bytes]) -> None:
    table = Table.empty(4, 4)
    numbers: dict[bytes, int] = {}
    for key in keys:
        table, number = intern(table, key)
        assert numbers.setdefault(key, len(numbers)) == number
    assert [table.key(number) for number in range(len(table))] == list(numbers)
