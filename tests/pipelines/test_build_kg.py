"""`kept build-kg` and `kept kg`: what they print, and how they fail."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from kg import KnowledgeGraph
from pipelines.cli import app

E = "http://example.org/"
DUMP = f"""<{E}Paris> <{E}capitalOf> <{E}France> .
<{E}Berlin> <{E}capitalOf> <{E}Germany> .
<{E}France> <{E}borders> <{E}Germany> .
<{E}Paris> <http://www.w3.org/2000/01/rdf-schema#label> "Paris"@en .
<{E}Paris> <http://www.w3.org/2000/01/rdf-schema#comment> "A city."@en .
<{E}Paris> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <{E}City> .
<{E}France> <{E}name> "France" .
"""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, list(map(str, arguments)))


def answer(*arguments: object) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    (tmp_path / "world.nt.gz").write_bytes(gzip.compress(DUMP.encode()))
    result = run("build-kg", tmp_path / "world.nt.gz", "--out", tmp_path / "world.kg")
    assert result.exit_code == 0, result.output
    return tmp_path / "world.kg"


def test_build_says_what_it_made_and_what_comes_next(tmp_path: Path) -> None:
    (tmp_path / "a.nt").write_text(DUMP + "broken\n")
    result = run("build-kg", tmp_path / "a.nt", "--out", tmp_path / "a.kg", "--on-error", "skip")
    assert result.exit_code == 0 and result.stdout == ""
    for text in (
        "7 statements in",
        "5 entities, 3 relations, 4 triples",
        "3 literals; 1 entities have a label",
        "left out: 1 (malformed, listed in",
        f"--predicate label={E}name",
        "next: kept kg info",
    ):
        assert text in result.stderr


def test_build_as_json(tmp_path: Path) -> None:
    (tmp_path / "a.nt").write_text(DUMP)
    summary = answer("build-kg", tmp_path / "a.nt", "--out", tmp_path / "a.kg", "--lang", "de", "--quiet")
    assert (summary["triples"], summary["literals"], summary["language"]) == (4, 3, "de")
    assert summary["hash"] == KnowledgeGraph.open(tmp_path / "a.kg").hash


def test_build_with_predicates_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "a.nt").write_text(DUMP)
    run("build-kg", tmp_path / "a.nt", "--out", tmp_path / "a.kg", "--predicate", f"label={E}name")
    assert len(KnowledgeGraph.open(tmp_path / "a.kg").find("france")) == 1
    for setting, message in (("label", "expected ROLE=IRI"), ("lable=x", "did you mean 'label'")):
        result = run("build-kg", tmp_path / "a.nt", "--out", tmp_path / "a.kg", "--predicate", setting)
        assert result.exit_code == 2 and message in result.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(DUMP.encode())[:-4], "a.nt.gz: truncated (gzip data ends in the middle)"),
        (gzip.compress(b"<urn:a> <urn:p> <urn:b> .\nnonsense\n"), "a.nt.gz:2: "),
        (b"plain", "a.nt.gz: not gzip data"),
        (None, "a.nt.gz: no such file"),
    ],
    ids=["truncated", "malformed", "not compressed", "absent"],
)
def test_bad_input_is_one_line_and_leaves_nothing(content: bytes | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "a.nt.gz").write_bytes(content)
    result = run("build-kg", tmp_path / "a.nt.gz", "--out", tmp_path / "a.kg")
    assert result.exit_code == 2
    assert result.stderr.startswith("kept: ") and message in result.stderr and "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"a.nt.gz"}


def test_info(graph: Path) -> None:
    told = answer("kg", "info", graph)
    assert told["meta"]["triples"] == 4 and told["statistics"]["types"][0]["label"] == "City"
    printed = run("kg", "info", graph).stdout
    for text in ("triples", "capitalOf", "City", "world.nt.gz", "mean 1.6"):
        assert text in printed


def test_show(graph: Path, tmp_path: Path) -> None:
    about = answer("kg", "show", graph, "paris", "--draw", tmp_path / "paris.svg")
    assert (about["label"], about["types"], about["description"]) == ("Paris", ["City"], "A city.")
    assert {fact["label"] for fact in about["out"]} == {"France", "City"}
    assert "<svg" in (tmp_path / "paris.svg").read_text()
    for name in ("Paris", E + "Paris", about["id"]):
        assert "-> capitalOf: France" in run("kg", "show", graph, name).stdout
    assert "<- capitalOf: Paris" in run("kg", "show", graph, "France").stdout
    result = run("kg", "show", graph, "Pariss")
    assert result.exit_code == 2 and "did you mean 'paris'?" in result.stderr


def test_search(graph: Path) -> None:
    assert [row["label"] for row in answer("kg", "search", graph, "p")["entities"]] == ["Paris"]
    assert "Paris" in run("kg", "search", graph, "PAR").stdout
    assert [row["label"] for row in answer("kg", "search", graph, "pariss")["entities"]] == ["Paris"]
    assert answer("kg", "search", graph, "par", "--fuzzy")["entities"] == []
    assert "no name begins so or is near 'zzz'" in run("kg", "search", graph, "zzz").stderr


def test_sparql(graph: Path, tmp_path: Path) -> None:
    query = f"SELECT ?c {{ ?c <{E}capitalOf> ?x }} ORDER BY ?c"
    assert answer("kg", "sparql", graph, query) == {
        "variables": ["c"],
        "rows": [{"c": E + "Berlin"}, {"c": E + "Paris"}],
    }
    (tmp_path / "q.rq").write_text(query)
    assert E + "Berlin" in run("kg", "sparql", graph, f"@{tmp_path / 'q.rq'}").stdout
    assert run("kg", "sparql", graph, f"ASK {{ <{E}Paris> ?p ?o }}").stdout == "yes\n"
    assert run("kg", "sparql", graph, "SELEC").exit_code == 2
    assert "absent.rq: no such file" in run("kg", "sparql", graph, "@absent.rq").stderr


def test_path(graph: Path) -> None:
    facts = answer("kg", "path", graph, "Paris", "Berlin")["path"]
    assert [(fact["head_label"], fact["tail_label"]) for fact in facts] == [
        ("Paris", "France"),
        ("France", "Germany"),
        ("Berlin", "Germany"),
    ]
    assert "France -- borders -> Germany" in run("kg", "path", graph, "Paris", "Berlin").stdout
    assert answer("kg", "path", graph, "Paris", "Berlin", "--max-hops", 1)["path"] is None


def test_export(graph: Path, tmp_path: Path) -> None:
    assert answer("kg", "export", graph, "--out", tmp_path / "again.nt.gz")["rows"] == 7
    again = answer("build-kg", tmp_path / "again.nt.gz", "--out", tmp_path / "again.kg")
    assert again["hash"] == KnowledgeGraph.open(graph).hash


@pytest.mark.parametrize("command", ["info", "show", "search", "sparql", "path", "export"])
def test_what_is_no_graph(command: str, tmp_path: Path) -> None:
    rest = {"show": ["x"], "search": ["x"], "sparql": ["ASK {}"], "path": ["x", "y"], "export": ["--out", "x.nt"]}
    result = run("kg", command, tmp_path / "absent.kg", *rest.get(command, []))
    assert result.exit_code == 2 and "no such graph directory" in result.stderr


@pytest.mark.data
def test_stardog_music(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    dump = real_data("kg/stardog-music") / "music.ttl.gz"
    name = "label=http://stardog.com/tutorial/name"
    summary = answer("build-kg", dump, "--out", tmp_path / "music.kg", "--predicate", name)
    assert summary["statements"] == 41_099
    assert [row["label"] for row in answer("kg", "search", tmp_path / "music.kg", "abbey r")["entities"]] == [
        "Abbey Road"
    ]
