"""The shape of a recipe, checked whole before anything is loaded."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from kg.errors import InputError, nearest
from kg.registry import Registry


class Spec(BaseModel):
    """A part of a recipe; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TokenizerSpec(Spec):
    """The word pieces: at most `vocabulary`, trained on the recipe's own texts and on those of `records`.

    Or those of a local transformers folder: `folder`, or that of `model.text.weights`.
    """

    vocabulary: int = Field(default=4000, gt=30)
    records: tuple[Path, ...] = ()
    folder: Path | None = None


class KnowledgeSpec(Spec):
    """How entity vectors enter, and how answers are read from them."""

    fusion: str = "mentions"
    options: dict[str, Any] = {}
    decoders: tuple[str, ...] = ("operator",)


class ModelSpec(Spec):
    """The shared stack and what hangs on it."""

    width: int = Field(default=128, gt=0)
    layers: int = Field(default=2, ge=0)
    heads: int = Field(default=4, gt=0)
    hidden: int = Field(default=352, gt=0)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    block: str = "merge"
    block_options: dict[str, Any] = {}
    max_pieces: int = Field(default=64, gt=4)
    slots: int = Field(default=9, gt=1)
    text: dict[str, Any] | None = None
    image: dict[str, Any] | None = None
    regions: dict[str, Any] | None = None
    most_classes: dict[str, int] = {}
    knowledge: KnowledgeSpec | None = None

    @model_validator(mode="after")
    def heads_divide(self) -> ModelSpec:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} does not divide into {self.heads} heads")
        return self


class RegionFeatureSpec(Spec):
    """Where the features of regions come from: their records, or the picture cut out at each box.

    Args:
        of: "records", or "crops" of `size` by `size` pixels.
    """

    of: Literal["records", "crops"] = "records"
    size: int = Field(default=8, gt=1, le=64)


class GridFeatureSpec(Spec):
    """The frozen network whose maps of the pictures the tower "grid" reads.

    Args:
        weights: a local transformers folder of a ViT or a CLIP.
        size: pixels of the side that pictures are brought to; None for the network's own.
    """

    weights: Path
    size: int | None = Field(default=None, gt=0, le=1024)


class SourceSpec(Spec):
    """Records, how many of them make a micro-batch, and in every which step they are read."""

    records: Path
    batch: int = Field(default=128, gt=0)
    every: int = Field(default=1, gt=0)


class ObjectiveSpec(BaseModel):
    """An objective's weight, the sources it learns from (all by default), its schedule and its own options.

    Args:
        start, stop: the shares of the stage's steps between which it is trained.
        ramp: the share over which its weight rises to the whole.
        share: how often it is chosen, beside the others' shares, where a stage trains one objective at a time.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    weight: float = Field(default=1.0, ge=0)
    on: tuple[str, ...] | None = None
    start: float = Field(default=0.0, ge=0, lt=1)
    stop: float = Field(default=1.0, gt=0, le=1)
    ramp: float = Field(default=0.0, ge=0, le=1)
    share: float = Field(default=1.0, gt=0)

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
    mix: Literal["sum", "one"] = "sum"
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    checkpointing: bool = False
    optimizer: Literal["adamw", "muon"] = "adamw"
    freeze: tuple[str, ...] = ()
    accumulate: int = Field(default=1, gt=0)
    weight_decay: float = Field(default=0.02, ge=0)
    warm_up: float = Field(default=0.1, ge=0, lt=1)
    clip: float = Field(default=1.0, gt=0)
    log_every: int = Field(default=10, gt=0)
    save_every: int = Field(default=100, ge=0)

    @model_validator(mode="after")
    def consistent(self) -> StageSpec:
        if "default" not in self.rates:
            raise ValueError("rates needs a key 'default'")
        for name, objective in self.objectives.items():
            for source in objective.on or ():
                if source not in self.sources:
                    hint = nearest(source, self.sources)
                    raise ValueError(f"objectives.{name}.on names no source {source!r}; {hint}")
        return self


class Recipe(Spec):
    """A pre-training run: a model, its data, and the stages it goes through.

    Relative paths are relative to `root`, and `root` to where the command runs.

    Args:
        look: how pictures are drawn, "training" moved and recoloured anew each time, "moved" moved alone, for
            questions about colours, "plain" as they are, for questions about places. A frozen network
            (`grid_features`) sees them as they are.
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
    look: Literal["training", "moved", "plain"] = "training"
    encode_pictures: bool = False
    region_features: RegionFeatureSpec = RegionFeatureSpec()
    grid_features: GridFeatureSpec | None = None
    stages: tuple[StageSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def possible(self) -> Recipe:
        if self.model.knowledge is not None and self.vectors is None:
            raise ValueError("model.knowledge needs vectors")
        if self.encode_pictures and self.model.image is None:
            raise ValueError("encode_pictures needs model.image")
        tower = (self.model.image or {}).get("tower")
        if self.grid_features is None and tower == "grid":
            raise ValueError("model.image.tower: 'grid' needs grid_features")
        if self.grid_features is not None:
            if tower != "grid":
                raise ValueError("grid_features needs model.image.tower: grid")
            if self.pictures is None:
                raise ValueError("grid_features needs pictures")
            if self.encode_pictures:
                raise ValueError("encode_pictures: the tower 'grid' reads pictures that are encoded already")
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
        from kept.objectives import OBJECTIVES

        _named("model.block", BLOCKS, self.model.block)
        if self.model.image is not None:
            _takes_tower("model.image", self.model.image, "patches")
        if self.model.regions is not None:
            _takes_tower("model.regions", self.model.regions, "regions")
        if self.model.text is not None:
            _takes_tower("model.text", self.model.text, "pieces", given=("vocabulary", "max_length"))
        _takes("model.block_options", BLOCKS[self.model.block], self.model.block_options, given=BLOCK_SHAPE)
        knowledge = self.model.knowledge
        if knowledge is not None:
            _named("model.knowledge.fusion", FUSIONS, knowledge.fusion)
            fusion = FUSIONS[knowledge.fusion]
            _takes("model.knowledge.options", fusion, knowledge.options, given=("width", "dim", "layers"))
            for decoder in knowledge.decoders:
                _named("model.knowledge.decoders", ENTITY_DECODERS, decoder)
        for index, stage in enumerate(self.stages):
            for name, spec in stage.objectives.items():
                key = f"stages.{index}.objectives.{name}"
                _named(key, OBJECTIVES, name)
                objective = OBJECTIVES[name]
                _takes(key, objective, spec.options)
                for need, given in self._given().items():
                    if need in objective.needs and None in given.values():
                        missing = next(setting for setting, value in given.items() if value is None)
                        raise InputError(f"{key}: the objective {name!r} needs {missing}")
                reads = objective(**spec.options).heads() if self.grid_features is not None else {}
                if "pixels" in reads or ("picture" in reads and self.model.regions is None):
                    raise InputError(f"{key}: {name!r} needs pixels, and the tower 'grid' reads none")
                if objective.couples == "batch" and stage.accumulate > 1:
                    raise InputError(
                        f"stages.{index}.accumulate: {name!r} compares the records of one micro-batch with each other; "
                        "accumulate must be 1"
                    )

    def heads(self) -> dict[str, dict[str, Any]]:
        """The heads that the objectives of all stages read from, with their options."""
        from kept.objectives import OBJECTIVES

        found: dict[str, dict[str, Any]] = {}
        for stage in self.stages:
            for name, spec in stage.objectives.items():
                for head, options in OBJECTIVES[name](**spec.options).heads().items():
                    if found.setdefault(head, dict(options)) != dict(options):
                        raise InputError(
                            f"stages.{stage.name}.objectives.{name}: another asks for other {head!r} options"
                        )
        return found

    def asks_for(self, need: str) -> bool:
        """Whether an objective of any stage has this need."""
        from kept.objectives import OBJECTIVES

        return any(need in OBJECTIVES[name].needs for stage in self.stages for name in stage.objectives)

    def _given(self) -> dict[str, dict[str, object]]:
        """What an objective may need, and the settings that provide it."""
        model = self.model
        return {
            "image": {"model.image": model.image},
            "regions": {"model.regions": model.regions},
            "pictures": {"model.image or model.regions": model.image or model.regions},
            "knowledge": {"model.knowledge": model.knowledge, "graph": self.graph},
        }

    @property
    def tokenizer_folder(self) -> Path | None:
        """The folder that the word pieces are taken from, if they are not trained."""
        weights = (self.model.text or {}).get("weights")
        given = self.tokenizer.folder or (None if weights is None else Path(weights))
        return None if given is None else self.path(given)

    def check_files(self) -> None:
        """Refuse a recipe whose files are not there; raises `InputError` naming key and path."""
        for stream in ("text", "image"):
            weights = (getattr(self.model, stream) or {}).get("weights")
            if weights is not None and not self.path(Path(weights)).is_dir():
                raise InputError(f"model.{stream}.weights: {self.path(Path(weights))} is no folder")
        if self.grid_features is not None and not self.path(self.grid_features.weights).is_dir():
            raise InputError(f"grid_features.weights: {self.path(self.grid_features.weights)} is no folder")
        for key, given in (("graph", self.graph), ("vectors", self.vectors), ("pictures", self.pictures)):
            if given is not None and not self.path(given).exists():
                raise InputError(f"{key}: {self.path(given)} does not exist")
        for index, given in enumerate(self.tokenizer.records):
            if not self.path(given).exists():
                raise InputError(f"tokenizer.records.{index}: {self.path(given)} does not exist")
        for index, stage in enumerate(self.stages):
            for name, source in stage.sources.items():
                records = self.path(source.records)
                if not records.exists():
                    raise InputError(f"stages.{index}.sources.{name}.records: {records} does not exist")


def _named(key: str, registry: Registry[Any], name: str) -> None:
    if name not in registry:
        raise InputError(f"{key}: no {registry.family} is called {name!r}; {nearest(name, registry)}")


ENCODERS = {"pieces": "text-encoder", "patches": "image-encoder", "regions": "regions"}
"""The towers that take over local weights, by what they stand in for."""
BLOCK_SHAPE = ("width", "heads", "hidden", "dropout", "place")
"""What every block is given by the model."""


def _takes_tower(key: str, options: Mapping[str, Any], usual: str, given: Sequence[str] = ()) -> None:
    """Whether there is such a tower and it takes these options."""
    from kept.modeling.towers import TOWERS

    name = options.get("tower", usual if "weights" not in options else ENCODERS[usual])
    _named(f"{key}.tower", TOWERS, name)
    others = {option: value for option, value in options.items() if option != "tower"}
    _takes(key, TOWERS[name], others, given=("width", "dropout", *given))


def _takes(key: str, part: Any, options: Mapping[str, Any], given: Sequence[str] = ()) -> None:
    """Whether a part's constructor takes these keyword arguments beside those that it is given anyway."""
    valid = [name for name in inspect.signature(part).parameters if name not in given]
    types = get_type_hints(part.__init__)
    for name, value in options.items():
        if name not in valid:
            raise InputError(f"unknown key '{key}.{name}'; {nearest(name, valid)}")
        try:
            TypeAdapter(types.get(name, Any)).validate_python(value, strict=True)
        except ValidationError as error:
            raise InputError(f"{key}.{name}: {error.errors()[0]['msg']}, got {value!r}") from None
