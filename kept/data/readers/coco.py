"""MS COCO: captions and boxes."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kept.data.readers.base import READERS, Files, numbered
from kept.data.readers.fields import identity, listing, mapping, number, share_box, size, text
from kept.data.readers.json_stream import Scanner, elements
from kept.data.readers.rejects import Unfit
from kept.data.record import Record, Region

NUMBERS = 7
"""Of an annotation that are held: image, category, the four of its box, id."""


@dataclass(frozen=True, kw_only=True)
class Coco(Files):
    """What the two readers of COCO share.

    Args:
        folder: put before the pictures' names, such as "train2017".
    """

    folder: str = ""

    def file_name(self, image: Any) -> str:
        """A picture's name below the root."""
        name = text(image, "file_name")
        return f"{self.folder}/{name}" if self.folder else name

    def whole(self, item: Any, key: str) -> int:
        """An id, which in COCO is a whole number."""
        value = identity(item, key)
        if not value.lstrip("-").isdecimal() or len(value) > 15:
            raise Unfit("malformed", f"{key!r} is no whole number: {value[:20]}")
        return int(value)


@READERS.register("coco-captions")
@dataclass(frozen=True, kw_only=True)
class CocoCaptions(Coco):
    """MS COCO captions: one record a caption.

    The table of pictures is read first; it leads the official files, so that little is read before the first record.
    Source: Chen et al. 2015, "Microsoft COCO captions"; https://cocodataset.org/#format-data.

    >>> list(CocoCaptions(paths=("annotations/captions_val2017.json",)).records())        # doctest: +SKIP
    [Record(id='captions_val2017/38', text='A man is holding ...', image='000000179765.jpg', ...), ...]
    """

    def records(self) -> Iterator[Record]:
        for path in self.find("captions_*.json"):
            images: dict[int, str] = {}
            for place, image in numbered("images", elements(path, "images")):
                named = self.taken(path, place, partial(self.entry, image))
                images.update([named] if named else [])
            make = partial(self.captions, self.name(path), images, set())
            yield from self.each(path, numbered("annotations", elements(path, "annotations")), make)

    def entry(self, image: Any) -> tuple[int, str]:
        return self.whole(image, "id"), self.file_name(image)

    def captions(self, name: str, images: dict[int, str], seen: set[int], place: str, item: Any) -> Iterator[Record]:
        image, key = self.whole(item, "image_id"), self.whole(item, "id")
        if image not in images:
            raise Unfit("picture unknown", f"image_id {image}")
        if key in seen:
            raise Unfit("said twice", f"id {key}")
        seen.add(key)
        caption = text(item, "caption")
        yield Record(id=f"{name}/{key}", source="coco-captions", text=caption, image=self.picture(images[image]))


@READERS.register("coco-instances")
@dataclass(frozen=True, kw_only=True)
class CocoInstances(Coco):
    """MS COCO instances: one record a picture, its boxes as regions with the names of their categories.

    The boxes of a file are held, in 56 bytes each, before its pictures are gone through.
    Source: Lin et al. 2014, "Microsoft COCO"; https://cocodataset.org/#format-data.

    Args:
        crowds: keep boxes that hold a crowd.

    >>> record = next(CocoInstances(paths=("annotations/instances_val2017.json",)).records())  # doctest: +SKIP
    >>> record.regions[0].label                                                           # doctest: +SKIP
    'bottle'
    """

    crowds: bool = False

    def records(self) -> Iterator[Record]:
        for path in self.find("instances_*.json"):
            categories: dict[int, str] = {}
            numbers = array("d")
            scanner = Scanner(path)
            for name in scanner.names():
                if name not in ("annotations", "categories"):
                    scanner.skip()
                    continue
                for place, item in numbered(name, scanner.listed()):
                    if name == "categories":
                        known = self.taken(path, place, partial(self.category, item))
                        categories.update([known] if known else [])
                    else:
                        numbers.extend(self.taken(path, place, partial(self.numbers, item)) or ())
            boxes = Boxes(np.frombuffer(numbers, dtype=np.float64).reshape(-1, NUMBERS), categories)
            make = partial(self.regions, path, boxes, set())
            yield from self.each(path, numbered("images", elements(path, "images")), make)

    def category(self, item: Any) -> tuple[int, str]:
        return self.whole(item, "id"), text(item, "name")

    def numbers(self, item: Any) -> tuple[float, ...]:
        """What is held of an annotation; nothing of a crowd that is not wanted."""
        if not self.crowds and mapping(item).get("iscrowd"):
            return ()
        box = listing(item, "bbox")
        if len(box) != 4:
            raise Unfit("malformed", f"'bbox' has {len(box)} numbers")
        x, y, width, height = (number(dict(zip("xywh", box, strict=True)), side) for side in "xywh")
        ids = [self.whole(item, key) for key in ("image_id", "category_id", "id")]
        return ids[0], ids[1], x, y, x + width, y + height, ids[2]

    def regions(self, path: Path, boxes: Boxes, seen: set[int], place: str, item: Any) -> Iterator[Record]:
        image, width, height = self.whole(item, "id"), size(item, "width"), size(item, "height")
        if image in seen:
            raise Unfit("said twice", f"id {image}")
        seen.add(image)
        picture = self.picture(self.file_name(item))
        regions = []
        for category, *corners, key in boxes.of(image):
            make = partial(boxes.region, int(category), corners, width, height)
            region = self.taken(path, f"annotation {int(key)}", make)
            regions += [region] if region else []
        yield Record(id=f"{self.name(path)}/{image}", source="coco-instances", image=picture, regions=tuple(regions))


class Boxes:
    """The boxes of all pictures, sorted by picture."""

    def __init__(self, numbers: np.ndarray[Any, Any], categories: dict[int, str]) -> None:
        self._numbers = numbers[np.argsort(numbers[:, 0], kind="stable")]
        self._categories = categories

    def of(self, image: int) -> list[list[float]]:
        """Category, corners in pixels and id of each box of a picture."""
        start, stop = np.searchsorted(self._numbers[:, 0], [image, image + 1])
        return self._numbers[start:stop, 1:].tolist()

    def region(self, category: int, corners: list[float], width: float, height: float) -> Region:
        if category not in self._categories:
            raise Unfit("category unknown", f"category_id {category}")
        return Region(share_box(corners, width, height), self._categories[category])
