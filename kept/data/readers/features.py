"""Features of regions that a detector has found: bottom-up attention, LXMERT, and .npz files of one picture each."""

from __future__ import annotations

import base64
import binascii
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from kept.data.readers.base import READERS, Files
from kept.data.readers.fields import share_box, size, text
from kept.data.readers.lines import lines, open_bytes
from kept.data.readers.rejects import Unfit
from kept.data.record import Record, Region
from kept.data.shards import read_records
from kg.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

BUTD = ("image_id", "image_w", "image_h", "num_boxes", "boxes", "features")
LXMERT = (
    "img_id", "img_h", "img_w", "objects_id", "objects_conf", "attrs_id", "attrs_conf", "num_boxes", "boxes",
    "features",
)  # fmt: skip
SAME = {
    "img_id": "image_id", "img_w": "image_w", "img_h": "image_h", "x": "features", "bbox": "boxes",
    "objects": "objects_id", "attrs": "attrs_id",
}  # fmt: skip
"""Names of one thing in different files."""
KINDS = {"boxes": "<f4", "features": "<f4", "objects_id": "<i8", "attrs_id": "<i8"}
"""The numbers in the cells of a .tsv."""
MAX_LINE = 1 << 26
MAX_ARRAY = 1 << 27
"""Bytes of one array of an .npz."""


@READERS.register("region-features")
@dataclass(frozen=True, kw_only=True)
class RegionFeatures(Files):
    """Features of regions, as records of their own or put into records that name the same pictures.

    Takes the .tsv files of bottom-up attention (image_id, image_w, image_h, num_boxes, boxes, features) and of LXMERT,
    whose cells hold base64, and .npz files with `features` (or `x`), `boxes` (or `bbox`, in pixels), `image_w`,
    `image_h` and perhaps `objects_id`, `attrs_id`, named by their pictures. Nothing is unpickled.
    Source: Anderson et al. 2018, "Bottom-up and top-down attention"; Tan & Bansal 2019, "LXMERT".

    Args:
        into: a folder of records; each whose picture has features gets these regions in place of its own, and loses
            relations and groundings, which speak of the old ones. The others stay as they are.
        classes: a file with the name of class 0, 1, ... a line; of a detector that was trained on Visual Genome.
        attributes: the same for attributes.
        suffix: of the pictures' names, where records are made.

    >>> record = next(RegionFeatures(paths=("trainval_36",)).records())                   # doctest: +SKIP
    >>> len(record.regions), len(record.regions[0].feature)                               # doctest: +SKIP
    (36, 2048)
    """

    into: str | None = None
    classes: str | None = None
    attributes: str | None = None
    suffix: str = ".jpg"
    names: dict[str, list[str]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def records(self) -> Iterator[Record]:
        for kind, listed in (("objects_id", self.classes), ("attrs_id", self.attributes)):
            if listed is not None:
                self.names[kind] = [line.split(",")[0].strip() for _, line in lines(Path(listed), self.rejects)]
        found = self.find("*.tsv", "*.npz")
        if self.into is not None:
            yield from self.attached(found, self.into)
            return
        seen: set[str] = set()
        for path in found:
            yield from self.each(path, self.tables(path), partial(self.made, seen, path))

    def tables(self, path: Path) -> Iterator[tuple[Any, Mapping[str, Any]]]:
        """What a file says of each picture."""
        if path.suffix == ".npz":
            table = self.taken(path, path.stem, partial(read_npz, path))
            yield from [(path.stem, table)] if table else []
            return
        header: tuple[str, ...] | None = None
        for number, line in lines(path, self.rejects, max_line=MAX_LINE):
            cells = tuple(line.split("\t"))
            if number == 1 and cells[0] in (BUTD[0], LXMERT[0]):
                header = cells
                continue
            columns = header or (LXMERT if len(cells) == len(LXMERT) else BUTD)
            table = self.taken(path, number, partial(table_of, columns, cells))
            if table is not None:
                yield number, table

    def made(self, seen: set[str], path: Path, place: Any, table: Mapping[str, Any]) -> Iterator[Record]:
        key = text(table, "image_id")
        if key in seen:
            raise Unfit("said twice", f"image_id {key}")
        image = self.picture(key if PurePosixPath(key).suffix else key + self.suffix)
        seen.add(key)
        yield Record(id=key, source="region-features", image=image, regions=self.regions(path, key, table))

    def attached(self, paths: list[Path], folder: str) -> Iterator[Record]:
        """Records with the features of their pictures; of a .tsv only the places of its lines are held."""
        places: dict[str, tuple[Path, int | None]] = {}
        for path in paths:
            if path.suffix == ".npz":
                places.setdefault(path.stem, (path, None))
                continue
            if path.suffix != ".tsv":
                raise InputError(f"{path}: features are put into records from plain files; decompress it")
            places |= {key: (path, start) for key, start in starts(path) if key not in places}
        for record in read_records(folder):
            key = PurePosixPath(record.image or "").stem
            if record.image is None or key not in places:
                yield record
                continue
            path, start = places[key]
            table = self.taken(path, key, partial(read_npz, path) if start is None else partial(read_at, path, start))
            regions = self.taken(path, key, partial(self.regions, path, key, table)) if table else None
            if regions is not None:
                yield replace(record, regions=regions, relations=(), grounding=())

    def regions(self, path: Path, key: str, table: Mapping[str, Any]) -> tuple[Region, ...]:
        """The regions of a picture, each with its feature; those with unfit boxes are refused."""
        width, height = size(table, "image_w"), size(table, "image_h")
        boxes, features = table["boxes"], table["features"]
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise Unfit("malformed", f"boxes of shape {boxes.shape}")
        if features.ndim == 2 and len(features) != len(boxes) and features.shape[1] == len(boxes):
            features = features.T
        if features.ndim != 2 or len(features) != len(boxes):
            raise Unfit("malformed", f"features of shape {features.shape} for {len(boxes)} boxes")
        if not (np.isfinite(features).all() and np.isfinite(boxes).all()):
            raise Unfit("malformed", "numbers that are none")
        labels, attributes = (self.named_by(table, kind, len(boxes)) for kind in ("objects_id", "attrs_id"))
        found = []
        for row, corners in enumerate(boxes.tolist()):
            box = self.taken(path, f"{key}/{row}", partial(share_box, corners, width, height))
            if box is not None:
                attribute = attributes[row]
                feature = tuple(features[row].astype(np.float32).tolist())
                found.append(Region(box, labels[row], (attribute,) if attribute else (), feature))
        return tuple(found)

    def named_by(self, table: Mapping[str, Any], kind: str, count: int) -> list[str | None]:
        """The names of the classes that a detector chose."""
        if kind not in self.names or kind not in table:
            return [None] * count
        chosen, names = table[kind].tolist(), self.names[kind]
        if len(chosen) != count or not all(0 <= number < len(names) for number in chosen):
            raise Unfit("malformed", f"{kind!r} is not {count} numbers below {len(names)}")
        return [names[number] for number in chosen]


def table_of(columns: tuple[str, ...], cells: tuple[str, ...]) -> dict[str, Any]:
    """The cells of a line by their names, base64 as arrays."""
    if len(cells) != len(columns):
        raise Unfit("malformed", f"{len(cells)} columns instead of {len(columns)}")
    table: dict[str, Any] = {SAME.get(name, name): cell for name, cell in zip(columns, cells, strict=True)}
    if not str(table.get("num_boxes", "")).isdecimal() or not {"boxes", "features", "image_id"} <= set(table):
        raise Unfit("malformed", f"not the columns {', '.join(BUTD)}")
    count = int(table["num_boxes"])
    for name in KINDS.keys() & table.keys():
        array = unpacked(table[name], name)
        if array.size % max(1, count) or (name == "boxes" and array.size != 4 * count):
            raise Unfit("malformed", f"{name!r} has {array.size} numbers for {count} boxes")
        table[name] = array.reshape(count, -1 if count else 0) if name in ("boxes", "features") else array
    if count == 0:
        table["boxes"] = table["boxes"].reshape(0, 4)
    return table


def unpacked(cell: str, name: str) -> NDArray[Any]:
    try:
        return np.frombuffer(base64.b64decode(cell, validate=True), dtype=KINDS[name])
    except (binascii.Error, ValueError) as error:
        raise Unfit("malformed", f"{name!r}: {error}") from None


def read_npz(path: Path) -> dict[str, Any]:
    """The arrays of a picture; what would need unpickling is not looked at."""
    try:
        with zipfile.ZipFile(path) as archive:
            large = [info.filename for info in archive.infolist() if info.file_size > MAX_ARRAY]
        if large:
            raise Unfit("too large", f"{large[0]} has more than {MAX_ARRAY:,} bytes")
        with np.load(path, allow_pickle=False) as archive:
            there = {SAME.get(name, name): name for name in archive.files}
            wanted = {"image_w", "image_h", "boxes", "features", *KINDS}
            table = {name: archive[there[name]] for name in sorted(wanted & set(there))}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, NotImplementedError, MemoryError) as error:
        raise Unfit("malformed", f"not an .npz of numbers ({error})") from None
    for name in ("image_w", "image_h", "boxes", "features"):
        if name not in table:
            raise Unfit("malformed", f"{name!r} is missing")
        if table[name].dtype.kind not in "iuf":
            raise Unfit("malformed", f"{name!r} holds {table[name].dtype}")
    whole = {name: float(table[name].reshape(-1)[0]) for name in ("image_w", "image_h") if table[name].size == 1}
    return {**table, **whole, "image_id": path.stem}


def starts(path: Path) -> Iterator[tuple[str, int]]:
    """The picture and the place of each line of a .tsv."""
    place = 0
    with open_bytes(path) as file:
        while line := file.readline(MAX_LINE + 1):
            if len(line) > MAX_LINE:
                raise InputError(f"{path}: a line of more than {MAX_LINE:,} bytes")
            yield line.split(b"\t", 1)[0].decode("utf-8", "replace"), place
            place += len(line)


def read_at(path: Path, start: int) -> dict[str, Any]:
    """The line at a place of a .tsv."""
    with path.open("rb") as file:
        file.seek(start)
        cells = tuple(file.readline(MAX_LINE).decode("utf-8", "replace").rstrip("\r\n").split("\t"))
    return table_of(LXMERT if len(cells) == len(LXMERT) else BUTD, cells)
