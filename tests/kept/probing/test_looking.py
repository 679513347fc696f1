"""Pictures of one's own: what is shown to a model is what its corpus would show."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from kept.data.record import Record
from kept.data.tokenized import TokenizedRecords
from kept.probing.looking import captions, choose, shown
from kg.errors import InputError
from pipelines.cli import app
from tests.kept import tiny
from tests.kept.probing.test_media import FULL, trained

QUESTION = FULL[0].text or ""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The four pictures of the tiny world as files."""
    folder = tmp_path_factory.mktemp("images")
    for number, pixels in enumerate(tiny.pixels().pixels):
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


def test_a_picture_is_shown_as_a_corpus_shows_it(images: list[Path]) -> None:
    records = [Record(id=str(n), question=QUESTION, image=f"{n}.png") for n in range(4)]
    corpus = TokenizedRecords.build(records, tiny.tokenizer(), pictures=tiny.pixels())
    expected = corpus.batch(np.arange(4), tiny.NOISE)
    batch = shown(tiny.model(), tiny.tokenizer(), images, QUESTION)
    assert torch.equal(batch.text.ids, expected.text.ids)
    assert batch.image is not None and expected.image is not None
    assert torch.equal(batch.image.pixels, expected.image.pixels)  # type: ignore[arg-type]


def test_answers_are_chosen_from_the_list_by_probability(images: list[Path]) -> None:
    model = tiny.model(heads={"answers": {}})
    found = choose(model, tiny.tokenizer(), QUESTION, images[1], top=9)
    batch = shown(model, tiny.tokenizer(), [images[1]], QUESTION)
    likely = model.heads["answers"](model.encode(batch).summary)[0].softmax(0).tolist()
    assert dict(found) == pytest.approx(dict(zip(tiny.CLASSES["answers"], likely, strict=True)))
    assert found == sorted(found, key=lambda one: -one[1])
    with pytest.raises(InputError, match="no list of answers"):
        choose(tiny.model(), tiny.tokenizer(), QUESTION)


def test_the_commands(images: list[Path], tmp_path: Path) -> None:
    model = trained("caption")
    model.heads.update(tiny.model(heads={"answers": {}}).heads)
    model.config.head_options = {"answers": {}}
    model.save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(str(tmp_path))
    run = CliRunner().invoke(app, ["caption", str(tmp_path), str(images[0]), str(images[3]), "--json"])
    assert run.exit_code == 0, run.output
    told = [one["caption"] for one in json.loads(run.stdout)["captions"]]
    assert told == captions(model, tiny.tokenizer(), [images[0], images[3]])
    run = CliRunner().invoke(app, ["ask", str(tmp_path), "Is it red?", "--image", str(images[2]), "--json"])
    assert run.exit_code == 0, run.output
    answers = json.loads(run.stdout)["answers"]
    assert [one["label"] for one in answers] == [
        name for name, _ in choose(model, tiny.tokenizer(), "Is it red?", images[2])
    ]
    for arguments, message in (
        (["caption", str(tmp_path), "nowhere.png"], "nowhere.png: no such file"),
        (["caption", str(tmp_path), str(images[0]), "--how", "beem"], "did you mean 'beam'?"),
    ):
        run = CliRunner().invoke(app, arguments)
        assert run.exit_code == 2 and message in " ".join(run.stderr.split())
