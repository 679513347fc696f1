"""The records of a run: gone through for what must be known of all of them, then tokenised, in memory or in files."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from kept.data.columns import Classes, RegionFeatures, TextColumn
from kept.data.shards import count_records, read_records, record_shards
from kept.data.tokenized import KnownPairs, Pictures, TokenizedRecords, read_text
from kept.data.tokenized_files import open_tokenized, tokenize_shards
from kept.data.tokenizer import load_tokenizer, train_tokenizer
from kept.training.recipe import Recipe
from kg.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from kept.data.record import Record
    from kept.modeling.model import KeptModel

CLASSES = ("answer", "regions.label", "regions.attributes", "relations.predicate")
FEATURES = ("regions.feature",)
TEXTS = ("text", "question", "answer")
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Reading:
    """Some columns of the records in some folders, read anew each time that they are gone through."""

    folders: Sequence[Path]
    columns: Collection[str]

    def __iter__(self) -> Iterator[Record]:
        for folder in self.folders:
            yield from read_records(folder, self.columns)


@dataclass(frozen=True, slots=True)
class Texts:
    """All that a model may read or write of the records in some folders."""

    folders: Sequence[Path]

    def __iter__(self) -> Iterator[str]:
        for record in Reading(self.folders, TEXTS):
            text = " ".join(filter(None, (read_text(record), record.answer)))
            if text:
                yield text


def record_folders(recipe: Recipe) -> list[Path]:
    """The folders of records that the recipe's sources name.

    Raises:
        InputError: when one holds no record.
    """
    folders = sorted({recipe.path(source.records) for stage in recipe.stages for source in stage.sources.values()})
    for folder in folders:
        if not any(map(count_records, record_shards(folder))):
            raise InputError(f"{folder}: holds no record")
    return folders


def tokenizer_of(recipe: Recipe, start: Path | None, folders: Sequence[Path]) -> PreTrainedTokenizerFast:
    """The tokenizer of the model to begin from, that of the recipe, or one trained on the records."""
    if start is not None:
        return load_tokenizer(start)
    if recipe.tokenizer_folder is not None:
        return load_tokenizer(recipe.tokenizer_folder)
    others = [recipe.path(path) for path in recipe.tokenizer.records]
    return train_tokenizer(Texts([*folders, *others]), recipe.tokenizer.vocabulary)


def feature_width(records: Iterable[Record]) -> int:
    """Numbers of a region's feature; 0 where no record brings one."""
    given = (region.feature for record in records for region in record.regions if region.feature is not None)
    return len(next(given, ()))


@dataclass(frozen=True)
class Tokenizing:
    """How the records of a run become arrays.

    Args:
        model: rewrites records as its fusion wants them.
        with_regions: whether anything has a use for regions.

    The others are those of `TokenizedRecords.build`.
    """

    model: KeptModel
    tokenizer: PreTrainedTokenizerFast
    max_length: int
    classes: Classes
    pictures: Pictures | None
    known: KnownPairs | None
    features: RegionFeatures | None
    with_regions: bool

    def build(self, records: Iterable[Record]) -> TokenizedRecords:
        """Tokenise records, in memory."""
        return TokenizedRecords.build(
            self.model.rewritten(records),
            self.tokenizer,
            pictures=self.pictures,
            known=self.known,
            max_length=self.max_length,
            classes=self.classes,
            features=self.features,
            with_regions=self.with_regions,
        )

    def held(self, folder: Path) -> TokenizedRecords:
        """The records of a folder, in memory."""
        return self.build(read_records(folder))

    def mapped(self, folder: Path, into: Path, about: Any) -> TokenizedRecords:
        """The records of a folder, in files under `into`; those that are there already are taken as they are.

        Args:
            about: all that the arrays depend on beside records, tokenizer and classes, for JSON.

        Raises:
            InputError: for what cannot be tokenised, and nothing is left at `into` then; and when the disk is full.
        """
        depends = {
            "format": FORMAT,
            "about": about,
            "records": stamps(folder),
            "classes": self.classes,
            "tokenizer": self.tokenizer.backend_tokenizer.to_str(),
        }
        digest = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()
        made = into / f"{folder.name}-{digest[:16]}"
        blank = TextColumn.build([""], self.tokenizer, self.max_length)
        try:
            tokenize_shards(record_shards(folder), made, self.build, blank)
        except InputError:
            shutil.rmtree(into, ignore_errors=True)
            if not any(into.parent.iterdir()):
                into.parent.rmdir()
            raise
        except (OSError, SafetensorError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{into}: cannot be written ({reason}); what was finished is kept for next time") from None
        return open_tokenized(made, pictures=self.pictures, known=self.known)


def stamps(path: Path) -> list[tuple[str, int, int]]:
    """(name, size, time of its last change in nanoseconds) of a file, or of all in a folder that are not hidden."""
    found = []
    for file in [path] if path.is_file() else sorted(path.rglob("*")):
        name = file.relative_to(path)
        if file.is_file() and not any(part.startswith(".") for part in name.parts):
            about = file.stat()
            found.append((name.as_posix(), about.st_size, about.st_mtime_ns))
    return found
