"""Dumps to graph directories: the same statements whatever the syntax, order, workers and interruptions."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg import InputError, KnowledgeGraph
from kg.build import build
from kg.literals import IRI_VALUE
from kg.meta import GraphMeta
from kg.predicates import RDF, RDFS_LABEL, Predicates
from kg.rdf import Statement, Turtle

E = "http://example.org/"
LINES = [
    f"<{E}a> <{E}p> <{E}b> .",
    f"<{E}a> <{E}p> <{E}b> .",
    f"<{E}b> <{E}q> _:x .",
    f'<{E}a> <{RDFS_LABEL}> "Anna"@en .',
    f'<{E}a> <{RDFS_LABEL}> "Anne"@fr .',
    f'<{E}p> <{RDFS_LABEL}> "precedes"@en .',
    f'<{E}a> <{E}age> "7"^^<http://www.w3.org/2001/XMLSchema#integer> .',
    f"<{E}a> <http://schema.org/image> <{E}a.png> .",
    f"<{E}a> <{E}says> <<( <{E}b> <{E}q> <{E}c> )>> .",
]


def write(path: Path, lines: Iterable[str] = LINES) -> Path:
    text = "\n".join(lines) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def accounted(meta: GraphMeta) -> int:
    """Every statement that was read is a triple, a literal, or counted as left out."""
    left_out = sum(count for reason, count in meta.skipped.items() if reason != "malformed")
    return meta.triples + meta.literals + left_out


def test_counts(tmp_path: Path) -> None:
    dump = write(tmp_path / "a.nt.gz")
    meta = build([dump], tmp_path / "a.kg")
    assert (meta.statements, meta.entities, meta.relations, meta.triples, meta.literals) == (9, 3, 2, 2, 5)
    assert meta.skipped == {"duplicate": 1, "quoted statement": 1}
    assert accounted(meta) == meta.statements
    (source,) = meta.sources
    assert (source.path, source.bytes, source.statements) == (str(dump), dump.stat().st_size, 9)
    assert KnowledgeGraph.open(tmp_path / "a.kg").meta == meta


def test_what_each_statement_becomes(tmp_path: Path) -> None:
    build([write(tmp_path / "a.nt")], tmp_path / "a.kg")
    kg = KnowledgeGraph.open(tmp_path / "a.kg")
    assert set(kg.statements()) == {(E + "a", E + "p", E + "b"), (E + "b", E + "q", "_:x")}
    a = kg.entities.id(E + "a")
    assert (kg.label(a), kg.label(a, "fr"), kg.images(a)) == ("Anna", "Anne", [E + "a.png"])
    assert [(x.value, x.datatype) for x in kg.literals(a) if x.predicate == E + "age"] == [
        ("7", "http://www.w3.org/2001/XMLSchema#integer")
    ]
    assert kg.relation_label(kg.relations.id(E + "p")) == "precedes"
    assert E + "p" not in kg.entities and E + "a.png" not in kg.entities


# Any statements, against the same in memory

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
iris = st.sampled_from([E + name for name in ("a", "b", "c", "café", "日本", "e\u0301", RDFS_LABEL[-5:])])
nodes = iris | st.sampled_from(["_:x", "_:y.z", "_:0"])
predicates = st.sampled_from([E + "p", E + "q", RDFS_LABEL, E + "a", "http://schema.org/image"])
resources = st.builds(lambda s, p, o: Statement(s, p, o, IRI_VALUE), nodes, predicates, nodes)
tagged = st.builds(
    lambda s, p, o, t: Statement(s, p, o, None, t), nodes, predicates, words, st.sampled_from(["en", "de-at"])
)
typed = st.builds(lambda s, p, o, t: Statement(s, p, o, t), nodes, predicates, words, st.sampled_from([None, E + "t"]))
statements = st.lists(resources | tagged | typed, max_size=40)


def mangled(statement: Statement, rng: random.Random) -> str:
    """One line of N-Triples: any character may be escaped, any space may be a tab, comments anywhere."""

    def escaped(text: str, forbidden: str) -> str:
        def one(character: str) -> str:
            if character in forbidden or ord(character) < 0x20 or rng.random() < 0.3:
                return (
                    f"\\U{ord(character):08X}"
                    if ord(character) > 0xFFFF or rng.random() < 0.5
                    else f"\\u{ord(character):04X}"
                )
            return character

        return "".join(map(one, text))

    def node(key: str) -> str:
        return key if key.startswith("_:") else f"<{escaped(key, '<>')}>"

    if statement.datatype == IRI_VALUE:
        target = node(statement.object)
    else:
        target = f'"{escaped(statement.object, chr(34) + chr(92))}"'
        if statement.language:
            target += "@" + "".join(rng.choice((c.upper(), c.lower())) for c in statement.language)
        elif statement.datatype:
            target += f"^^{node(statement.datatype)}"
    space = rng.choice((" ", "\t", "  \t "))
    end = rng.choice((".", " .", ' .  # a comment <urn:x> "', "\t.\r"))
    return f"{node(statement.subject)}{space}{node(statement.predicate)}{space}{target}{space}{end}"


@given(statements, st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_any_statements(tmp_path_factory: pytest.TempPathFactory, given_statements: list[Statement], seed: int) -> None:
    folder = tmp_path_factory.mktemp("any")
    rng = random.Random(seed)
    lines = [mangled(statement, rng) for statement in given_statements]
    meta = build([write(folder / "a.nt", lines)], folder / "a.kg")
    assert meta.hash == KnowledgeGraph.from_statements(given_statements).hash
    assert accounted(meta) == meta.statements == len(given_statements)
    kg = KnowledgeGraph.open(folder / "a.kg")
    images = Predicates().image
    assert set(kg.statements()) == {
        (s.subject, s.predicate, s.object)
        for s in given_statements
        if s.datatype == IRI_VALUE and s.predicate not in images
    }
    assert {(subject, x.predicate, x.value, x.datatype, x.language) for subject, x in kg.all_literals()} == {
        s[:5] for s in given_statements if s.datatype != IRI_VALUE or s.predicate in images
    }
    rng.shuffle(lines)
    assert build([write(folder / "a.nt", lines)], folder / "a.kg").hash == meta.hash


# Several dumps


def test_blank_nodes_of_two_files_stay_apart(tmp_path: Path) -> None:
    for name in ("a.nt", "b.nt"):
        write(tmp_path / name, [f"_:x <{E}p> <{E}b> ."])
    assert build([tmp_path / "a.nt"], tmp_path / "one.kg").triples == 1
    assert build([tmp_path / "a.nt", tmp_path / "b.nt"], tmp_path / "two.kg").triples == 2
    assert build([tmp_path / "a.nt", tmp_path / "a.nt"], tmp_path / "same.kg").triples == 1, "a file counts once"


def test_workers_and_the_order_of_statements_do_not_matter(tmp_path: Path) -> None:
    lines = [f"<{E}{n % 7}> <{E}p{n % 3}> <{E}{n * n % 11}> ." for n in range(60)]
    lines += [f'<{E}{n}> <{RDFS_LABEL}> "{n}" .' for n in range(5)]
    for part in range(3):
        write(tmp_path / f"{part}.nt", lines[part::3])
    alone = build([tmp_path / f"{part}.nt" for part in range(3)], tmp_path / "alone.kg")
    together = build([f"{tmp_path}/*.nt"], tmp_path / "together.kg", workers=2)
    assert together == alone
    assert contents(tmp_path / "alone.kg") == contents(tmp_path / "together.kg")
    assert build([write(tmp_path / "whole.ttl", lines)], tmp_path / "whole.kg").hash == alone.hash


def test_standard_input(tmp_path: Path) -> None:
    code = f"from kg.build import build; print(build(['-'], {str(tmp_path / 'a.kg')!r}).triples)"
    data = gzip.compress("\n".join(LINES).encode())
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, check=True)
    assert done.stdout.split()[-1] == b"2"


def test_named_graphs(tmp_path: Path) -> None:
    dump = write(tmp_path / "a.nq", [f"<{E}a> <{E}p> <{E}b> <{E}g> .", f"<{E}a> <{E}p> <{E}c> ."])
    kept = build([dump], tmp_path / "a.kg")
    assert (kept.triples, kept.counted, kept.skipped) == (2, {"in named graphs": 1}, {})
    dropped = build([dump], tmp_path / "a.kg", named_graphs="drop")
    assert (dropped.triples, dropped.counted, dropped.skipped) == (1, {}, {"named graph": 1})


def test_formulas_are_left_out_and_counted(tmp_path: Path) -> None:
    dump = write(tmp_path / "a.n3", ["@prefix : <urn:> . { :a :p :b } a :Rumour . :a :q :b ."])
    meta = build([dump], tmp_path / "a.kg")
    assert (meta.triples, meta.skipped) == (2, {"formula": 1})
    assert accounted(meta) == meta.statements


def test_only_some_languages(tmp_path: Path) -> None:
    dump = write(tmp_path / "a.nt", [f'<{E}a> <{E}n> "x"{tag} .' for tag in ("", "@en", "@en-GB", "@fr", "@eng")])
    meta = build([dump], tmp_path / "a.kg", languages=["en"])
    assert (meta.literals, meta.skipped) == (3, {"language": 2})


def test_predicates_of_ones_own_and_language(tmp_path: Path) -> None:
    dump = write(tmp_path / "a.nt", [f'<{E}a> <{E}called> "Anna"@en .', f'<{E}a> <{E}called> "Anne"@fr .'])
    build([dump], tmp_path / "a.kg", predicates=Predicates().preferring("label", E + "called"), language="fr")
    assert KnowledgeGraph.open(tmp_path / "a.kg").label(0) == "Anne"


def test_relative_iris_have_the_name_of_the_file_as_base(tmp_path: Path) -> None:
    dump = write(tmp_path / "a.ttl", ["<> <#p> <b> ."])
    build([dump], tmp_path / "a.kg")
    assert list(KnowledgeGraph.open(tmp_path / "a.kg").statements()) == [
        ("file:///a.ttl", "file:///a.ttl#p", "file:///b")
    ]
    build([dump], tmp_path / "a.kg", base=E)
    assert list(KnowledgeGraph.open(tmp_path / "a.kg").statements()) == [(E, E + "#p", E + "b")]


def test_nothing_at_all(tmp_path: Path) -> None:
    meta = build([write(tmp_path / "a.nt", [])], tmp_path / "a.kg")
    assert (meta.entities, meta.triples) == (0, 0)
    assert KnowledgeGraph.open(tmp_path / "a.kg").num_entities == 0


# What cannot be read

BROKEN = [*LINES[:2], "broken", *LINES[2:], f"<{E}a> <{E}p> <{E}b> <{E}g> ."]


def test_the_first_error_stops_the_build(tmp_path: Path) -> None:
    dump = write(tmp_path / "a.nt", BROKEN)
    with pytest.raises(InputError, match=r"a\.nt:3: \w"):
        build([dump], tmp_path / "a.kg")
    assert [path.name for path in tmp_path.iterdir()] == ["a.nt"]


def test_errors_are_listed(tmp_path: Path) -> None:
    dump = write(tmp_path / "a.nt", BROKEN)
    meta = build([dump], tmp_path / "a.kg", on_error="skip")
    assert meta.skipped["malformed"] == 2
    assert meta.hash == build([write(tmp_path / "good.nt")], tmp_path / "good.kg").hash
    header, *rows = (tmp_path / "a.kg" / "rejected.tsv").read_text().splitlines()
    assert header == "file\tline\treason"
    assert [row.split("\t")[:2] for row in rows] == [[str(dump), "3"], [str(dump), "11"]]
    assert all(len(row.split("\t")) == 3 and row.split("\t")[2] for row in rows)


def test_too_many_errors(tmp_path: Path) -> None:
    dump = write(tmp_path / "a.nt", BROKEN)
    with pytest.raises(InputError, match=r"a\.nt:11: .* more than 1 errors"):
        build([dump], tmp_path / "a.kg", on_error="skip", max_errors=1)
    other = write(tmp_path / "b.nt", BROKEN)
    with pytest.raises(InputError, match="4 malformed statements in all"):
        build([dump, other], tmp_path / "a.kg", on_error="skip", max_errors=3)
    assert not (tmp_path / "a.kg").exists()


def test_a_failed_build_leaves_the_old_graph(tmp_path: Path) -> None:
    good = build([write(tmp_path / "a.nt")], tmp_path / "a.kg")
    (tmp_path / "cut.nt.gz").write_bytes(gzip.compress("\n".join(LINES).encode())[:-9])
    with pytest.raises(InputError, match=r"cut\.nt\.gz: truncated"):
        build([tmp_path / "a.nt", tmp_path / "cut.nt.gz"], tmp_path / "a.kg")
    assert KnowledgeGraph.open(tmp_path / "a.kg").hash == good.hash
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.kg", "a.nt", "cut.nt.gz"]


def test_an_error_in_a_worker(tmp_path: Path) -> None:
    dumps = [write(tmp_path / "a.nt"), write(tmp_path / "b.nt", BROKEN)]
    with pytest.raises(InputError, match=r"b\.nt:3: "):
        build(dumps, tmp_path / "a.kg", workers=2)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"on_error": "skpi"}, "on_error: 'skpi' is no choice; did you mean 'skip'"),
        ({"named_graphs": "x"}, "named_graphs: 'x' is no choice"),
        ({"syntax": "n-triples"}, "no reader is called 'n-triples'; did you mean 'ntriples'"),
    ],
)
def test_wrong_choices(options: dict[str, str], match: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=match):
        build([write(tmp_path / "a.nt")], tmp_path / "a.kg", **options)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["a.nt"]


def test_absent_dumps_and_occupied_places(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.nt: no such file"):
        build([tmp_path / "absent.nt"], tmp_path / "a.kg")
    with pytest.raises(InputError, match="not a graph directory"):
        build([write(tmp_path / "a.nt")], tmp_path)


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("kg.build.fill_directory", full)
    with pytest.raises(InputError, match=r"a\.kg: No space left on device"):
        build([write(tmp_path / "a.nt")], tmp_path / "a.kg")
    assert [path.name for path in tmp_path.iterdir()] == ["a.nt"]


# Interruptions


@pytest.mark.parametrize("memory", [None, 200_000])
def test_a_disk_that_fills_up(memory: int | None, tmp_path: Path) -> None:
    """The system refuses to let a file grow, wherever in the build that happens."""
    resource = pytest.importorskip("resource")
    out = tmp_path / "a.kg"
    build([write(tmp_path / "old.nt")], out)
    before = contents(out)
    dump = write(tmp_path / "a.nt.gz", [f'<{E}{n}> <{E}p> "{n * n}" .' for n in range(20_000)])
    code = f"from kg.build import build\nbuild([{str(dump)!r}], {str(out)!r}, memory={memory})"
    limit = 100_000
    for _ in range(3):
        ran = subprocess.run(
            [sys.executable, "-c", code],
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),  # noqa: B023
        )
        assert ran.returncode and ran.stderr.splitlines()[-1] == f"kg.errors.InputError: {out}: File too large"
        assert contents(out) == before and not list(tmp_path.glob(".*"))
        limit *= 2


def test_finished_dumps_are_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dumps = [write(tmp_path / f"{part}.nt", LINES[part::2]) for part in range(2)]
    whole = build(dumps, tmp_path / "whole.kg")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("kg.build.join", interrupted)
        build(dumps, tmp_path / "a.kg")
    assert (tmp_path / ".a.kg.partial").is_dir() and not (tmp_path / "a.kg").exists()

    read: list[str] = []
    from kg.reading import read_dump

    def recorded(task, *rest, **options):  # type: ignore[no-untyped-def]
        read.append(Path(task.path).name)
        return read_dump(task, *rest, **options)

    write(dumps[1], [*LINES[1::2], f"<{E}z> <{E}p> <{E}z> ."])
    monkeypatch.setattr("kg.reading.read_dump", recorded)
    assert build(dumps, tmp_path / "a.kg", resume=True).triples == whole.triples + 1
    assert read == ["1.nt"], "the dump that changed is read again, the other is not"
    assert not list(tmp_path.glob(".*"))


def test_another_policy_reads_all_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dump = write(tmp_path / "a.nt")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("kg.build.join", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        build([dump], tmp_path / "a.kg")
    assert build([dump], tmp_path / "a.kg", languages=["fr"], resume=True).skipped["language"] == 2


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.2])
def test_killed_at_any_moment(delay: float, tmp_path: Path) -> None:
    lines = [f"<{E}{n % 5003}> <{E}p{n % 7}> <{E}{n * n % 10007}> ." for n in range(20_000)]
    dumps = [write(tmp_path / f"{part}.nt.gz", lines[part::4]) for part in range(4)]
    names = [str(dump) for dump in dumps]
    expected = build(names, tmp_path / "expected.kg")
    out = tmp_path / "a.kg"
    code = f"print('go', flush=True)\nfrom kg.build import build\nbuild({names!r}, {str(out)!r})"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        deadline = time.monotonic() + 20
        while not (tmp_path / ".a.kg.partial").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(delay)
        os.kill(process.pid, signal.SIGKILL)
    if out.exists():
        assert KnowledgeGraph.open(out).hash == expected.hash
    assert build(names, out, resume=True) == expected
    assert contents(out) == contents(tmp_path / "expected.kg")
    assert not list(tmp_path.glob(".*"))


# Dumps that nobody here made


@pytest.mark.data
def test_stardog_music(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    name = "http://stardog.com/tutorial/name"
    meta = build(
        [real_data("kg/stardog-music") / "music.ttl.gz"],
        tmp_path / "music.kg",
        predicates=Predicates().preferring("label", name),
    )
    assert meta.statements == 41_099 and accounted(meta) == 41_099 and not meta.skipped
    kg = KnowledgeGraph.open(tmp_path / "music.kg")
    counts = {kg.relation_label(relation): len(kg.rows_of(relation)) for relation in range(kg.num_relations)}
    assert counts.pop("type") == 7_674
    assert counts == {"writer": 7_296, "track": 3_810, "producer": 2_777, "artist": 1_039, "member": 208}
    (beatles,) = kg.find("the beatles")
    assert set(kg.labels(kg.out(beatles)[1])) >= {"John Lennon", "Paul McCartney", "George Harrison", "Ringo Starr"}


@pytest.mark.data
def test_aifb(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    meta = build([real_data("kg/aifb") / "AIFB_complete.n3"], tmp_path / "aifb.kg")
    assert meta.statements == accounted(meta) == 29_226


@pytest.mark.data
def test_one_graph_in_five_syntaxes(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    folder = real_data("kg/schema-org")
    made = {
        suffix: build([folder / f"schemaorg-all-https.{suffix}"], tmp_path / "a.kg")
        for suffix in ("nt", "nq", "ttl", "rdf", "jsonld")
    }
    assert {meta.statements for meta in made.values()} == {18_061}
    assert len({meta.hash for meta in made.values()}) == 1


@pytest.mark.data
def test_typed_literals_and_images_in_literals(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    build([real_data("kg/mrgcn-multimodal") / "classification" / "context.nt.gz"], tmp_path / "a.kg")
    kg = KnowledgeGraph.open(tmp_path / "a.kg")
    assert kg.meta.statements == 2_594
    kinds = {str(literal.datatype).split("#")[-1].split("/")[-1] for _, literal in kg.all_literals()}
    assert {"integer", "float", "date", "dateTime", "gYear", "anyURI"} <= kinds
    assert max(len(literal.value) for _, literal in kg.all_literals()) > 1_000


def test_meta_is_json_for_people(tmp_path: Path) -> None:
    build([write(tmp_path / "a.nt")], tmp_path / "a.kg")
    meta = json.loads((tmp_path / "a.kg" / "meta.json").read_text())
    assert list(meta)[:2] == ["format", "version"]
    assert meta["sources"][0]["sha256"] and meta["options"]["on_error"] == "raise"


# The same entity under several names

SAME = "http://www.w3.org/2002/07/owl#sameAs"
TWINS = [
    f"<{E}a> <{SAME}> <{E}b> .",
    f"<{E}c> <{SAME}> <{E}b> .",
    f"<{E}b> <{E}p> <{E}d> .",
    f"<{E}b> <{E}q> <{E}d> .",
    f"<{E}c> <{E}p> <{E}d> .",
    f'<{E}a> <{RDFS_LABEL}> "A"@en .',
    f"<{E}x> <{SAME}> _:y .",
    f"_:y <{E}p> <{E}d> .",
]


def test_the_same_stay_apart_unless_asked(tmp_path: Path) -> None:
    kg = opened(tmp_path, TWINS)
    assert kg.num_entities == 6 and SAME in kg.relations


def test_the_same_become_one(tmp_path: Path) -> None:
    kg = opened(tmp_path, TWINS, same_as="merge")
    assert list(kg.entities) == [E + "b", E + "d", E + "x"] and SAME not in kg.relations
    b, d, x = E + "b", E + "d", E + "x"
    assert set(kg.statements()) == {(b, E + "p", d), (b, E + "q", d), (x, E + "p", d)}
    assert {x.value for x in kg.literals(kg.entities.id(E + "b")) if x.predicate == SAME} == {E + "a", E + "c"}
    assert kg.label(kg.entities.id(E + "b")) == "A"
    assert kg.meta.counted == {"entities merged into others": 3} and accounted(kg.meta) == kg.meta.statements


QUALIFIED = [
    f"<{E}a> <http://www.wikidata.org/prop/P39> <{E}s1> .",
    f"<{E}s1> <http://www.wikidata.org/prop/statement/P39> <{E}b> .",
    f'<{E}s1> <http://www.wikidata.org/prop/qualifier/P580> "1962"^^<urn:year> .',
    f"<{E}s1> <http://www.wikidata.org/prop/qualifier/P1365> <{E}c> .",
    f"<{E}r> <{RDF}subject> <{E}a> .",
]


def test_statements_about_statements_are_counted(tmp_path: Path) -> None:
    assert opened(tmp_path, QUALIFIED).meta.counted == {"qualifiers": 2, "reified statements": 1}


def opened(place: Path, lines: Iterable[str], **options: Any) -> KnowledgeGraph:
    build([write(place / "a.nt", lines)], place / "a.kg", **options)
    return KnowledgeGraph.open(place / "a.kg")


# Which literals are kept


def test_only_some_literals(tmp_path: Path) -> None:
    kg = opened(tmp_path, LINES, literals=["label"])
    assert {x.predicate for _, x in kg.all_literals()} == {RDFS_LABEL}
    assert kg.meta.skipped == {"duplicate": 1, "literal": 2, "quoted statement": 1}
    assert accounted(kg.meta) == kg.meta.statements and kg.meta.options["literals"] == ["label"]
    assert opened(tmp_path, LINES, literals=["image", "other"]).meta.literals == 2
    with pytest.raises(InputError, match="'labels' is no role; did you mean 'label'"):
        opened(tmp_path, LINES, literals=["labels"])


# Turtle that is lines


@pytest.mark.parametrize(
    ("extra", "is_lines"),
    [
        ("# completed 2022-12-01", True),
        (f"@prefix e: <{E}> .\ne:a e:p e:b .", False),
        (f"<relative> <{E}p> <{E}b> .", False),
        (f"_:x <{E}p> <{E}b> .\n_:x <{E}p> <{E}a> .", False),
        (f"<{E}a> <{E}p> <{E}b> ,\n <{E}c> .", False),
    ],
)
def test_turtle_that_is_lines(extra: str, is_lines: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join([*(f"<{E}{n}> <{E}p> <{E}{n + 1}> ." for n in range(300)), extra, f"<{E}z> <{E}p> <{E}z> ."])
    (tmp_path / "a.ttl").write_text(text)
    expected = build([tmp_path / "a.ttl"], tmp_path / "slow.kg")
    monkeypatch.setattr("kg.reading.COMPILED_FROM", 0)
    monkeypatch.setattr("kg.lines.BLOCK", 1000)
    called: list[str] = []
    parsed = Turtle.statements

    def statements(self: Turtle, *args: object, **options: object) -> object:
        called.append("turtle")
        return parsed(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Turtle, "statements", statements)
    for memory in (None, 20_000):
        called.clear()
        assert build([tmp_path / "a.ttl"], tmp_path / "fast.kg", memory=memory, workers=2) == expected
        assert called == ([] if is_lines else ["turtle"])
        assert contents(tmp_path / "fast.kg") == contents(tmp_path / "slow.kg")
