"""The shape of a recipe, checked whole before anything is loaded."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kg.errors import InputError, nearest

class Spec(BaseModel):
    """A part of a recipe; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TokenizerSpec(Spec):
    """The word pieces: at most `vocabulary`, trained on the recipe's own texts and on those of `records`."""

    vocabulary: int = Field(4000, gt=30)
    records: tuple[Path, ...] = ()


class KnowledgeSpec(Spec):
    """How entity vectors enter, and how answers are read from them."""

    fusion: str = "mentions"
    options: dict[str, Any] = {}
    decoders: tuple[str, ...] = ("operator",)


class ModelSpec(Spec):
    """The shared stack and what hangs on it."""

    width: int = Field(128, gt=0)
    layers: int = Field(2, gt=0)
    heads: int = Field(4, gt=0)
    hidden: int = Field(352, gt=0)
    dropout: float = Field(0.1, ge=0, lt=1)
    block: str = "merge"
    max_pieces: int = Field(64, gt=4)
    slots: int = Field(9, gt=1)
    image: dict[str, Any] | None = None
    knowledge: KnowledgeSpec | None = None

    @model_validator(mode="after")
    def heads_divide(self) -> ModelSpec:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} does not divide into {self.heads} heads")
        return self


class SourceSpec(Spec):
    """Records, how many of them make a micro-batch, and in every which step they are read."""

    records: Path
    batch: int = Field(128, gt=0)
    every: int = Field(1, gt=0)


class ObjectiveSpec(BaseModel):
    """An objective's weight, the sources it learns from (all by default) and its own options."""

    model_config = ConfigDict(extra="allow", frozen=True)

    weight: float = Field(1.0, ge=0)
    on: tuple[str, ...] | None = None

    @property
    def options(self) -> dict[str, Any]:
        return {"weight": self.weight, **(self.model_extra or {})}


class StageSpec(Spec):
    """One stretch of training."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    steps: int = Field(gt=0)
    sources: dict[str, SourceSpec] = Field(min_length=1)
    objectives: dict[str, ObjectiveSpec] = Field(min_length=1)
    rates: dict[str, float] = {"default": 1e-3}
    freeze: tuple[str, ...] = ()
    accumulate: int = Field(1, gt=0)
    weight_decay: float = Field(0.02, ge=0)
    warm_up: float = Field(0.1, ge=0, lt=1)
    clip: float = Field(1.0, gt=0)
    log_every: int = Field(10, gt=0)
    save_every: int = Field(100, ge=0)

    @model_validator(mode="after")
    def consistent(self) -> StageSpec:
        if "default" not in self.rates:
            raise ValueError("rates needs a key 'default'")
        for name, objective in self.objectives.items():
            for source in objective.on or ():
                if source not in self.sources:
                    raise ValueError(f"objectives.{name}.on names no source {source!r}; {nearest(source, self.sources)}")
        return self


class Recipe(Spec):
    """A pre-training run: a model, its data, and the stages it goes through.

    Relative paths are relative to `root`, and `root` to where the command runs.
    """

    name: str
    about: str = ""
    root: Path = Path()
    seed: int = 0
    tokenizer: TokenizerSpec = TokenizerSpec()
    model: ModelSpec = ModelSpec()
    graph: Path | None = None
    vectors: Path | None = None
    pictures: Path | None = None
    encode_pictures: bool = False
    stages: tuple[StageSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def possible(self) -> Recipe:
        if self.model.knowledge is not None and self.vectors is None:
            raise ValueError("model.knowledge needs vectors")
        wanted = {name for stage in self.stages for name in stage.objectives}
        if "mep" in wanted and self.model.knowledge is None:
            raise ValueError("the objective 'mep' needs model.knowledge")
        if wanted & {"itc", "itm"} and self.model.image is None:
            raise ValueError("the objectives 'itc' and 'itm' need model.image")
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise ValueError("two stages have the same name")
        return self

    def path(self, given: Path) -> Path:
        return given if given.is_absolute() else self.root / given

    def check_parts(self) -> None:
        """Refuse names of parts that are not registered and options they do not take.

        Raises:
            InputError: naming the key and the nearest valid one.
        """
        from kept.modeling.blocks import BLOCKS
        from kept.modeling.decoders import ENTITY_DECODERS
        from kept.modeling.fusion import FUSIONS
        from kept.modeling.towers import TOWERS
        from kept.objectives import OBJECTIVES

        _named("model.block", BLOCKS, self.model.block)
        if self.model.image is not None:
            _takes("model.image", TOWERS["patches"], self.model.image, given=("width", "dropout"))
        knowledge = self.model.knowledge
        if knowledge is not None:
            _named("model.knowledge.fusion", FUSIONS, knowledge.fusion)
            _takes("model.knowledge.options", FUSIONS[knowledge.fusion], knowledge.options, given=("width", "dim", "layers"))
            for decoder in knowledge.decoders:
                _named("model.knowledge.decoders", ENTITY_DECODERS, decoder)
        for index, stage in enumerate(self.stages):
            for name, objective in stage.objectives.items():
                key = f"stages.{index}.objectives.{name}"
                _named(key, OBJECTIVES, name)
                _takes(key, OBJECTIVES[name], objective.options)

    def check_files(self) -> None:
        """Refuse a recipe whose files are not there; raises `InputError` naming key and path."""
        for key, given in (("graph", self.graph), ("vectors", self.vectors), ("pictures", self.pictures)):
            if given is not None and not self.path(given).exists():
                raise InputError(f"{key}: {self.path(given)} does not exist")
        for index, given in enumerate(self.tokenizer.records):
            if not self.path(given).exists():
                raise InputError(f"tokenizer.records.{index}: {self.path(given)} does not exist")
        for index, stage in enumerate(self.stages):
            for name, source in stage.sources.items():
                if not self.path(source.records).exists():
                    raise InputError(f"stages.{index}.sources.{name}.records: {self.path(source.records)} does not exist")


def read_recipe(path: Path, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe file, with `key.path=value` settings on top, and check it whole.

    Raises:
        InputError: in one line that names file and key.
    """
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
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
    recipe.check_parts()
    return recipe


def override(tree: dict[str, Any], setting: str) -> None:
    """Set `a.b.0.c=value` in a tree of mappings and lists; the value is read as YAML."""
    key, equals, value = setting.partition("=")
    if not equals:
        raise InputError(f"--set {setting}: write key=value")
    place: Any = tree
    *parents, last = key.split(".")
    for part in parents:
        place = _step(place, part, key)
        if place is None:
            raise InputError(f"--set {key}: there is nothing at {part!r} to set a key of")
    if isinstance(place, list):
        place[_index(place, last, key)] = yaml.safe_load(value)
    else:
        place[last] = yaml.safe_load(value)


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
    if part.isdigit() and int(part) < len(place):
        return int(part)
    raise InputError(f"--set {key}: no entry {part!r} in this list of {len(place)}")


def explain(error: ValidationError) -> str:
    """The first thing that is wrong, in one line: the key, what is wrong, the nearest valid key."""
    first = error.errors()[0]
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
        found = [cls for cls in _specs(model.model_fields[part].annotation)]
        if found:
            model = found[0]
    return list(model.model_fields)


def _specs(annotation: Any) -> list[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return [spec for inner in getattr(annotation, "__args__", ()) for spec in _specs(inner)]


def _named(key: str, registry: Mapping[str, Any] | Any, name: str) -> None:
    if name not in registry:
        raise InputError(f"{key}: no {registry.family} is called {name!r}; {nearest(name, registry)}")


def _takes(key: str, part: Any, options: Mapping[str, Any], given: Sequence[str] = ()) -> None:
    """Whether a part's constructor takes these keyword arguments beside those that it is given anyway."""
    valid = [name for name in inspect.signature(part).parameters if name not in given]
    for name in options:
        if name not in valid:
            raise InputError(f"unknown key '{key}.{name}'; {nearest(name, valid)}")
