"""Records of easy-VQA and NLVR, prepared for `kept bench pictures`."""

from __future__ import annotations

import difflib
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path

from kept.data.readers.nlvr import COLOURS, HEIGHT, NLVR, STEP, WIDTH, feature_of, moved
from kept.data.record import Record, Region, write_records
from kg.errors import InputError
from pipelines.bench.nlvr_statements import statements

COPIES = 12
"""Of each NLVR example that is trained on, the first as it is."""
STATEMENTS = 3
"""Simple statements about each guise of a scene, to learn words from before sentences."""
ORDERS = tuple(permutations(range(3)))
NAMES = tuple(COLOURS.values())
COLOUR_WORD = re.compile(rf"\b({'|'.join(NAMES)})\b", re.IGNORECASE)
SIDE_WORD = re.compile(r"\b(left|right)", re.IGNORECASE)

Made = tuple[Path, Path, Path]
"""Folders of records to train on and to test on, and the root of their pictures."""


def easy_vqa(data: Path | None, work: Path) -> Made:
    """The train and test questions of the installed package, or of a folder that holds `train` and `test`.

    Raises:
        InputError: when there is neither.
    """
    root = data
    if root is None:
        from importlib.util import find_spec

        spec = find_spec("easy_vqa")
        if spec is None or spec.origin is None:
            raise InputError("easy-VQA is not here; pip install 'kept-toolkit[bench]', or name its folder by --data")
        root = Path(spec.origin).parent / "data"
    for part in ("train", "test"):
        write_records(work / part, questions(root, part))
    return work / "train", work / "test", root


def questions(root: Path, part: str) -> Iterator[Record]:
    """One record a question; its source is whether yes or no answers it, or something else."""
    path = root / part / "questions.json"
    try:
        asked = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no questions ({error})") from None
    for number, (question, answer, image) in enumerate(asked):
        yield Record(
            id=f"{part}-{number}",
            question=question,
            answer=answer,
            image=f"{part}/images/{int(image)}.png",
            source="yes-no" if answer in ("yes", "no") else "what",
        )


def nlvr(data: Path | None, work: Path) -> Made:
    """Train on test + hidden (train.json is not part of what may be had), each example in `COPIES` guises; test on dev.

    Beside `train` lies `statements`: simple statements about the same scenes.

    Raises:
        InputError: when the folder does not hold the three parts.
    """
    root = data or Path(".data/eval/nlvr")
    parts = {part: root / part / f"{part}.json" for part in ("dev", "test", "hidden")}
    for path in parts.values():
        if not path.is_file():
            raise InputError(f"{path}: no such file; name NLVR's folder by --data")

    def read(*names: str) -> Iterator[Record]:
        paths = tuple(str(parts[name]) for name in names)
        yield from NLVR(paths=paths, pictures=str(root), permutations=1, features=True).records()

    write_records(work / "train", (guise for record in read("test", "hidden") for guise in guises(record)))
    scenes = (guise for record in read("test", "hidden") for guise in guises(record))
    write_records(work / "statements", (made for scene in scenes for made in statements(scene, STATEMENTS)))
    write_records(work / "test", read("dev"))
    return work / "train", work / "test", root


MAKERS: dict[str, Callable[[Path | None, Path], Made]] = {"easy-vqa": easy_vqa, "nlvr": nlvr}


def guises(record: Record, copies: int = COPIES) -> Iterator[Record]:
    """Records that are true or false for the same reason: boxes in another order, mirrored, in exchanged colours.

    Sentences that speak of left and right are not mirrored, those with a colour misspelt keep their colours.
    """
    yield record
    draw = random.Random(record.id)
    text = record.text or ""
    for number in range(1, copies):
        order = ORDERS[number % len(ORDERS)]
        regions = reordered(record.regions, order)
        if draw.random() < 0.5 and not SIDE_WORD.search(text):
            regions = [mirrored(region) for region in regions]
        words = text
        if not misspelt(text):
            change = dict(zip(NAMES, draw.sample(NAMES, len(NAMES)), strict=True))
            words = COLOUR_WORD.sub(lambda found, change=change: change[found[0].lower()], text)  # type: ignore[misc]
            regions = [
                region._replace(attributes=tuple(change[name] for name in region.attributes)) for region in regions
            ]
        regions = [region._replace(feature=feature_of(region)) for region in regions]
        yield replace(record, id=f"{record.id}/{number}", text=words, regions=tuple(regions), image=None)


def slot_of(region: Region) -> int:
    """The box that a shape lies in."""
    return int((region.box[0] * WIDTH + 0.5) // STEP)


def reordered(regions: Sequence[Region], order: Sequence[int]) -> list[Region]:
    """The shapes when box `order[s]` stands at place s."""
    boxes = [[region for region in regions if slot_of(region) == slot] for slot in range(3)]
    return [region for slot, box in enumerate(order) for region in moved(boxes[box], slot - box)]


def mirrored(region: Region) -> Region:
    """A shape with left and right of its box exchanged."""
    left, top, right, bottom = region.box
    middle = (STEP * slot_of(region) * 2 + HEIGHT) / WIDTH
    return region._replace(box=(middle - right, top, middle - left, bottom))


def misspelt(text: str) -> bool:
    """Whether a word looks like the name of a colour and is none."""
    words = {word for word in re.findall(r"[a-z]+", text.lower()) if word not in NAMES}
    return any(difflib.get_close_matches(word, NAMES, 1, 0.75) for word in words)
