"""From a recipe to a trained model: build, train stage by stage, resume, keep."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kept.data.classes import collect_classes
from kept.data.drawings import EncodedPictures, PixelPictures
from kept.data.noise import Noise
from kept.data.pictures import MOVED, PLAIN, TRAINING
from kept.data.region_features import region_features
from kept.data.tokenized import KnownPairs, Pictures, TokenizedRecords, read_text
from kept.data.tokenizer import load_tokenizer, train_tokenizer
from kept.modeling.config import KeptConfig
from kept.modeling.model import KeptModel
from kept.objectives import OBJECTIVES, Context
from kept.training.encode import caption_index, encode_pictures
from kept.training.grid import GridNetwork
from kept.training.loop import Settings, Task, Trainer
from kept.training.recipe import Recipe, StageSpec
from kg.errors import InputError
from kg.storage import atomic_directory, read_json, write_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from kept.data.record import Record
    from kg.embedding.vectors import Vectors

MODEL, PICTURES, PICTURE_LINKER = "model", "pictures", "picture-linker.safetensors"
LOOKS = {"training": TRAINING, "moved": MOVED, "plain": PLAIN}


@dataclass(slots=True)
class Run:
    """A recipe with everything it needs loaded: what `pretrain` trains and `--check` looks at.

    Args:
        recipe: what is asked for.
        start: the folder of a saved model to begin from, or None.
        corpora: tokenised records by stage and source.
        pictures: what the records' pictures are drawn from.
        not_taken: parameters that the start model had and this one lacks, or the other way round.
    """

    recipe: Recipe
    start: Path | None
    tokenizer: PreTrainedTokenizerFast
    model: KeptModel
    corpora: dict[str, dict[str, TokenizedRecords]]
    pictures: Pictures | None
    not_taken: list[str]

    @classmethod
    def prepare(cls, recipe: Recipe, start: Path | None = None) -> Run:
        """Check files, tokenise all records, build the model and give it its vectors."""
        from kept.data.shards import read_records

        recipe.check_files()
        if start is not None and not (start / "config.json").is_file():
            raise InputError(f"--from {start}: no model here (no config.json)")
        grid = GridNetwork.of_recipe(recipe)
        records = {
            path: list(read_records(path))
            for path in sorted({recipe.path(s.records) for stage in recipe.stages for s in stage.sources.values()})
        }
        for path, rows in records.items():
            if not rows:
                raise InputError(f"{path}: holds no record")
        if start is not None:
            tokenizer = load_tokenizer(start)
        elif recipe.tokenizer_folder is not None:
            tokenizer = load_tokenizer(recipe.tokenizer_folder)
        else:
            others = (record for path in recipe.tokenizer.records for record in read_records(recipe.path(path)))
            read = itertools.chain(*records.values(), others)
            tokenizer = train_tokenizer(filter(None, map(_texts, read)), recipe.tokenizer.vocabulary)
        vectors = _vectors(recipe)
        known = None
        if recipe.graph is not None:
            from kg import KnowledgeGraph

            graph = KnowledgeGraph.open(recipe.path(recipe.graph))
            if vectors is not None and len(vectors.entities) != graph.num_entities:
                raise InputError(
                    f"vectors: {recipe.path(recipe.vectors or Path())} holds {len(vectors.entities)} entities, "
                    f"the graph {graph.num_entities}"
                )
            known = KnownPairs(np.asarray(graph.triples), graph.num_entities)
        pictures = _pictures(recipe, start, grid)
        classes = collect_classes(itertools.chain(*records.values()), recipe.model.most_classes, _classes_of(start))
        features = region_features(recipe.region_features, recipe.path(recipe.pictures or Path()))
        width = features.width if features is not None else _feature_width(itertools.chain(*records.values()))
        model, not_taken = _model(recipe, len(tokenizer), vectors, start, classes, width, grid)
        tokenised = {
            path: TokenizedRecords.build(
                model.rewritten(rows),
                tokenizer,
                pictures=pictures,
                known=known,
                max_length=recipe.model.max_pieces,
                classes=classes,
                features=features,
                with_regions=model.config.regions is not None or recipe.asks_for("image-regions"),
            )
            for path, rows in records.items()
        }
        corpora = {
            stage.name: {name: tokenised[recipe.path(source.records)] for name, source in stage.sources.items()}
            for stage in recipe.stages
        }
        return cls(recipe, start, tokenizer, model, corpora, pictures, not_taken)

    def trainer(self, stage: StageSpec, folder: Path | None) -> Trainer:
        """The trainer of one stage."""
        settings = Settings(
            steps=stage.steps,
            batch={name: source.batch for name, source in stage.sources.items()},
            every={name: source.every for name, source in stage.sources.items()},
            seed=self.recipe.seed,
            **stage.model_dump(exclude={"name", "steps", "sources", "objectives"}),
        )
        tasks = {
            name: Task(
                OBJECTIVES[name](**spec.options),
                tuple(spec.on or stage.sources),
                **spec.model_dump(include={"start", "stop", "ramp", "share"}),
            )
            for name, spec in stage.objectives.items()
        }
        own = None if self.model.knowledge is None else self.model.knowledge.fusion.objective()
        if own is not None:
            shared = {part for task in tasks.values() for part in task.objective.parts} & set(own.parts)
            if shared:
                raise InputError(f"stage {stage.name}: the recipe and the fusion both train {min(shared)!r}")
            tasks["fusion"] = Task(own, tuple(stage.sources))
        return Trainer(
            self.model, tasks, self.corpora[stage.name], self.context, settings, stage=stage.name, folder=folder
        )

    def context(self, noise: Noise, corpus: TokenizedRecords) -> Context:
        """What objectives may know about the tokenizer and the corpus."""
        slots, reads = self.model.config.slots, frozenset(self.model.towers)
        return Context.of(self.tokenizer, noise, slots=slots, corpus=corpus, reads=reads)

    def train(
        self,
        out: Path,
        *,
        on_step: Callable[[str, int, int], None] | None = None,
        on_terms: Callable[[list[dict[str, Any]]], None] | None = None,
    ) -> Path:
        """Train every stage that `out` does not hold yet; returns the folder of the finished model.

        `on_step` is told stage, step and steps; `on_terms` the rows of the curves whenever a step is logged.

        `out/stages/NAME` keeps a stage's checkpoint and curves while it runs and its curves afterwards; `out/model` is
        the model, its tokenizer and its vectors, written whole at the end.
        """
        self._claim(out)
        if (out / MODEL).is_dir():
            return out / MODEL
        for stage in self.recipe.stages:
            folder = out / "stages" / stage.name
            done = folder / MODEL
            if done.is_dir():
                self.model.load_state_dict(KeptModel.load(done).state_dict())
                continue
            folder.mkdir(parents=True, exist_ok=True)
            trainer = self.trainer(stage, folder)

            def report(step: int, stage: StageSpec = stage, trainer: Trainer = trainer) -> None:
                if on_step is not None:
                    on_step(stage.name, step, stage.steps)
                if on_terms is not None and trainer.curves and trainer.curves[-1]["step"] == step:
                    on_terms([row for row in trainer.curves if row["step"] == step])

            trainer.run(on_step=report)
            with atomic_directory(done) as partial:
                self.model.save_pretrained(partial)
            shutil.rmtree(folder / "checkpoint", ignore_errors=True)
        return self._keep(out)

    def _keep(self, out: Path) -> Path:
        final = out / MODEL
        self.model.cpu()
        with atomic_directory(final) as partial:
            self.model.save_pretrained(partial)
            self.tokenizer.save_pretrained(str(partial))
            self._keep_pictures(partial)
        for stage in self.recipe.stages:
            shutil.rmtree(out / "stages" / stage.name / MODEL, ignore_errors=True)
        return final

    def _keep_pictures(self, folder: Path) -> None:
        """Encode the pictures once, or pass on how to link them."""
        if self.recipe.encode_pictures and isinstance(self.pictures, PixelPictures):
            records = {id(corpus): corpus for stage in self.corpora.values() for corpus in stage.values()}
            linker = caption_index(self.model, records.values())
            encode_pictures(self.model, self.pictures, linker, seed=self.recipe.seed).save(folder / PICTURES)
            linker.save(folder / PICTURE_LINKER)
        elif self.start is not None and (self.start / PICTURE_LINKER).is_file():
            shutil.copy(self.start / PICTURE_LINKER, folder / PICTURE_LINKER)

    def _claim(self, out: Path) -> None:
        """Refuse to go on in a folder that another recipe began."""
        claim = {
            "recipe": self.recipe.model_dump(mode="json"),
            "start": None if self.start is None else read_json(self.start / "config.json"),
        }
        grid = self.model.config.grid_features
        if grid is not None:
            claim["grid_features"] = grid["digest"]
        path = out / "recipe.json"
        if path.is_file():
            if read_json(path) != claim:
                raise InputError(f"{out}: holds a run of other settings; choose another --out or remove it")
            return
        out.mkdir(parents=True, exist_ok=True)
        write_json(path, claim)


def _vectors(recipe: Recipe) -> Vectors | None:
    if recipe.model.knowledge is None or recipe.vectors is None:
        return None
    from kg.embedding.vectors import Vectors

    return Vectors.load(recipe.path(recipe.vectors))


def _pictures(recipe: Recipe, start: Path | None, grid: GridNetwork | None) -> Pictures | None:
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


def _texts(record: Record) -> str:
    """All that a model may read or write of a record."""
    return " ".join(filter(None, (read_text(record), record.answer)))


def _classes_of(start: Path | None) -> dict[str, list[str]]:
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


def _feature_width(records: Iterable[Record]) -> int:
    """Numbers of a region's feature; 0 where no record brings one."""
    given = (region.feature for record in records for region in record.regions if region.feature is not None)
    return len(next(given, ()))


def _model(
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
