"""Evaluation on held-out pictures against answers worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kept.data.noise import Noise
from kept.data.record import Grounding, Record
from kept.modeling.model import KeptModel
from kept.modeling.writing import write
from kept.objectives import OBJECTIVES, Context, Forward
from kept.objectives.generation import blank
from kept.objectives.masking import hide_text_mentions
from kept.probing import media
from kept.probing.rows import Figure
from kg.errors import InputError
from tests.kept import tiny

FULL = [replace(tiny.RECORDS[row], source="odd" if row % 2 else "even") for row in tiny.FULL]


def trained(*names: str, steps: int = 150, **options: object) -> KeptModel:
    """A model that knows the four full records by heart."""
    objectives = [OBJECTIVES[name](**options) for name in names]  # type: ignore[arg-type]
    model, corpus = tiny.model(heads=tiny.heads(objectives)), tiny.corpus(FULL)
    batch = corpus.batch(np.arange(4), tiny.NOISE)
    views = [objective.prepare(batch, tiny.context(tiny.NOISE, corpus)) for objective in objectives]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(steps):
        terms = [objective.loss(view, Forward(model)) for objective, view in zip(objectives, views, strict=True)]
        total = sum(term.sum / max(1, term.count or 1) for several in terms for term in several.values())
        optimizer.zero_grad()
        total.backward()  # type: ignore[union-attr]
        optimizer.step()
    return model.eval()


def value(rows: list[Figure], arm: str, metric: str, relation: str | None = None) -> float:
    (found,) = [row for row in rows if (row.arm, row.metric, row.relation) == (arm, metric, relation)]
    return found.value


def test_answers_are_those_of_the_head_beside_their_floors() -> None:
    model, corpus = trained("iqa"), tiny.corpus(FULL)
    train = [Record(id=str(n), text=FULL[0].text, answer="blue") for n in range(3)]
    train += [Record(id=f"r{n}", text="Else.", answer="red") for n in range(4)]
    rows = media.answers(model, corpus, FULL, "four", train)
    assert value(rows, "model", "accuracy") == 1.0
    assert value(rows, "majority", "accuracy") == 0.5, "red, of red, blue, red, blue"
    assert value(rows, "question-only", "accuracy") == 0.25, "the first question is answered blue, the others red"
    assert value(rows, "majority", "accuracy", "even") == 1.0
    assert value(rows, "majority", "accuracy", "odd") == 0.0


def test_what_was_learned_by_heart_is_retrieved() -> None:
    rows = media.retrieval(trained("itc"), tiny.corpus(FULL), FULL, "four")
    assert value(rows, "texts", "recall@1") == value(rows, "pictures", "recall@1") == 1.0
    assert value(rows, "chance", "recall@1") == pytest.approx(0.25)


def test_alignment_counts_the_region_that_most_of_a_name_goes_to(monkeypatch: pytest.MonkeyPatch) -> None:
    text = FULL[0].text or ""
    start = text.index("flag")
    record = replace(FULL[0], grounding=(Grounding(start, start + 4, 1), Grounding(0, 3, 0)))
    corpus = tiny.corpus([record])

    def plan(streams: object, batch: object) -> torch.Tensor:
        moved = torch.zeros(1, 40, 2)
        moved[..., 1] = 1.0
        return moved

    monkeypatch.setattr("kept.probing.media.pairs.align", plan)
    rows = media.alignment(tiny.model(), corpus, [record], "one")
    assert value(rows, "model", "accuracy") == value(rows, "chance", "accuracy") == 0.5
    with pytest.raises(InputError, match="no record says which region"):
        media.alignment(tiny.model(), tiny.corpus(FULL), FULL, "four")


def test_objects_learned_by_heart_are_found() -> None:
    model = trained("detection", steps=300, queries=5)
    rows = media.detection(model, tiny.corpus(FULL), tiny.tokenizer(), "four")
    assert value(rows, "model", "ap50") > 0.9
    assert 0.0 < value(rows, "model", "map") <= value(rows, "model", "ap50")


@pytest.mark.parametrize("decoder", ["shared", "separate"])
@pytest.mark.parametrize("how", ["greedy", "beam"])
def test_captions_learned_by_heart_are_written(decoder: str, how: str) -> None:
    model, corpus = trained("caption", decoder=decoder), tiny.corpus(FULL)
    rows, written = media.captions(model, corpus, FULL, tiny.tokenizer(), "four", how)  # type: ignore[arg-type]
    plain = tiny.tokenizer()
    for record in FULL:
        pieces = plain(record.text or "", add_special_tokens=False)["input_ids"]
        assert written[record.image or ""] == plain.decode(pieces)
    assert value(rows, how, "bleu-4") == pytest.approx(1.0)
    assert value(rows, "most common", "bleu-4") < 1.0


def test_sampled_captions_belong_to_their_records() -> None:
    model, corpus, plain = tiny.model(), tiny.corpus(FULL), tiny.tokenizer()
    context = Context.of(plain, tiny.NOISE)

    def sampled(rows: list[int], seed: int) -> list[str]:
        batch = hide_text_mentions(corpus.batch(np.array(rows), tiny.NOISE))
        read = replace(batch, text=blank(batch.text, context))
        return write(model, read, plain, how="nucleus", max_length=8, noise=Noise(seed, 0))

    together = sampled([0, 1, 2], 1)
    assert together == [sampled([row], 1)[0] for row in range(3)]
    assert together != sampled([0, 1, 2], 2)


def test_a_corpus_is_read_as_the_model_reads_it(tmp_path: Path) -> None:
    model = tiny.model(region_features={"of": "records"})
    with pytest.raises(InputError, match="this model reads pictures; say where they are"):
        media.read_corpus(model, FULL, tiny.tokenizer(), None)
    without = tiny.model(image=False, knowledge=False, regions=None)
    corpus = media.read_corpus(without, FULL, tiny.tokenizer(), None)
    assert corpus.regions is None and corpus.pictures is None


def test_words_that_name_several_regions_are_right_with_any(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = (Grounding(0, 3, 0), Grounding(0, 3, 1))
    record = replace(FULL[0], grounding=twice)
    rows = media.alignment(tiny.model(), tiny.corpus([record]), [record], "one")
    assert value(rows, "model", "accuracy") == value(rows, "chance", "accuracy") == 1.0
    untrained = tiny.model()
    rows = media.alignment(untrained, tiny.corpus([record]), [record], "one")
    assert value(rows, "untrained", "accuracy") == value(rows, "model", "accuracy")


def test_a_picture_with_two_texts_is_one_candidate() -> None:
    model = trained("itc")
    again = replace(FULL[0], id="again", text="Something else altogether.", mentions=(), tail=None)
    records = [*FULL, again]
    rows = media.retrieval(model, tiny.corpus(records), records, "five")
    by_text = [row for row in rows if row.arm == "pictures" and row.metric == "recall@1"]
    assert [row.n for row in by_text] == [5]
    assert [row.n for row in rows if row.arm == "texts" and row.metric == "recall@1"] == [4]
    assert value(rows, "texts", "recall@1") == 1.0
    assert value(rows, "pictures", "recall@5") == 1.0, "there are but four"
    # Of five texts, two belong to one picture and one to each other.
    assert value(rows, "chance", "recall@1") == pytest.approx((2 / 5 + 3 / 5) / 4)


def test_texts_about_one_entity_are_related_and_not_the_same() -> None:
    model = trained("itc")
    france = replace(FULL[0].mentions[0], start=6, end=12)
    other = replace(FULL[1], id="other", text="Where France is, too.", mentions=(france,), tail=None)
    records = [FULL[0], other, FULL[2]]
    rows = media.retrieval(model, tiny.corpus(records), records, "three")
    assert value(rows, "chance", "recall@1") == pytest.approx(1 / 3)
    assert value(rows, "chance", "related@1") == pytest.approx((2 / 3 + 2 / 3 + 1 / 3) / 3)


def test_pictures_are_what_is_resampled() -> None:
    values = np.array([0.0, 1.0] * 50)
    assert media.interval(values, ["one"] * 100) == (0.5, 0.5)
    low, high = media.interval(np.repeat([0.0, 1.0], 50), [*["a"] * 50, *["b"] * 50])
    assert (low, high) == (0.0, 1.0)
    alone = media.interval(values, range(100))
    assert alone == pytest.approx((0.4, 0.6), abs=0.02)


def test_what_cannot_be_measured_is_said_in_one_line() -> None:
    silent = [replace(record, answer=None) for record in FULL]
    model = tiny.model(heads={"answers": {}})
    with pytest.raises(InputError, match="no record has an answer"):
        media.answers(model, tiny.corpus(silent), silent, "four")
    text = tiny.model(image=False, knowledge=False)
    with pytest.raises(InputError, match="reads no pictures"):
        media.retrieval(text, tiny.corpus(FULL), FULL, "four")
    with pytest.raises(InputError, match="reads no regions"):
        media.alignment(text, tiny.corpus(FULL), FULL, "four")
    bare = [replace(record, image=None) for record in FULL]
    with pytest.raises(InputError, match="no record has a picture and a text"):
        media.captions(tiny.model(), tiny.corpus(bare), bare, tiny.tokenizer(), "four")
