"""Visual Genome: scene graphs and descriptions of regions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kept.data.readers.base import READERS, Files, numbered
from kept.data.readers.fields import corners, field, identity, listing, mapping, share_box, size, text, texts, written
from kept.data.readers.joining import WINDOW, Joined
from kept.data.readers.json_stream import elements
from kept.data.readers.rejects import Unfit
from kept.data.readers.scene_graph import SceneGraph
from kept.data.record import Record, Region
from kg.errors import InputError

PICTURES = "image_data.json"
JOINED = {
    "objects.json": "image_id",
    "attributes.json": "image_id",
    "relationships.json": "image_id",
    "region_descriptions.json": "id",
}
"""The files that are joined with the pictures, each with its key of a picture."""


@READERS.register("visual-genome")
@dataclass(frozen=True, kw_only=True)
class VisualGenome(Files):
    """Visual Genome: one record a picture with its scene graph, and one for each description of a part of it.

    Needs `image_data.json`; the other files are taken where they are there. All are read side by side.
    Source: Krishna et al. 2017, "Visual Genome"; https://homes.cs.washington.edu/~ranjay/visualgenome/api.html.

    Args:
        window: pictures by which the order of the files may differ.

    >>> record = next(VisualGenome(paths=("visual-genome",)).records())                   # doctest: +SKIP
    >>> record.id, record.image, record.relations[0]                                      # doctest: +SKIP
    ('1', 'VG_100K_2/1.jpg', Relation(subject=3, predicate='ON', object=8))
    """

    window: int = WINDOW

    def records(self) -> Iterator[Record]:
        by_name = {path.name.split(".json")[0] + ".json": path for path in self.find(PICTURES, *JOINED)}
        if PICTURES not in by_name:
            raise InputError(f"{self.paths[0]}: {PICTURES} is missing, which has the sizes of the pictures")
        if unknown := set(by_name) - {PICTURES, *JOINED}:
            raise InputError(f"{by_name[min(unknown)]}: no file of Visual Genome; it has {', '.join(JOINED)}")
        joined = {
            name: Joined(path, self.keyed(path, JOINED[name]), self.rejects, window=self.window)
            for name, path in by_name.items()
            if name in JOINED
        }
        path = by_name[PICTURES]
        yield from self.each(path, numbered("", elements(path)), partial(self.of_picture, path, joined, set()))
        for part in joined.values():
            part.refuse_rest("picture unknown or out of order")

    def keyed(self, path: Path, key: str) -> Iterator[tuple[str, Any]]:
        """What a file says of each picture."""
        for place, item in numbered("", elements(path)):
            picture = self.taken(path, place, partial(identity, item, key))
            if picture is not None:
                yield picture, item

    def of_picture(
        self, path: Path, joined: dict[str, Joined], seen: set[str], place: str, item: Any
    ) -> Iterator[Record]:
        picture = identity(item, "image_id")
        parts = {name: found for name, part in joined.items() if (found := part.take(picture)) is not None}
        if picture in seen:
            raise Unfit("said twice", f"image_id {picture}")
        seen.add(picture)
        width, height = size(item, "width"), size(item, "height")
        image = self.picture(self.file_name(item, picture))
        graph = SceneGraph(self, picture)
        for name in ("objects", "attributes", "relationships"):
            if f"{name}.json" in parts:
                at = joined[f"{name}.json"].path
                for thing in self.taken(at, picture, partial(listing, parts[f"{name}.json"], name)) or ():
                    self.taken(at, picture, partial(getattr(self, name), graph, at, width, height, thing))
        if graph.regions:
            yield Record(
                id=picture, source="scene-graph", image=image, regions=graph.regions, relations=graph.relations
            )
        if "region_descriptions.json" in parts:
            at = joined["region_descriptions.json"].path
            for thing in self.taken(at, picture, partial(listing, parts["region_descriptions.json"], "regions")) or ():
                record = self.taken(at, picture, partial(self.description, picture, image, width, height, thing))
                if record is not None:
                    yield record

    def file_name(self, item: Any, picture: str) -> str:
        """The folder and name at the end of a picture's address, such as VG_100K_2/1.jpg."""
        if "url" in mapping(item):
            return "/".join(text(item, "url").split("/")[-2:])
        return f"{picture}.jpg"

    def objects(self, graph: SceneGraph, path: Path, width: float, height: float, item: Any) -> None:
        key = identity(item, "object_id")
        graph.add(path, key, partial(region, item, width, height))
        for other in mapping(item).get("merged_object_ids") or ():
            graph.also(key, str(other))

    def attributes(self, graph: SceneGraph, path: Path, width: float, height: float, item: Any) -> None:
        key = identity(item, "object_id")
        given = texts(mapping(item).get("attributes") or (), "attributes")
        if key in graph:
            graph.describe(key, given)
        else:
            graph.add(path, key, lambda: region(item, width, height)._replace(attributes=given))

    def relationships(self, graph: SceneGraph, path: Path, width: float, height: float, item: Any) -> None:
        ends = field(item, "subject"), field(item, "object")
        keys = [identity(end, "object_id") for end in ends]
        for key, end in zip(keys, ends, strict=True):
            if key not in graph:
                graph.add(path, key, partial(region, end, width, height))
        graph.relate(path, lambda: (keys[0], text(item, "predicate"), keys[1]))

    def description(self, picture: str, image: str, width: float, height: float, item: Any) -> Record:
        box = corners(
            {side: field(item, name) for side, name in zip("xywh", ("x", "y", "width", "height"), strict=True)}
        )
        return Record(
            id=f"{picture}/{identity(item, 'region_id')}",
            source="region-description",
            text=text(item, "phrase"),
            image=image,
            regions=(Region(share_box(box, width, height)),),
        )


def region(item: Any, width: float, height: float) -> Region:
    """An object with the first of its names; older files have one."""
    names = mapping(item).get("names") or [field(item, "name")]
    return Region(share_box(corners(item), width, height), written(names[0], "names"))
