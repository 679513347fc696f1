"""GQA: compositional questions, and the scene graphs that they are about."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kept.data.readers.base import READERS, Files
from kept.data.readers.fields import corners, field, identity, listing, mapping, share_box, size, text, texts
from kept.data.readers.json_stream import members
from kept.data.readers.rejects import Unfit
from kept.data.readers.scene_graph import SceneGraph
from kept.data.record import Record, Region, Relation
from kg.errors import InputError

Graphs = dict[str, bytes]


@READERS.register("gqa")
@dataclass(frozen=True, kw_only=True)
class GQA(Files):
    """GQA: one record a question, with the scene graph of its picture; of scene graphs alone, one record a picture.

    Scene graphs that questions are joined with are held, compressed, about 0.5 kB each.
    Source: Hudson & Manning 2019, "GQA"; https://cs.stanford.edu/people/dorarad/gqa/download.html.

    Args:
        suffix: of the pictures' names.

    >>> paths = "val_balanced_questions.json", "val_sceneGraphs.json"
    >>> record = next(GQA(paths=paths).records())                                         # doctest: +SKIP
    >>> record.question, record.answer, record.regions[0].label                           # doctest: +SKIP
    ('What is under the cutting board?', 'counter', 'board')
    """

    suffix: str = ".jpg"

    def records(self) -> Iterator[Record]:
        found = self.find("*questions*.json", "*questions/*.json", "*[sS]cene[gG]raphs*.json")
        graphs = [path for path in found if holds_graphs(path)]
        questions = [path for path in found if path not in graphs]
        if not questions:
            for path in graphs:
                yield from self.each(path, members(path), partial(self.pictured, path))
            return
        held: Graphs = {}
        for path in graphs:
            for key, item in members(path):
                graph = self.taken(path, key, partial(self.graph_of, path, key, item))
                held |= {key: packed(graph)} if graph else {}
        for path in questions:
            yield from self.each(path, members(path), partial(self.asked, self.name(path), held))

    def graph_of(self, path: Path, picture: str, item: Any) -> SceneGraph:
        """The regions and relations of a scene graph."""
        width, height = size(item, "width"), size(item, "height")
        graph = SceneGraph(self, picture)
        objects = mapping(field(item, "objects"))
        for key, thing in objects.items():
            graph.add(path, key, partial(region, thing, width, height))
        for key, thing in objects.items():
            for relation in (mapping(thing).get("relations") or ()) if key in graph else ():
                graph.relate(path, partial(edge, key, relation))
        return graph

    def pictured(self, path: Path, picture: str, item: Any) -> Iterator[Record]:
        graph = self.graph_of(path, picture, item)
        yield Record(
            id=f"{self.name(path)}/{picture}",
            source="scene-graph",
            image=self.picture(picture + self.suffix),
            regions=graph.regions,
            relations=graph.relations,
        )

    def asked(self, name: str, graphs: Graphs, key: str, item: Any) -> Iterator[Record]:
        picture = identity(item, "imageId")
        regions: tuple[Region, ...] = ()
        relations: tuple[Relation, ...] = ()
        if graphs:
            if picture not in graphs:
                raise Unfit("picture unknown", f"no scene graph of {picture}")
            regions, relations = unpacked(graphs[picture])
        yield Record(
            id=f"{name}/{key}",
            source="gqa",
            image=self.picture(picture + self.suffix),
            question=text(item, "question"),
            answer=text(item, "answer") if "answer" in item else None,
            regions=regions,
            relations=relations,
        )


def region(item: Any, width: float, height: float) -> Region:
    attributes = texts(listing(item, "attributes") if "attributes" in mapping(item) else (), "attributes")
    return Region(share_box(corners(item), width, height), text(item, "name"), attributes)


def edge(subject: str, relation: Any) -> tuple[str, str, str]:
    return subject, text(relation, "name"), identity(relation, "object")


def packed(graph: SceneGraph) -> bytes:
    return zlib.compress(json.dumps([graph.regions, graph.relations]).encode())


def unpacked(data: bytes) -> tuple[tuple[Region, ...], tuple[Relation, ...]]:
    regions, relations = json.loads(zlib.decompress(data))
    made = (Region(tuple(box), label, tuple(attributes)) for box, label, attributes, *_ in regions)
    return tuple(made), tuple(Relation(*relation) for relation in relations)


def holds_graphs(path: Path) -> bool:
    """Whether a file holds scene graphs and not questions; its first member tells."""
    for _, value in members(path):
        if isinstance(value, dict) and "objects" in value:
            return True
        if isinstance(value, dict) and "question" in value:
            return False
        raise InputError(f"{path}: neither questions nor scene graphs of GQA")
    return False
