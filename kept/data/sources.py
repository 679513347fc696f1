"""Where records come from: a family of small classes, chosen by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from kept.data.record import Record
from kept.data.shards import read_records
from kg.errors import InputError
from kg.registry import Registry
from kg.verbalize import Span, about_picture, caption, verbalize

if TYPE_CHECKING:
    from kept.linking import Linker
    from kg import KnowledgeGraph
    from kg.split import FactSplit
    from kg.verbalize import Templates

MAX_LINE = 100_000
"""Characters in a line of a text file; longer ones are refused."""


@dataclass
class Sayable:
    """What records are made from: a graph, which of its facts may be said, and how.

    Args:
        kg: the whole graph.
        split: which facts may be said.
        templates: the wordings.
        linker: finds the mentions; records carry what it finds, not what was meant.
        name_only: entities whose pictures stand beside their names and nothing else.
        seed: draws wordings where a source takes only some.
    """

    kg: KnowledgeGraph
    split: FactSplit
    templates: Templates
    linker: Linker
    name_only: frozenset[int] = field(default_factory=frozenset)
    seed: int = 0

    @cached_property
    def labels(self) -> list[str]:
        """The label of every entity; thousands of sentences ask for them."""
        return self.kg.labels(range(self.kg.num_entities))


class Source(Protocol):
    """Makes records: the same ones in the same order for equal worlds and options, each under an id of its own."""

    def records(self, world: Sayable) -> Iterator[Record]:
        """Yield the records."""


SOURCES: Registry[type[Source]] = Registry("source")


def written(world: Sayable, text: str, head: Span | None, tail: Span | None, **about: Any) -> Record:
    """A record of a text, its mentions by the linker; `head` and `tail` are the spans where these were written."""
    mentions = tuple(world.linker.link(text))
    places = {(mention.start, mention.end): place for place, mention in enumerate(mentions)}
    return Record(
        text=text,
        mentions=mentions,
        head=None if head is None else places.get(head),
        tail=None if tail is None else places.get(tail),
        **about,
    )


def chosen(templates: tuple[str, ...], limit: int | None, seed: int, key: int) -> list[tuple[int, str]]:
    """All wordings with their numbers, or `limit` of them drawn for this key."""
    if limit is None or limit >= len(templates):
        return list(enumerate(templates))
    drawn = np.random.default_rng([seed, key]).choice(len(templates), limit, replace=False)
    return [(int(place), templates[place]) for place in np.sort(drawn)]


@SOURCES.register("facts")
@dataclass(frozen=True)
class Facts:
    """Sentences that state the facts of some parts, each in several wordings.

    Args:
        parts: parts of the split that text may state.
        wordings: how many wordings of each fact; None for all.
        limits: how many for facts of some relations, by key; for the many easy ones among them.
    """

    parts: tuple[str, ...] = ("A", "C")
    wordings: int | None = None
    limits: Mapping[str, int] = field(default_factory=dict)

    def records(self, world: Sayable) -> Iterator[Record]:
        kg = world.kg
        for row in world.split.rows(*self.parts).tolist():
            head, relation, tail = kg.triples[row].tolist()
            key = kg.relations.key(relation)
            if key not in world.templates:
                continue
            limit = self.limits.get(key, self.wordings)
            for number, template in chosen(world.templates[key].train, limit, world.seed, row):
                sentence = verbalize(template, world.labels[head], world.labels[tail])
                yield written(
                    world, *sentence, id=f"fact/{row}/{number}", source="fact", triples=((head, relation, tail),)
                )


@SOURCES.register("captions")
@dataclass(frozen=True)
class Captions:
    """Pictures with the names of what they show; held-out entities are neither named nor shown."""

    wordings: int | None = None

    def records(self, world: Sayable) -> Iterator[Record]:
        kg = world.kg
        silent = set(world.split.held_out.tolist())
        for entity in range(kg.num_entities):
            kinds = [key for key in kg.entities.keys(kg.types(entity)) if key in world.templates.captions]
            if entity in silent or not kinds:
                continue
            wordings = chosen(world.templates.captions[kinds[0]].train, self.wordings, world.seed, entity)
            for picture, image in enumerate(kg.images(entity)):
                for number, template in wordings:
                    text, span = caption(template, world.labels[entity])
                    about = {"id": f"caption/{entity}/{picture}/{number}", "source": "caption"}
                    yield written(world, text, span, None, image=image, depicts=entity, **about)


@SOURCES.register("picture-facts")
@dataclass(frozen=True)
class PictureFacts:
    """Pictures with facts of what they show, which the text does not name: "the capital of this country is Paris".

    Entities in `Sayable.name_only` get none: what is known of them must come from elsewhere.
    """

    parts: tuple[str, ...] = ("A",)
    wordings: int | None = None

    def records(self, world: Sayable) -> Iterator[Record]:
        kg = world.kg
        for row in world.split.rows(*self.parts).tolist():
            head, relation, tail = kg.triples[row].tolist()
            key = kg.relations.key(relation)
            images = kg.images(head)
            if not images or head in world.name_only or key not in world.templates:
                continue
            templates = world.templates[key]
            for number, template in chosen(templates.train, self.wordings, world.seed, row):
                sentence = about_picture(templates, template, world.labels[tail])
                yield written(
                    world,
                    sentence.text,
                    None,
                    sentence.tail_span,
                    id=f"picture-fact/{row}/{number}",
                    source="picture-fact",
                    triples=((head, relation, tail),),
                    image=images[0],
                    depicts=head,
                )


@SOURCES.register("texts")
@dataclass(frozen=True)
class Texts:
    """Plain text files, one record a line, with the mentions that the linker finds.

    Args:
        paths: files in UTF-8.
        max_line: the longest line in characters.
    """

    paths: tuple[str, ...] = ()
    max_line: int = MAX_LINE

    def records(self, world: Sayable) -> Iterator[Record]:
        yield from text_records(self.paths, world.linker, self.max_line)


@SOURCES.register("records")
@dataclass(frozen=True)
class Records:
    """Records that were written before, as they are."""

    folder: str = ""

    def records(self, world: Sayable) -> Iterator[Record]:
        yield from read_records(self.folder)


def text_records(paths: Iterable[Path | str], linker: Linker, max_line: int = MAX_LINE) -> Iterator[Record]:
    """A record for every line of text files that is not empty, with the mentions that the linker finds."""
    for path in paths:
        for number, text in enumerate(lines(Path(path), max_line), start=1):
            if text:
                yield Record(id=f"{path}:{number}", source="text", text=text, mentions=tuple(linker.link(text)))


def lines(path: Path, max_line: int) -> Iterator[str]:
    """The lines of a text file without their ends.

    Raises:
        InputError: when the file is missing, not UTF-8, or has a line that is too long; the message names the line.
    """
    number = 0
    try:
        with path.open(encoding="utf-8") as file:
            while line := file.readline(max_line + 1):
                number += 1
                if len(line) > max_line:
                    raise InputError(f"{path}:{number}: a line of more than {max_line} characters")
                yield line.rstrip("\r\n")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise InputError(f"{path}:{number + 1}: not a text in UTF-8 ({error})") from None
