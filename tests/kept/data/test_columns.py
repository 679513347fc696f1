"""Regions, replies and classes as arrays, against the records they come from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kept.data.batch import IGNORE
from kept.data.classes import collect_classes
from kept.data.columns import padded, ragged
from kept.data.naming import Named, namings
from kept.data.record import Grounding, Record, Region, Relation
from kept.data.region_features import Crops
from kept.data.tokenized import TokenizedRecords
from kg.errors import InputError
from tests.kept import tiny

DOG = Region((0.0, 0.0, 0.5, 1.0), "dog", ("brown", "small"), (1.0, 2.0))
CAT = Region((0.5, 0.0, 1.0, 0.5), "cat", (), (3.0, 4.0))
SCENE = Record(
    id="scene",
    text="A flag of a banner.",
    regions=(DOG, CAT),
    relations=(Relation(0, "near", 1),),
    grounding=(Grounding(2, 6, 1), Grounding(12, 18, 0)),
    answer="red",
)
CLASSES = {"objects": ["cat", "dog"], "attributes": ["small"], "predicates": ["near"], "answers": ["red"]}


def build(*records: Record, **options: object) -> TokenizedRecords:
    return TokenizedRecords.build(records, tiny.tokenizer(), **{"classes": CLASSES, **options})  # type: ignore[arg-type]


def test_ragged_rows_come_back_padded() -> None:
    rows = [[1, 2, 3], [], [4]]
    values, mask = padded(*ragged(rows), np.array([2, 0, 1]), -1)
    assert values.tolist() == [[4, -1, -1], [1, 2, 3], [-1, -1, -1]]
    assert mask.sum(1).tolist() == [1, 3, 0]


def test_regions_are_those_of_the_records() -> None:
    corpus = build(SCENE, Record(id="plain", text="Nothing."), replace(SCENE, id="one", regions=(CAT,), relations=()))
    regions = corpus.batch(np.array([0, 1, 2]), tiny.NOISE).regions
    assert regions is not None
    assert regions.mask.tolist() == [[True, True], [False, False], [True, False]]
    assert regions.label.tolist() == [[1, 0], [IGNORE, IGNORE], [0, IGNORE]]
    assert regions.attributes[0].tolist() == [[0], [IGNORE]], "brown is no class"
    torch.testing.assert_close(regions.boxes[0], torch.tensor([DOG.box, CAT.box]))
    assert regions.features[0].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert regions.relations[0].tolist() == [[0, 0, 1]]
    assert not regions.hidden.any()


def test_grounding_is_told_in_pieces() -> None:
    corpus = build(SCENE)
    batch = corpus.batch(np.array([0]), tiny.NOISE)
    assert batch.regions is not None
    for start, end, region in batch.regions.grounding[0].tolist():
        words = tiny.tokenizer().decode(batch.text.ids[0, start:end].tolist())
        assert (words, region) in {("flag", 1), ("banner", 0)}


def test_an_answer_has_its_pieces_and_its_class() -> None:
    batch = build(SCENE, replace(SCENE, id="other", answer="unheard of"), Record(id="none", text="A flag.")).batch(
        np.arange(3), tiny.NOISE
    )
    assert batch.answer is not None and batch.answer.tolist() == [0, IGNORE, IGNORE]
    assert batch.reply is not None
    assert (batch.reply.mask & ~batch.reply.special).any(1).tolist() == [True, True, False]


def test_a_question_is_read_behind_the_text() -> None:
    asked = Record(id="q", text="A flag.", question="Which colour?")
    ids = build(asked).batch(np.array([0]), tiny.NOISE).text.ids[0]
    assert ids.tolist() == tiny.tokenizer()("A flag. Which colour?")["input_ids"]


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (replace(SCENE, regions=(DOG, CAT._replace(feature=None))), "record scene: region 1 has no feature"),
        (replace(SCENE, regions=(DOG, CAT._replace(feature=(1.0,)))), "features of 1 and 2 numbers"),
        (replace(SCENE, regions=(DOG._replace(scores=(0.1, 0.9)), CAT)), "region 1 has 0 scores for 2 classes"),
    ],
)
def test_features_that_do_not_fit_are_refused(record: Record, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(record)


def test_names_are_found_as_whole_words_whatever_their_case() -> None:
    record = Record(id="a", regions=(Region((0, 0, 1, 1), "cat", ("red",)),), relations=(Relation(0, "left of", 0),))
    found = namings(record, "A Cat, a category, a RED one left of it; redder.")
    assert [(each.start, each.kind) for each in found] == [
        (2, Named.OBJECT),
        (21, Named.ATTRIBUTE),
        (29, Named.RELATION),
    ]


def test_classes_come_by_frequency_behind_those_that_were_there() -> None:
    records = [Record(id=str(n), answer=a) for n, a in enumerate(["b", "a", "c", "c", "old"])]
    assert collect_classes(records, {"answers": 2}, {"answers": ["old"]})["answers"] == ["old", "c", "a"]


def test_crops_show_what_lies_in_the_box(tmp_path: Path) -> None:
    pixels = np.zeros((10, 20, 3), dtype=np.uint8)
    pixels[:, 10:] = (255, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "half.png")
    boxes = [(0.0, 0.0, 0.5, 1.0), (0.5, 0.0, 1.0, 1.0), (0.5, 0.5, 0.5, 0.5), (0.99, 0.99, 1.0, 1.0)]
    record = Record(id="a", image="half.png", regions=tuple(Region(box) for box in boxes))
    found = Crops(tmp_path, 2)(record).reshape(4, 3, 2, 2)
    assert (found[0] == -1).all()
    assert (found[1, 0] == 1).all() and (found[1, 1:] == -1).all()
    assert np.isfinite(found).all()


def test_a_picture_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.png: no such file, record a names it"):
        Crops(tmp_path, 2)(Record(id="a", image="gone.png", regions=(DOG,)))
    with pytest.raises(InputError, match="record a: has regions and no picture"):
        Crops(tmp_path, 2)(Record(id="a", regions=(DOG,)))
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"bad\.png: not a picture"):
        Crops(tmp_path, 2)(Record(id="a", image="bad.png", regions=(DOG,)))
