"""VQA v2: questions about pictures and what ten people answered."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kept.data.readers.base import READERS, Files, numbered
from kept.data.readers.fields import identity, listing, mapping, text
from kept.data.readers.joining import WINDOW, Joined
from kept.data.readers.json_stream import elements
from kept.data.readers.rejects import Unfit
from kept.data.record import Record
from kg.errors import InputError

QUESTIONS, ANNOTATIONS = "*questions.json", "*annotations.json"
PART = re.compile(r"(train|val|test)(?:-dev)?(20\d\d)")


@READERS.register("vqa")
@dataclass(frozen=True, kw_only=True)
class VQA(Files):
    """VQA v2: one record a question, with the answer that most people gave.

    Takes files of questions and, for each, the annotations of the same part (train2014, ...) where there are any; the
    two are read side by side.
    Source: Goyal et al. 2017, "Making the V in VQA matter"; https://visualqa.org/vqa_v2_format.html.

    Args:
        file_name: how pictures are named, by {part} and {image}.
        window: questions by which the order of the two files may differ.

    >>> record = next(VQA(paths=("v2_OpenEnded_mscoco_val2014_questions.json",)).records())  # doctest: +SKIP
    >>> record.question, record.image                                                     # doctest: +SKIP
    ('Where is he looking?', 'COCO_val2014_000000262148.jpg')
    """

    file_name: str = "COCO_{part}_{image:012d}.jpg"
    window: int = WINDOW

    def records(self) -> Iterator[Record]:
        found = self.find(QUESTIONS, ANNOTATIONS)
        annotations = {part_of(path): path for path in found if is_annotations(path)}
        questions = [path for path in found if not is_annotations(path)]
        if not questions:
            raise InputError(f"{found[0]}: its questions are missing ({QUESTIONS})")
        if alone := set(annotations) - {part_of(path) for path in questions}:
            raise InputError(f"{annotations[min(alone)]}: its questions are missing ({QUESTIONS})")
        for path in questions:
            part = part_of(path)
            answers = None
            if part in annotations:
                items = self.keyed(annotations[part])
                answers = Joined(annotations[part], items, self.rejects, window=self.window)
            make = partial(self.asked, self.name(path), part, answers, set())
            yield from self.each(path, numbered("questions", elements(path, "questions")), make)
            if answers is not None:
                answers.refuse_rest("question unknown or out of order")

    def keyed(self, path: Path) -> Iterator[tuple[str, Any]]:
        for place, item in numbered("annotations", elements(path, "annotations")):
            question = self.taken(path, place, partial(identity, item, "question_id"))
            if question is not None:
                yield question, item

    def asked(
        self, name: str, part: str, answers: Joined | None, seen: set[str], place: str, item: Any
    ) -> Iterator[Record]:
        key = identity(item, "question_id")
        annotation = None if answers is None else answers.take(key)
        if key in seen:
            raise Unfit("said twice", f"question_id {key}")
        seen.add(key)
        if answers is not None and annotation is None:
            raise Unfit("answer missing", f"question_id {key}")
        image = identity(item, "image_id")
        if "{image:" in self.file_name and not image.isdecimal():
            raise Unfit("malformed", f"'image_id' is no number: {image}")
        try:
            picture = self.file_name.format(part=part, image=int(image) if image.isdecimal() else image)
        except (KeyError, ValueError, IndexError) as error:
            raise InputError(f"file_name: {self.file_name!r} takes {{part}} and {{image}} ({error})") from None
        yield Record(
            id=f"{name}/{key}",
            source="vqa",
            image=self.picture(picture),
            question=text(item, "question"),
            answer=None if annotation is None else majority(annotation),
        )


def majority(annotation: Any) -> str:
    """The answer that most people gave; of several, the one that the file chose, else the first.

    >>> majority({"answers": [{"answer": "no"}, {"answer": "yes"}, {"answer": "yes"}]})
    'yes'
    """
    chosen = mapping(annotation).get("multiple_choice_answer")
    if "answers" not in annotation:
        return text(annotation, "multiple_choice_answer")
    counts = Counter(text(answer, "answer") for answer in listing(annotation, "answers"))
    if not counts:
        raise Unfit("answer missing", "'answers' is empty")
    most = max(counts.values())
    first = next(answer for answer, count in counts.items() if count == most)
    return chosen if isinstance(chosen, str) and counts[chosen] == most else first


def is_annotations(path: Path) -> bool:
    return "annotations" in path.name


def part_of(path: Path) -> str:
    """The part of COCO that a file is about, of which its name tells.

    >>> part_of(Path("v2_OpenEnded_mscoco_test-dev2015_questions.json"))
    'test2015'
    """
    if match := PART.search(path.name):
        return match[1] + match[2]
    raise InputError(f"{path}: the name tells no part of COCO, such as train2014")
