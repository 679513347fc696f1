"""`kept split` and `kept records`."""

from __future__ import annotations

from pathlib import Path

import pytest

from kept.data.shards import read_records
from kept.data.sources import SOURCES, Facts
from kg import KnowledgeGraph
from kg.split import FactSplit, split_facts
from tests.pipelines.chain import Chain, answer, run


def test_the_split_is_that_of_the_library(chain: Chain, tmp_path: Path) -> None:
    world = KnowledgeGraph.open(chain.root / "world.kg")
    told = answer(
        *("split", chain.root / "world.kg", "--out", tmp_path / "s", "--graph-out", tmp_path / "g.kg", "--seed", 3),
        *("--hold-out", "country=1", "--structural", "kind"),
    )
    split = FactSplit.load(tmp_path / "s")
    expected = split_facts(world, structural_relations=["kind"], hold_out={"Country": 1}, seed=3)
    assert split.parts.tolist() == expected.parts.tolist() and split.held_out.tolist() == expected.held_out.tolist()
    assert told["facts"] == expected.counts() and told["held_out"] == world.entities.keys(expected.held_out)
    assert KnowledgeGraph.open(tmp_path / "g.kg").hash == expected.graph(world).hash


def test_records_go_to_a_folder_for_each_source(chain: Chain, tmp_path: Path) -> None:
    made = ("--split", chain.root / "split.safetensors", "--templates", chain.root / "templates.yaml")
    told = answer("records", chain.root / "world.kg", *made, "--out", tmp_path / "r", "--sources", "facts,captions")
    assert {path.name for path in (tmp_path / "r").iterdir()} == {"facts", "captions"}
    assert told["leaks"] == 0
    for name, count in told["records"].items():
        assert len(list(read_records(tmp_path / "r" / name))) == count > 0


def test_probe_pictures_stand_beside_names_only(chain: Chain, tmp_path: Path) -> None:
    made = ("--split", chain.root / "split.safetensors", "--templates", chain.root / "templates.yaml")
    probes = ("--probe-pictures", "borders=8")
    told = answer("records", chain.root / "world.kg", *made, "--out", tmp_path / "r", *probes)
    world = KnowledgeGraph.open(chain.root / "world.kg")
    hidden = set(world.entities.ids(told["pictures_with_names_only"]).tolist())
    assert hidden
    shown = {record.depicts for record in read_records(tmp_path / "r" / "picture-facts")}
    assert shown.isdisjoint(hidden)
    assert hidden <= {record.depicts for record in read_records(tmp_path / "r" / "captions")}


def test_a_leak_is_refused_before_anything_is_written(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SOURCES._parts, "facts", lambda: Facts(parts=("A", "B-dev", "B-test", "D")))
    made = ("--split", chain.root / "split.safetensors", "--templates", chain.root / "templates.yaml")
    result = run("records", chain.root / "world.kg", *made, "--out", tmp_path / "r")
    assert result.exit_code == 2 and not (tmp_path / "r").exists()
    last = result.stderr.splitlines()[-1]
    assert "leaks: the records state" in last and " of D" in last and "states " in last


def test_what_has_no_wording_is_told(chain: Chain, tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text('relations: {capital: {train: ["The capital of {head} is {tail}."]}}')
    made = ("--split", chain.root / "split.safetensors", "--templates", tmp_path / "t.yaml", "--out", tmp_path / "r")
    result = run("records", chain.root / "world.kg", *made)
    assert result.exit_code == 0 and "no sentences, for: " in result.stderr and "borders" in result.stderr
    (tmp_path / "t.yaml").write_text('relations: {capitol: {train: ["The capital of {head} is {tail}."]}}')
    result = run("records", chain.root / "world.kg", *made)
    assert result.exit_code == 2 and "t.yaml: has wordings for none of the graph's" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--structural", "boders"), "no relation has the key or label 'boders'; did you mean 'borders'?"),
        (("--hold-out", "Country"), "--hold-out Country: expected TYPE=N"),
        (("--hold-out", "Contry=2"), "did you mean"),
        (("--hold-out", "Country=99"), "99 of Country are wanted"),
    ],
)
def test_mistakes_of_a_split(chain: Chain, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    out = ("--out", tmp_path / "s", "--graph-out", tmp_path / "g.kg")
    result = run("split", chain.root / "world.kg", *out, *arguments)
    assert result.exit_code == 2 and message in result.stderr
    assert len(result.stderr.splitlines()) == 1 and not list(tmp_path.iterdir())
