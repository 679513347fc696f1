"""The one shape of training data: text, pictures and knowledge of one sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from kept.linking.mention import Mention

__all__ = ["Grounding", "Mention", "Record", "Region", "Relation", "Subtitle"]

Box = tuple[float, float, float, float]
Triple = tuple[int, int, int]


class Region(NamedTuple):
    """A part of a picture: its box (left, top, right, bottom; shares of width and height), and what it shows.

    `feature` is what a network made of it, `scores` a detector's distribution over the classes of a data set.
    """

    box: Box
    label: str | None = None
    attributes: tuple[str, ...] = ()
    feature: tuple[float, ...] | None = None
    scores: tuple[float, ...] | None = None


class Relation(NamedTuple):
    """How two regions of a picture stand to each other, by their places in `Record.regions`."""

    subject: int
    predicate: str
    object: int


class Grounding(NamedTuple):
    """Characters [start, end) of the text and the region that they name."""

    start: int
    end: int
    region: int


class Subtitle(NamedTuple):
    """A text that is heard or shown from `start` to `end`, in seconds."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One sample; what it lacks is None or empty.

    Args:
        id: unique in its data set; the noise of a record is drawn from it.
        text: what is written.
        mentions: where the text names entities.
        image: the path of a picture, relative to the pictures' root.
        regions: parts of the picture.
        relations: how these stand to each other.
        grounding: which of them the words of the text name; gold for evaluation.
        frames: paths of the pictures of a video, in order.
        subtitles: what is said in the video.
        audio: the path of a sound file.
        question, answer, choices: a question about the above, its answer, and the answers to choose from.
        triples: the facts (head, relation, tail) that the record states, as ids of the graph.
        subgraph: rows of the graph's triples that belong to the record as context.
        parse: for each token of a syntax tree its parent, -1 at the root.
        documents: retrieved texts.
        source: where the record comes from, such as "fact" or "caption".
        depicts: the entity that the picture shows. For bookkeeping and evaluation; no model is given it.
        head, tail: which of `mentions` is the head and the tail of the stated fact.

    >>> Record(id="a", text="Paris is large.", mentions=(Mention(0, 5, 7),)).image is None
    True
    """

    id: str
    text: str | None = None
    mentions: tuple[Mention, ...] = ()
    image: str | None = None
    regions: tuple[Region, ...] = ()
    relations: tuple[Relation, ...] = ()
    grounding: tuple[Grounding, ...] = ()
    frames: tuple[str, ...] = ()
    subtitles: tuple[Subtitle, ...] = ()
    audio: str | None = None
    question: str | None = None
    answer: str | None = None
    choices: tuple[str, ...] = ()
    triples: tuple[Triple, ...] = ()
    subgraph: tuple[int, ...] = ()
    parse: tuple[int, ...] = ()
    documents: tuple[str, ...] = ()
    source: str | None = None
    depicts: int | None = None
    head: int | None = None
    tail: int | None = None

    def strings(self) -> Iterator[str]:
        """Every text that the record carries, whatever its role."""
        yield from (text for text in (self.text, self.question, self.answer) if text)
        yield from self.choices
        yield from self.documents
        yield from (subtitle.text for subtitle in self.subtitles)
        for region in self.regions:
            yield from (region.label,) if region.label else ()
            yield from region.attributes
        yield from (relation.predicate for relation in self.relations)

    def pictures(self) -> Iterator[str]:
        """Every picture that the record carries."""
        yield from (self.image,) if self.image else ()
        yield from self.frames
