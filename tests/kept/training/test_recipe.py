"""Recipes: whole ones are read, others are refused in one line that names the key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kept.recipes import load_recipe, recipe_paths
from kept.training.recipe_file import override, read_recipe
from kg.errors import InputError

WHOLE: dict[str, Any] = {
    "name": "small",
    "model": {"width": 16, "heads": 2, "image": {"size": 8, "patch": 4}, "knowledge": {"decoders": ["linear"]}},
    "graph": "graph.kg",
    "vectors": "vectors",
    "stages": [
        {
            "name": "facts",
            "steps": 5,
            "sources": {"text": {"records": "records"}, "captions": {"records": "captions", "batch": 2}},
            "objectives": {"mlm": {"rate": 0.2}, "mep": {"on": ["text"]}, "itc": {"on": ["captions"]}},
        }
    ],
}


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(WHOLE, sort_keys=False))
    return path


@pytest.mark.parametrize("name", sorted(recipe_paths()))
def test_the_recipes_that_come_along_are_sound(name: str) -> None:
    recipe = load_recipe(name)
    recipe.check_parts()
    assert recipe.name == name
    assert recipe.about


def test_a_recipe_is_read_with_its_defaults(recipe: Path) -> None:
    found = read_recipe(recipe)
    assert found.stages[0].sources["captions"].batch == 2
    assert found.stages[0].objectives["mlm"].options == {"weight": 1.0, "rate": 0.2}
    assert found.stages[0].rates == {"default": 1e-3}
    assert found.path(found.graph or Path()) == Path("graph.kg")


@pytest.mark.parametrize(
    ("setting", "read"),
    [
        ("seed=3", lambda found: found.seed == 3),
        ("stages.facts.steps=7", lambda found: found.stages[0].steps == 7),
        ("stages.0.steps=8", lambda found: found.stages[0].steps == 8),
        ("stages.facts.objectives.mlm.weight=2", lambda found: found.stages[0].objectives["mlm"].weight == 2.0),
        (
            "stages.facts.objectives.mlm.rate=1e-1",
            lambda found: found.stages[0].objectives["mlm"].options["rate"] == 0.1,
        ),
        ("stages.facts.rates={default: 1e-3, norm: .5}", lambda found: found.stages[0].rates["norm"] == 0.5),
        ("stages.facts.objectives.mlm.on=[text]", lambda found: found.stages[0].objectives["mlm"].on == ("text",)),
        ("model.knowledge.options.at=[0]", lambda found: found.model.knowledge.options == {"at": [0]}),
    ],
)
def test_settings_go_on_top(setting: str, read: Any, recipe: Path) -> None:
    assert read(read_recipe(recipe, [setting]))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["sead=1"], "small.yaml: unknown key 'sead'; did you mean 'seed'?"),
        (["model.widht=1"], "small.yaml: unknown key 'model.widht'; did you mean 'width'?"),
        (["model.knowledge.fusio=x"], "small.yaml: unknown key 'model.knowledge.fusio'; did you mean 'fusion'?"),
        (["stages.facts.step=1"], "small.yaml: unknown key 'stages.0.step'; did you mean 'steps'?"),
        (["stages.facts.sources.text.btach=1"], "unknown key 'stages.0.sources.text.btach'; did you mean 'batch'?"),
        (["stages.facts.objectives.mlm.rat=1"], "unknown key 'stages.0.objectives.mlm.rat'; did you mean 'rate'?"),
        (["model.image.sise=1"], "unknown key 'model.image.sise'; did you mean 'size'?"),
        (["model.knowledge.options.att=1"], "unknown key 'model.knowledge.options.att'; did you mean 'at'?"),
        (["model.block=merg"], "small.yaml: model.block: no block is called 'merg'; did you mean 'merge'?"),
        (["model.knowledge.fusion=mention"], "no fusion is called 'mention'; did you mean 'mentions'?"),
        (["model.knowledge.decoders=[operater]"], "no entity decoder is called 'operater'; did you mean 'operator'?"),
        (["stages.facts.objectives.mlmm.rate=1"], "no objective is called 'mlmm'; did you mean 'mlm'?"),
        (["stages.facts.objectives.mlm.on=[texts]"], "objectives.mlm.on names no source 'texts'; did you mean 'text'?"),
        (["stages.facts.objectives.mlm.rate=high"], "objectives.mlm.rate: Input should be a valid number, got 'high'"),
        (["model.image.size=8.5"], "model.image.size: Input should be a valid integer"),
        (["model.width=15"], "width 15 does not divide into 2 heads"),
        (["stages.facts.steps=0"], "stages.0.steps: Input should be greater than 0"),
        (["stages=[]"], "stages: Tuple should have at least 1 item"),
        (["stages.facts.name=Facts"], "stages.0.name: String should match pattern"),
        (["stages.facts.rates={norm: 1}"], "rates needs a key 'default'"),
        (["vectors=null"], "model.knowledge needs vectors"),
        (["model.knowledge=null"], "the objective 'mep' needs model.knowledge"),
        (["graph=null"], "the objective 'mep' needs graph"),
        (["model.image=null"], "the objective 'itc' needs model.image or model.regions"),
        (["stages.facts.accumulate=2"], "'itc' compares the records of one micro-batch"),
        (["seed"], "--set seed: write key=value"),
        (["seed=["], "--set seed=[: the value cannot be read"),
        (["stages.fact.steps=1"], "--set stages.fact.steps: no entry 'fact' in this list; did you mean 'facts'?"),
        (["stages.7.steps=1"], "--set stages.7.steps: no entry '7' in this list; choose from facts"),
        (["graph.x=1"], "--set graph.x: 'graph' holds 'graph.kg', which has no keys"),
        (["graph.x.y=1"], "--set graph.x.y: 'x' is not under a mapping or a list"),
    ],
)
def test_mistakes_name_the_key_in_one_line(settings: list[str], message: str, recipe: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_recipe(recipe, settings)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_stages_of_one_name_are_refused(recipe: Path) -> None:
    recipe.write_text(yaml.safe_dump({**WHOLE, "stages": WHOLE["stages"] * 2}))
    with pytest.raises(InputError, match="two stages have the same name"):
        read_recipe(recipe)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("name: [\n", r"small.yaml:2: not valid YAML"),
        ("name: a\n\tb: c\n", r"small.yaml:2: not valid YAML"),
        ("- a\n", "small.yaml: a recipe is a mapping of keys"),
        ("", "small.yaml: a recipe is a mapping of keys"),
        ("name: a\n", "small.yaml: stages: Field required"),
        ("nmae: a\n", "small.yaml: unknown key 'nmae'; did you mean 'name'?"),
        ("1: a\n", "small.yaml: "),
        (b"\xff\xfe\x00", "small.yaml: not valid YAML"),
    ],
)
def test_a_file_that_is_no_recipe_is_told_in_one_line(content: str | bytes, message: str, recipe: Path) -> None:
    recipe.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message) as caught:
        read_recipe(recipe)
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there_are_named(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no recipe is called 'world-fusd'; did you mean 'world-fused'"):
        load_recipe("world-fusd")
    with pytest.raises(InputError, match=r"absent.yaml: no such file"):
        load_recipe(str(tmp_path / "absent.yaml"))
    folder = tmp_path / "folder.yaml"
    folder.mkdir()
    with pytest.raises(InputError, match=r"folder.yaml: Is a directory"):
        load_recipe(str(folder))
    found = read_recipe(recipe, [f"root={tmp_path}"])
    for name, key in (
        ("graph.kg", "graph"),
        ("vectors", "vectors"),
        ("records", "stages.0.sources.text.records"),
        ("captions", "stages.0.sources.captions.records"),
    ):
        with pytest.raises(InputError) as caught:
            found.check_files()
        assert str(caught.value) == f"{key}: {tmp_path / name} does not exist"
        (tmp_path / name).mkdir()
    found.check_files()


def test_words_and_numbers_are_read_as_written() -> None:
    tree: dict[str, Any] = {}
    for setting in ("a=on", "b=yes", "c=true", "d=1e-3", "e=1.5", "f=007x", "g=3", "h=", "i=.5", "j=-2E+2"):
        override(tree, setting)
    assert tree == {
        "a": "on", "b": "yes", "c": True, "d": 1e-3, "e": 1.5, "f": "007x", "g": 3, "h": None, "i": 0.5, "j": -200.0,
    }  # fmt: skip
    assert isinstance(tree["g"], int)
