"""The regions of a picture by their names in a scene graph, and the relations between them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kept.data.readers.base import Files
from kept.data.readers.rejects import Unfit
from kept.data.record import Region, Relation


class SceneGraph:
    """Collects regions and relations of one picture; a relation whose regions are not both there is refused.

    Args:
        files: the reader, which refuses.
        picture: the picture's key in messages.
    """

    def __init__(self, files: Files, picture: str) -> None:
        self._files, self._picture = files, picture
        self._places: dict[str, int] = {}
        self._regions: list[Region] = []
        self._relations: list[Relation] = []

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def add(self, path: Path, key: str, make: Callable[[], Region]) -> None:
        """Take a region under its key, unless it is unfit or there already."""
        region = self._files.taken(path, f"{self._picture}/{key}", make)
        if region is not None and key not in self._places:
            self._places[key] = len(self._regions)
            self._regions.append(region)

    def also(self, key: str, other: str) -> None:
        """Let another key mean a region."""
        if key in self._places:
            self._places.setdefault(other, self._places[key])

    def describe(self, key: str, attributes: tuple[str, ...]) -> None:
        """Give more attributes to a region."""
        if key in self._places:
            place = self._places[key]
            region = self._regions[place]
            merged = tuple(dict.fromkeys(region.attributes + attributes))
            self._regions[place] = region._replace(attributes=merged)

    def relate(self, path: Path, make: Callable[[], tuple[str, str, str]]) -> None:
        """Take a relation (key of the subject, predicate, key of the object)."""

        def relation() -> Relation:
            subject, predicate, object_ = make()
            for key in (subject, object_):
                if key not in self._places:
                    raise Unfit("relation without its region", f"{subject} {predicate} {object_}")
            return Relation(self._places[subject], predicate, self._places[object_])

        found = self._files.taken(path, self._picture, relation)
        if found is not None and found not in self._relations:
            self._relations.append(found)

    @property
    def regions(self) -> tuple[Region, ...]:
        return tuple(self._regions)

    @property
    def relations(self) -> tuple[Relation, ...]:
        return tuple(self._relations)
