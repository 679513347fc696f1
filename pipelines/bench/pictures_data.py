"""Records of easy-VQA and NLVR, prepared for `kept bench pictures`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from kept.data.record import Record
from kept.data.shards import write_records
from kg.errors import InputError
from kg.storage import atomic_directory
from pipelines.bench.nlvr_guises import COPIES, examples, guises, nlvr_root
from pipelines.bench.nlvr_pixels import pictured
from pipelines.bench.nlvr_statements import statements

STATEMENTS = 3
"""Simple statements about each guise of a scene, to learn words from before sentences."""
PICTURES = "pictures"

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
    root = nlvr_root(data)

    def told() -> Iterator[Record]:
        for record in examples(root, "test", "hidden"):
            yield from (guise.told(record) for guise in guises(record, COPIES))

    write_records(work / "train", told())
    write_records(work / "statements", (made for scene in told() for made in statements(scene, STATEMENTS)))
    write_records(work / "test", examples(root, "dev"))
    return work / "train", work / "test", root


def nlvr_pixels(data: Path | None, work: Path) -> Made:
    """`nlvr` without its regions: each guise is a picture, made from the example's own, in the folder beside `work`.

    Raises:
        InputError: when the folder does not hold the three parts, or a picture is missing or another than NLVR's.
    """
    root, pictures = nlvr_root(data), work.with_name(PICTURES)
    with atomic_directory(pictures) as partial:
        scenes = list(pictured(examples(root, "test", "hidden"), root, partial, COPIES))
        tested = list(pictured(examples(root, "dev"), root, partial, copies=1))
    told = (replace(made, image=scene.image) for scene in scenes for made in statements(scene, STATEMENTS))
    for part, records in (("train", scenes), ("statements", told), ("test", tested)):
        write_records(work / part, (replace(record, regions=()) for record in records))
    return work / "train", work / "test", pictures


MAKERS: dict[str, Callable[[Path | None, Path], Made]] = {
    "easy-vqa": easy_vqa,
    "nlvr": nlvr,
    "nlvr-pixels": nlvr_pixels,
}
