"""What a person can mend is one line that names it, exit code 2, no traceback, and nothing half-written."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipelines.chain import Chain, run

LINE = "<http://example.org/a> <http://example.org/p> <http://example.org/b> .\n"
QUESTION = "The capital of France is [MASK]."


def tree(*folders: Path) -> dict[str, int]:
    """Every file and its size."""
    return {str(path): path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file()}


def truncated(folder: Path, chain: Chain) -> tuple[str, ...]:
    (folder / "a.nt.gz").write_bytes(gzip.compress(LINE.encode() * 50)[:-6])
    return "build-kg", f"{folder}/a.nt.gz", "--out", f"{folder}/a.kg"


def malformed(folder: Path, chain: Chain) -> tuple[str, ...]:
    (folder / "a.nt").write_text(LINE + "<http://example.org/a> <http://example.org/p> .\n" + LINE)
    return "build-kg", f"{folder}/a.nt", "--out", f"{folder}/a.kg"


def other_version(folder: Path, chain: Chain) -> Path:
    """A graph directory of a version to come."""
    shutil.copytree(chain.root / "graph.kg", folder / "other.kg")
    meta = json.loads((folder / "other.kg" / "meta.json").read_text())
    (folder / "other.kg" / "meta.json").write_text(json.dumps({**meta, "version": meta["version"] + 1}))
    return folder / "other.kg"


def no_picture(folder: Path, chain: Chain) -> tuple[str, ...]:
    (folder / "flag.png").write_text("not a picture")
    return "ask", str(chain.model), QUESTION, "--image", f"{folder}/flag.png"


def no_picture_to_train_with(folder: Path, chain: Chain) -> tuple[str, ...]:
    shutil.copytree(chain.root / "pictures", folder / "pictures", ignore=shutil.ignore_patterns(".*"))
    (folder / "pictures" / "images" / "FR.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    return "pretrain", str(chain.recipe), "--out", f"{folder}/run", "--set", f"pictures={folder}/pictures"


def broken_recipe(folder: Path, chain: Chain) -> tuple[str, ...]:
    (folder / "recipe.yaml").write_text("name: a\nstages: [\n")
    return "pretrain", f"{folder}/recipe.yaml", "--out", f"{folder}/run"


def unknown_key_in_a_recipe(folder: Path, chain: Chain) -> tuple[str, ...]:
    (folder / "recipe.yaml").write_text(chain.recipe.read_text().replace("  width: 16", "  widht: 16"))
    return "pretrain", f"{folder}/recipe.yaml", "--out", f"{folder}/run"


def pretrain(*settings: str) -> Callable[[Path, Chain], tuple[str, ...]]:
    def arguments(folder: Path, chain: Chain) -> tuple[str, ...]:
        given = tuple(part for setting in settings for part in ("--set", setting.format(folder=folder)))
        return "pretrain", str(chain.recipe), "--out", f"{folder}/run", *given

    return arguments


def plain(*arguments: str) -> Callable[[Path, Chain], tuple[str, ...]]:
    return lambda folder, chain: tuple(part.format(folder=folder, root=chain.root) for part in arguments)


def with_other_version(*arguments: str) -> Callable[[Path, Chain], tuple[str, ...]]:
    def made(folder: Path, chain: Chain) -> tuple[str, ...]:
        place = other_version(folder, chain)
        return tuple(part.format(folder=folder, root=chain.root, graph=place) for part in arguments)

    return made


OUT = ("--out", "{folder}/out")
SPLIT, TEMPLATES = ("--split", "{root}/split.safetensors"), ("--templates", "{root}/templates.yaml")
MISTAKES: dict[str, tuple[Callable[[Path, Chain], tuple[str, ...]], str]] = {
    "a truncated gz": (truncated, "{folder}/a.nt.gz: truncated"),
    "a malformed line": (malformed, "{folder}/a.nt:2:"),
    "a missing dump": (plain("build-kg", "{folder}/b.nt", *OUT), "{folder}/b.nt: no such file"),
    "a missing graph to embed": (plain("embed", "{folder}/b.kg", *OUT), "{folder}/b.kg: no such graph"),
    "a missing graph to split": (plain("split", "{folder}/b.kg", *OUT), "{folder}/b.kg: no such graph"),
    "a missing split": (
        plain("records", "{root}/world.kg", "--split", "{folder}/s", *TEMPLATES, *OUT),
        "{folder}/s: no such file",
    ),
    "missing wordings": (
        plain("records", "{root}/world.kg", *SPLIT, "--templates", "{folder}/t.yaml", *OUT),
        "{folder}/t.yaml: no such file",
    ),
    "a split of another graph": (
        plain("records", "{root}/graph.kg", *SPLIT, *TEMPLATES, *OUT),
        "the split was made for the graph",
    ),
    "a split that is none": (
        plain("records", "{root}/world.kg", "--split", "{root}/templates.yaml", *TEMPLATES, *OUT),
        "templates.yaml: not a split of facts",
    ),
    "an unknown source": (
        plain("records", "{root}/world.kg", *SPLIT, *TEMPLATES, *OUT, "--sources", "fact"),
        "did you mean 'facts'?",
    ),
    "a missing model": (plain("ask", "{folder}/model", QUESTION), "{folder}/model: no model here"),
    "a missing picture": (
        plain("ask", "{root}/run/model", QUESTION, "--image", "{folder}/flag.png"),
        "{folder}/flag.png: no such file",
    ),
    "a picture that is none": (no_picture, "{folder}/flag.png: not a picture"),
    "a training picture that is none": (no_picture_to_train_with, "FR.png: not a picture"),
    "an unknown recipe": (
        plain("pretrain", "world-fusd", *OUT),
        "no recipe is called 'world-fusd'; did you mean 'world-fused'?",
    ),
    "a missing recipe": (plain("pretrain", "{folder}/r.yaml", *OUT), "{folder}/r.yaml: no such file"),
    "a recipe that is no YAML": (broken_recipe, "{folder}/recipe.yaml:3: not valid YAML"),
    "an unknown key in a recipe": (unknown_key_in_a_recipe, "unknown key 'model.widht'; did you mean 'width'?"),
    "an unknown setting": (pretrain("modle.width=8"), "unknown key 'modle'; did you mean 'model'?"),
    "an unknown option of an objective": (
        pretrain("stages.facts.objectives.mlm.rat=0.2"),
        "unknown key 'stages.0.objectives.mlm.rat'; did you mean 'rate'?",
    ),
    "an unknown objective": (pretrain("stages.facts.objectives.mlmm={{}}"), "did you mean 'mlm'?"),
    "a width that does not divide": (pretrain("model.width=15"), "model: width 15 does not divide into 2 heads"),
    "missing records": (
        pretrain("stages.facts.sources.facts.records={folder}/none"),
        "stages.0.sources.facts.records: {folder}/none does not exist",
    ),
    "missing vectors": (pretrain("vectors={folder}/none"), "vectors: {folder}/none does not exist"),
    "an unknown setting of a fit": (
        plain("embed", "{root}/graph.kg", *OUT, "--set", "dmi=8"),
        "did you mean 'dim'?",
    ),
    "an unknown scorer": (plain("embed", "{root}/graph.kg", *OUT, "--scorer", "complx"), "did you mean 'complex'?"),
    "another version to look at": (with_other_version("kg", "info", "{graph}"), "other.kg"),
    "another version to embed": (with_other_version("embed", "{graph}", *OUT), "other.kg"),
    "another version to split": (with_other_version("split", "{graph}", *OUT), "other.kg"),
    "another version to ask": (
        with_other_version("ask", "{root}/run/model", QUESTION, "--graph", "{graph}"),
        "other.kg",
    ),
    "another version to train with": (
        lambda folder, chain: (*pretrain(f"graph={other_version(folder, chain)}")(folder, chain),),
        "other.kg",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_one_line_and_nothing_else(mistake: str, chain: Chain, tmp_path: Path) -> None:
    make, message = MISTAKES[mistake]
    arguments = make(tmp_path, chain)
    before = tree(tmp_path, chain.root)
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == "" and len(result.stderr.splitlines()) == 1, result.output
    assert result.stderr.startswith("kept: ") and message.format(folder=tmp_path) in result.stderr
    assert tree(tmp_path, chain.root) == before


def test_a_graph_of_another_version_names_both(chain: Chain, tmp_path: Path) -> None:
    result = run("kg", "info", other_version(tmp_path, chain))
    assert "format" in result.stderr or "version" in result.stderr
    assert any(character.isdigit() for character in result.stderr.rpartition("other.kg")[2])


@pytest.mark.parametrize("mistake", ["a truncated gz", "an unknown recipe"])
def test_the_console_script_ends_alike(mistake: str, chain: Chain, tmp_path: Path) -> None:
    make, message = MISTAKES[mistake]
    arguments = [sys.executable, "-m", "pipelines.cli", *make(tmp_path, chain), "--json"]
    before = tree(tmp_path)
    ended = subprocess.run(arguments, capture_output=True, text=True, env={**os.environ, "COLUMNS": "80"})
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) == 1 and message.format(folder=tmp_path) in ended.stderr
    assert json.loads(ended.stdout)["exit"] == 2
    assert tree(tmp_path) == before
