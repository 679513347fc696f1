"""What a recipe needs before it can be trained: vectors, pictures, and its model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kept.data.drawings import EncodedPictures, PixelPictures
from kept.data.pictures import MOVED, PLAIN, TRAINING
from kept.data.tokenized import KnownPairs, Pictures
from kept.modeling.config import KeptConfig
from kept.modeling.model import KeptModel
from kept.training.grid import GridNetwork
from kept.training.recipe import Recipe
from kg.errors import InputError
from kg.storage import read_json

if TYPE_CHECKING:
    from kg.embedding.vectors import Vectors

PICTURES = "pictures"
"""The folder beside a model that holds its encoded pictures."""
LOOKS = {"training": TRAINING, "moved": MOVED, "plain": PLAIN}


def load_vectors(recipe: Recipe) -> Vectors | None:
    """The entity vectors that the model is given, if it takes any."""
    if recipe.model.knowledge is None or recipe.vectors is None:
        return None
    from kg.embedding.vectors import Vectors

    return Vectors.load(recipe.path(recipe.vectors))


def load_pictures(recipe: Recipe, start: Path | None, grid: GridNetwork | None) -> Pictures | None:
    """Pixels or maps from the recipe's own folder, or the states that the start model's frozen tower left beside it."""
    if grid is not None and recipe.pictures is not None:
        return grid.load(recipe.path(recipe.pictures))
    if start is not None and (start / PICTURES).is_dir():
        return EncodedPictures.load(start / PICTURES)
    if recipe.pictures is not None and recipe.model.image is not None:
        size = int(recipe.model.image.get("size", 24))
        loaded = PixelPictures.load(recipe.path(recipe.pictures), size=size)
        return replace(loaded, look=LOOKS[recipe.look])
    return None


def load_known(recipe: Recipe, vectors: Vectors | None) -> KnownPairs | None:
    """Which entities the recipe's graph joins.

    Raises:
        InputError: when the vectors are those of another graph.
    """
    if recipe.graph is None:
        return None
    from kg import KnowledgeGraph

    graph = KnowledgeGraph.open(recipe.path(recipe.graph))
    if vectors is not None and len(vectors.entities) != graph.num_entities:
        raise InputError(
            f"vectors: {recipe.path(recipe.vectors or Path())} holds {len(vectors.entities)} entities, "
            f"the graph {graph.num_entities}"
        )
    return KnownPairs(np.asarray(graph.triples), graph.num_entities)


def classes_of(start: Path | None) -> dict[str, list[str]]:
    """The classes of the model to begin from."""
    found = {} if start is None else read_json(start / "config.json").get("classes")
    return dict(found or {})


def _filled(recipe: Recipe, shape: dict[str, Any], stream: str) -> Path | None:
    """The folder that a tower's weights come from, its options being filled in from there; None for fresh weights."""
    options = shape[stream]
    if not options or "weights" not in options:
        return None
    from kept.modeling.pretrained import load_encoder

    folder = recipe.path(Path(options["weights"]))
    found = load_encoder(folder, stream)
    width = found.options["encoder"]["width"]
    if stream == "text" and width != shape["width"]:
        raise InputError(f"model.width: {shape['width']}; the word pieces of {folder} are read and written at {width}")
    others = {key: value for key, value in options.items() if key != "weights"}
    shape[stream] = {"tower": found.tower, **found.options, **others}
    return folder


def build_model(
    recipe: Recipe,
    vocabulary: int,
    vectors: Vectors | None,
    start: Path | None,
    classes: dict[str, list[str]],
    features: int,
    grid: GridNetwork | None,
) -> tuple[KeptModel, list[str]]:
    """The recipe's model with fresh weights, those of the start model where they fit, and its vectors."""
    spec = recipe.model
    knowledge: dict[str, Any] | None = None
    if spec.knowledge is not None and vectors is not None:
        knowledge = {
            **spec.knowledge.model_dump(),
            "scorer": vectors.config.scorer,
            "dim": int(vectors.entities.shape[1]),
        }
    shape = spec.model_dump(exclude={"knowledge", "most_classes"})
    if shape["regions"] is not None:
        if not features:
            raise InputError("model.regions: no record has a region with a feature; set region_features.of=crops")
        shape["regions"] = {"features": features, **shape["regions"]}
    if grid is not None:
        shape["image"] = grid.shape(shape["image"])
    folders = {stream: _filled(recipe, shape, stream) for stream in ("text", "image")}
    config = KeptConfig(
        vocabulary=vocabulary,
        knowledge=knowledge,
        seed=recipe.seed,
        classes=classes,
        region_features=recipe.region_features.model_dump(),
        grid_features=None if grid is None else grid.remembered,
        head_options=recipe.heads(),
        **shape,
    )
    model = KeptModel(config).reset(recipe.seed)
    not_taken: list[str] = []
    for stream, folder in folders.items():
        if folder is not None and start is None:
            tower: Any = model.towers[stream]
            taken = tower.load_weights(folder)
            not_taken += [f"towers.{stream}.{name}" for name in taken.missing]
            not_taken += [f"{folder}: {name}" for name in taken.left]
    if start is not None:
        state = KeptModel.load(start).state_dict()
        own = model.state_dict()
        fitting = {name: value for name, value in state.items() if name in own and own[name].shape == value.shape}
        not_taken = sorted((set(own) | set(state)) - set(fitting))
        model.load_state_dict(fitting, strict=False)
    if vectors is not None:
        model.set_knowledge(vectors)
    return model, not_taken
