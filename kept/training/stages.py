"""From a recipe to a trained model: build, train stage by stage, resume, keep."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kept.data.classes import collect_classes
from kept.data.drawings import PixelPictures
from kept.data.noise import Noise
from kept.data.region_features import region_features
from kept.data.tokenized import Pictures, TokenizedRecords
from kept.modeling.model import KeptModel
from kept.objectives import OBJECTIVES, Context
from kept.training.encode import caption_index, encode_pictures
from kept.training.grid import GridNetwork
from kept.training.loop import Settings, Task, Trainer
from kept.training.preparing import PICTURES, build_model, classes_of, load_known, load_pictures, load_vectors
from kept.training.processes import processes
from kept.training.reading import (
    CLASSES,
    FEATURES,
    Reading,
    Tokenizing,
    feature_width,
    record_folders,
    stamps,
    tokenizer_of,
)
from kept.training.recipe import Recipe, StageSpec
from kg.errors import InputError
from kg.storage import atomic_directory, read_json, write_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CLAIM, MODEL, PICTURE_LINKER, TOKENIZED = "recipe.json", "model", "picture-linker.safetensors", "tokenized"


@dataclass(slots=True)
class Run:
    """A recipe with everything it needs loaded: what `pretrain` trains and `--check` looks at.

    Args:
        recipe: what is asked for.
        start: the folder of a saved model to begin from, or None.
        corpora: tokenised records by stage and source.
        pictures: what the records' pictures are drawn from.
        not_taken: parameters that the start model had and this one lacks, or the other way round.
        claim: what the run's folder is told of it.
    """

    recipe: Recipe
    start: Path | None
    tokenizer: PreTrainedTokenizerFast
    model: KeptModel
    corpora: dict[str, dict[str, TokenizedRecords]]
    pictures: Pictures | None
    not_taken: list[str]
    claim: dict[str, Any]

    @classmethod
    def prepare(cls, recipe: Recipe, start: Path | None = None, out: Path | None = None) -> Run:
        """Check files, build the model, give it its vectors, and tokenise all records.

        Args:
            out: where the run will go. Records are tokenised into files there and mapped, so that they take no memory,
                and not again when the run is resumed; without it they are held.

        Raises:
            InputError: when a file is missing or unfit, or `out` holds a run of other settings.
        """
        recipe.check_files()
        if start is not None and not (start / "config.json").is_file():
            raise InputError(f"--from {start}: no model here (no config.json)")
        grid = GridNetwork.of_recipe(recipe)
        claim = claim_of(recipe, start, grid)
        if out is not None:
            refuse_other(out, claim)
        folders = record_folders(recipe)
        tokenizer = tokenizer_of(recipe, start, folders)
        vectors = load_vectors(recipe)
        known = load_known(recipe, vectors)
        pictures = load_pictures(recipe, start, grid)
        classes = collect_classes(Reading(folders, CLASSES), recipe.model.most_classes, classes_of(start))
        features = region_features(recipe.region_features, recipe.path(recipe.pictures or Path()))
        if features is not None:
            width = features.width
        else:
            width = feature_width(Reading(folders, FEATURES)) if recipe.model.regions is not None else 0
        model, not_taken = build_model(recipe, len(tokenizer), vectors, start, classes, width, grid)
        tokenizing = Tokenizing(
            model,
            tokenizer,
            max_length=recipe.model.max_pieces,
            classes=classes,
            pictures=pictures,
            known=known,
            features=features,
            with_regions=model.config.regions is not None or recipe.asks_for("image-regions"),
        )
        run = cls(recipe, start, tokenizer, model, {}, pictures, not_taken, claim)
        if out is not None and (out / MODEL).is_dir():
            return run
        files = [recipe.path(path) for path in (recipe.graph, recipe.vectors, recipe.pictures) if path is not None]
        about = [claim, *map(stamps, files)]
        tokenized = {
            folder: tokenizing.held(folder) if out is None else tokenizing.mapped(folder, out / TOKENIZED, about)
            for folder in folders
        }
        for stage in recipe.stages:
            run.corpora[stage.name] = {
                name: tokenized[recipe.path(source.records)] for name, source in stage.sources.items()
            }
        return run

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
        refuse_other(out, self.claim)
        if (out / MODEL).is_dir():
            return out / MODEL
        together = processes()
        if together.is_main_process and not (out / CLAIM).is_file():
            write_json(out / CLAIM, self.claim)
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
            if together.is_main_process:
                with atomic_directory(done) as partial:
                    self.model.save_pretrained(partial)
                shutil.rmtree(folder / "checkpoint", ignore_errors=True)
            together.wait_for_everyone()
        if together.is_main_process:
            self._keep(out)
        together.wait_for_everyone()
        return out / MODEL

    def _keep(self, out: Path) -> None:
        """Write the finished model, and remove what was needed to go on."""
        self.model.cpu()
        with atomic_directory(out / MODEL) as partial:
            self.model.save_pretrained(partial)
            self.tokenizer.save_pretrained(str(partial))
            self._keep_pictures(partial)
        for stage in self.recipe.stages:
            shutil.rmtree(out / "stages" / stage.name / MODEL, ignore_errors=True)
        shutil.rmtree(out / TOKENIZED, ignore_errors=True)

    def _keep_pictures(self, folder: Path) -> None:
        """Encode the pictures once, or pass on how to link them."""
        if self.recipe.encode_pictures and isinstance(self.pictures, PixelPictures):
            records = {id(corpus): corpus for stage in self.corpora.values() for corpus in stage.values()}
            linker = caption_index(self.model, records.values())
            encode_pictures(self.model, self.pictures, linker, seed=self.recipe.seed).save(folder / PICTURES)
            linker.save(folder / PICTURE_LINKER)
        elif self.start is not None and (self.start / PICTURE_LINKER).is_file():
            shutil.copy(self.start / PICTURE_LINKER, folder / PICTURE_LINKER)


def claim_of(recipe: Recipe, start: Path | None, grid: GridNetwork | None) -> dict[str, Any]:
    """What a run's folder says of what the run is."""
    claim = {
        "recipe": recipe.model_dump(mode="json"),
        "start": None if start is None else read_json(start / "config.json"),
    }
    return claim if grid is None else {**claim, "grid_features": grid.digest}


def refuse_other(out: Path, claim: dict[str, Any]) -> None:
    """Raise InputError for a folder that another recipe began."""
    if (out / CLAIM).is_file() and read_json(out / CLAIM) != claim:
        raise InputError(f"{out}: holds a run of other settings; choose another --out or remove it")
