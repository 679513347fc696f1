from __future__ import annotations

import yaml

from kept.recipes import recipe_paths
from tests.pipelines.chain import answer, run


def test_recipes_are_listed_with_what_they_are_about() -> None:
    listed = answer("recipes")
    assert set(listed) == set(recipe_paths()) and all(listed.values())
    shown = run("recipes").stdout
    assert all(f"{name} " in shown and about in shown for name, about in listed.items())


def test_a_recipe_is_printed_as_it_is() -> None:
    name, path = next(iter(recipe_paths().items()))
    assert run("recipes", name).stdout == path.read_text(encoding="utf-8")
    told = answer("recipes", name)
    assert told["recipe"] == yaml.safe_load(path.read_text(encoding="utf-8")) and told["path"] == str(path)


def test_an_unknown_name() -> None:
    result = run("recipes", "world-fuse")
    assert result.exit_code == 2 and "did you mean 'world-fused'?" in result.stderr
