"""A recipe out of its file, with settings on top, and what is wrong with it in one line."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from kept.training.recipe import Recipe
from kg.errors import InputError, nearest


class Loader(yaml.SafeLoader):
    """YAML 1.2's scalars, in which `on` is a word and `1e-3` a number."""


BOOL, FLOAT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:float"
NUMBER = r"[-+]?(?:(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in (BOOL, FLOAT)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(BOOL, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
Loader.add_implicit_resolver(FLOAT, re.compile(f"^{NUMBER}$"), list("-+.0123456789"))


def read_recipe(path: Path, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe file, with `key.path=value` settings on top, and check it whole.

    Raises:
        InputError: in one line that names file and key.
    """
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except OSError as error:
        raise InputError(
            f"{path}: {'no such file' if isinstance(error, FileNotFoundError) else error.strerror}"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise InputError(f"{path}{line}: not valid YAML ({getattr(error, 'problem', error)})") from None
    if not isinstance(tree, dict):
        raise InputError(f"{path}: a recipe is a mapping of keys")
    for setting in settings:
        override(tree, setting)
    try:
        recipe = Recipe.model_validate(tree)
    except ValidationError as error:
        raise InputError(f"{path.name}: {explain(error)}") from None
    try:
        recipe.check_parts()
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from None
    return recipe


def override(tree: dict[str, Any], setting: str) -> None:
    """Set `a.b.0.c=value` in a tree of mappings and lists; the value is read as YAML.

    An entry of a list is called by its position or its `name`.

        >>> tree = {"stages": [{"name": "facts", "steps": 800}]}
        >>> override(tree, "stages.facts.steps=20")
        >>> tree["stages"][0]["steps"]
        20
    """
    key, equals, text = setting.partition("=")
    if not equals:
        raise InputError(f"--set {setting}: write key=value")
    try:
        value = yaml.load(text, Loader)
    except yaml.YAMLError:
        raise InputError(f"--set {setting}: the value cannot be read") from None
    place: Any = tree
    *parents, last = key.split(".")
    for part in parents:
        place = _step(place, part, key)
    if isinstance(place, list):
        place[_index(place, last, key)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise InputError(f"--set {key}: {'.'.join(parents)!r} holds {place!r}, which has no keys")


def _step(place: Any, part: str, key: str) -> Any:
    if isinstance(place, list):
        return place[_index(place, part, key)]
    if isinstance(place, dict):
        return place.setdefault(part, {})
    raise InputError(f"--set {key}: {part!r} is not under a mapping or a list")


def _index(place: list[Any], part: str, key: str) -> int:
    """A position in a list, or the entry of that name."""
    names = [entry.get("name") if isinstance(entry, dict) else None for entry in place]
    if part in names:
        return names.index(part)
    if part.isdecimal() and int(part) < len(place):
        return int(part)
    named = [name for name in names if name] or [str(number) for number in range(len(place))]
    raise InputError(f"--set {key}: no entry {part!r} in this list; {nearest(part, named)}")


def explain(error: ValidationError) -> str:
    """The first thing that is wrong, in one line: the key, what is wrong, the nearest valid key."""
    # A misspelt key is missing, too: what was written in its place leads further.
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        valid = _valid_keys(first["loc"])
        return f"unknown key {where!r}; {nearest(str(first['loc'][-1]), valid)}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def _valid_keys(location: tuple[str | int, ...]) -> list[str]:
    """The keys that are valid beside the last part of a location."""
    model: type[BaseModel] = Recipe
    for part in location[:-1]:
        if not isinstance(part, str) or part not in model.model_fields:
            continue
        found = _specs(model.model_fields[part].annotation)
        if found:
            model = found[0]
    return list(model.model_fields)


def _specs(annotation: Any) -> list[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return [spec for inner in getattr(annotation, "__args__", ()) for spec in _specs(inner)]
