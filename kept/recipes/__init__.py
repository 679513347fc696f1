"""Recipes: whole pre-training runs as small YAML files, found by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kept.training.recipe import Recipe
from kept.training.recipe_file import read_recipe
from kg.errors import InputError, nearest

HERE = Path(__file__).parent


def recipe_paths() -> dict[str, Path]:
    """The recipes that come with the package, by name.

    >>> "world-fused" in recipe_paths()
    True
    """
    return {path.stem: path for path in sorted(HERE.glob("*.yaml"))}


def load_recipe(name_or_path: str, settings: Sequence[str] = ()) -> Recipe:
    """A recipe by name or path, with `key.path=value` settings on top.

        >>> load_recipe("world-fused", ["seed=3"]).seed
        3

    Raises:
        InputError: in one line that names the recipe, file or key, with the nearest valid one.
    """
    known = recipe_paths()
    if name_or_path in known:
        return read_recipe(known[name_or_path], settings)
    path = Path(name_or_path)
    if not path.is_file() and path.suffix not in (".yaml", ".yml"):
        raise InputError(f"no recipe is called {name_or_path!r}; {nearest(name_or_path, known)}")
    return read_recipe(path, settings)
